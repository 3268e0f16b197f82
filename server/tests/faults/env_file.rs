//! The `.env` of a Node.js program, as it is: the server reads of it what that program reads.

use std::fs;
use std::path::Path;
use std::time::Duration;

use http::Request;
use testkit::process::{Process, eventually};
use testkit::token;

use crate::start::{run_to_end, start};

/// The server in a folder with this `.env`, and its port.
fn start_with(folder: &Path, file: &str) -> (Process, u16) {
    fs::write(folder.join(".env"), file).expect("a file");
    start(folder, &[("PORT", "0")])
}

/// The status of an answer to a token of this secret.
fn status(port: u16, secret: &str) -> u16 {
    let request = Request::builder()
        .uri(format!("http://127.0.0.1:{port}/users"))
        .header("authorization", format!("Bearer {}", token::admin(secret)))
        .body(Vec::new());
    testkit::http::send(request.expect("a well-formed request")).status
}

#[test]
fn a_secret_is_the_one_that_node_reads() {
    for (file, secret) in [
        ("JWT_SECRET=a#b\n", "a"),
        ("JWT_SECRET='a#b' # note\n", "a#b"),
        ("JWT_SECRET=first\nJWT_SECRET=last\n", "last"),
        ("JWT_SECRET=my$ecretkey${PORT}\n", "my$ecretkey${PORT}"),
        ("JWT_SECRET=\"two\\nlines\"\n", "two\nlines"),
        (
            "APP_NAME=My Chat\nGREETING=don't\nMY-KEY=1\nthis is no line\nJWT_SECRET: of Node\r\n",
            "of Node",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut server, port) = start_with(folder.path(), file);
        assert_eq!(status(port, secret), 200, "{file:?}");
        assert_eq!(status(port, "first"), 401, "{file:?}");
        let said = server.stderr();
        assert_eq!(
            said.contains("line=4") && said.contains(".env"),
            file.contains("no line"),
            "what is passed over is said: {said}"
        );
        server.kill();
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(".env"), "# mine\n\nexport PORT = 'http'\n").expect("a file");
    let ended = run_to_end(folder.path(), &[], &[]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("PORT=http") && ended.stderr.contains(".env, line 3"),
        "{}",
        ended.stderr
    );
    // What goes before it is not in the file.
    let ended = run_to_end(folder.path(), &[], &[("PORT", "many")]);
    assert!(!ended.stderr.contains("line 3"), "{}", ended.stderr);
    let ended = run_to_end(folder.path(), &["--port", "few"], &[]);
    assert!(
        ended.stderr.contains("--port") && !ended.stderr.contains("line 3"),
        "{}",
        ended.stderr
    );
    // A secret is not shown.
    fs::write(folder.path().join(".env"), "MONGO_URI=postgres://u:hunter2@h/db\n").expect("a file");
    let ended = run_to_end(folder.path(), &[], &[]);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    assert!(ended.stderr.contains(".env, line 1"), "{}", ended.stderr);
    // Nor is what a `#` has left of it.
    for uri in ["mongodb://u:hunter2#x@h/db", "mongodb+srv://u:hunter2#x@h/db"] {
        fs::write(folder.path().join(".env"), format!("PORT=0\nMONGO_URI={uri}\n")).expect("a file");
        let ended = run_to_end(folder.path(), &[], &[]);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        assert!(
            ended.stderr.contains(".env, line 2") && ended.stderr.contains("in quotes"),
            "{}",
            ended.stderr
        );
    }

    fs::remove_file(folder.path().join(".env")).expect("it is there");
    fs::create_dir(folder.path().join(".env")).expect("a folder");
    let ended = run_to_end(folder.path(), &[], &[]);
    assert!(
        ended.status.code() == Some(2) && ended.stderr.contains(".env"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_empty_setting_counts_as_unset_unless_it_says_where_data_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = [
        "HOST",
        "JWT_SECRET",
        "LOG_LEVEL",
        "LOG_FORMAT",
        "CORS_ORIGINS",
        "MAX_CONNECTIONS",
        "CHECK_STORE",
    ];
    let file: String = names.iter().map(|name| format!("{name}=\n")).collect();
    let (mut server, _) = start_with(folder.path(), &file);
    // The log is written in its own time.
    eventually("it is said", Duration::from_secs(60), || {
        server.stderr().contains("JWT_SECRET is empty").then_some(())
    });
    server.kill();
    // Likewise in the environment, where it hides what the file says.
    fs::write(folder.path().join(".env"), "LOG_LEVEL=loud\nPORT=0\n").expect("a file");
    let (mut server, _) = start(folder.path(), &[("LOG_LEVEL", ""), ("JWT_SECRET", "")]);
    server.kill();

    for name in ["MONGO_URI", "DATA_DIR"] {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(".env"), format!("PORT=0\n{name}=\n")).expect("a file");
        let ended = run_to_end(folder.path(), &[], &[]);
        assert_eq!(ended.status.code(), Some(2), "{name}: {}", ended.stderr);
        assert!(
            ended
                .stderr
                .contains(&format!("{name} is wrong (.env, line 2): it is empty")),
            "{}",
            ended.stderr
        );
        let ended = run_to_end(folder.path(), &[], &[(name, "")]);
        assert_eq!(ended.status.code(), Some(2), "{name}: {}", ended.stderr);
        assert!(!folder.path().join("data").exists(), "{name}: something was begun");
    }
}

#[test]
fn the_names_that_other_programs_use_are_warned_of() {
    for name in ["MONGODB_URI", "DATABASE_URL"] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = format!("{name}=mongodb://u:hunter2@127.0.0.1/chat\n");
        let (mut server, _) = start_with(folder.path(), &file);
        let said = server.stderr();
        let warned = said.lines().find(|line| line.contains("WARN") && line.contains(name));
        assert!(warned.is_some_and(|line| line.contains("MONGO_URI")), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        server.kill();
    }
}
