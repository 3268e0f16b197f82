//! Keys and tokens of the Python library `PyJWT`, with the stock client of Python.

use serde_json::Value;
use testkit::server::SECRET;
use testkit::{Engine, Setup, python};

const SCRIPT: &str = "server/tests/python/tokens.py";

#[test]
fn tokens_of_pyjwt_are_taken_by_pem_and_by_key_set() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    python::script(SCRIPT, &["make", &path]);
    for (setting, file) in [("JWT_PUBLIC_KEY", "keys.pem"), ("JWT_JWKS_URL", "keys.json")] {
        let server = Setup::new(Engine::Embedded)
            .env(setting, format!("{path}/{file}"))
            .start();
        let [user] = server.new_users();
        let said = python::script(SCRIPT, &["use", &path, &server.url(), &user, SECRET]);
        let lines: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect();
        assert_eq!(lines.len(), 12 + 4, "{said}");
        for line in lines {
            let is_wrong = line["name"].as_str().is_some_and(|name| name.starts_with("wrong"));
            let taken = (line["status"] == 200, line["connected"] == true);
            assert_eq!(taken, (!is_wrong, !is_wrong), "{setting}: {line}");
        }
    }
}
