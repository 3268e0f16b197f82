//! Looking at the settings without starting: `--check-config` and `--print-config`; and secrets that stand in files.

use std::fs;

use serde_json::Value;

use crate::start::run_to_end;

#[test]
fn all_that_is_wrong_is_said_at_once_and_nothing_is_begun() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(".env"), "LOG_LEVEL=loud\nMAX_CONNECTIONS=0\n").expect("a file");
    let settings = [
        ("PORT", "http"),
        ("DATA_DIR", ".env/data"),
        ("MONGO_URI", "mongodb://u:hunter2@:/"),
        ("CLIENT_DIST", "nowhere"),
    ];
    let ended = run_to_end(folder.path(), &["--check-config", "--host", "a b"], &settings);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    let said = &ended.stderr;
    for (name, meaning) in [
        ("PORT=http is wrong", "TCP port"),
        ("--host", "Address or name"),
        ("LOG_LEVEL=loud is wrong (.env, line 1)", "What is logged"),
        ("MAX_CONNECTIONS=0 is wrong (.env, line 2)", "TCP connections"),
        ("DATA_DIR is wrong", "Directory of the embedded database"),
        ("MONGO_URI is wrong", "MongoDB to keep"),
        ("CLIENT_DIST is wrong", "Folder `dist`"),
    ] {
        assert!(said.contains(name), "{name}: {said}");
        assert!(said.contains(&format!("It means: {meaning}")), "{meaning}: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");

    // What stands in files, too, each by itself.
    let files = [
        "JWT_SECRET_FILE",
        "JWT_PUBLIC_KEY",
        "JWT_JWKS_URL",
        "TLS_CERT",
        "TLS_KEY",
    ];
    let settings = files.map(|name| (name, "nowhere"));
    let ended = run_to_end(folder.path(), &["--check-config"], &settings);
    for name in files {
        assert!(
            ended.stderr.contains(&format!("{name} is wrong: nowhere")),
            "{name}: {}",
            ended.stderr
        );
    }

    // A good configuration of a database that is away.
    fs::remove_file(folder.path().join(".env")).expect("it is there");
    let away = [
        ("MONGO_URI", "mongodb://127.0.0.1:1/chat"),
        ("LOG_FORMAT", "json"),
        ("PROXY_PROTOCOL", "true"),
    ];
    let ended = run_to_end(folder.path(), &["--check-config"], &away);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("The settings are right"), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("TRUSTED_PROXIES names no proxy"),
        "{}",
        ended.stderr
    );
    let left = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "nothing was created");
}

#[test]
fn every_setting_is_printed_with_where_it_comes_from_and_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(".env"), "\nJWT_SECRET=hunter2\nMAX_CONNECTIONS=7\n").expect("a file");
    fs::write(folder.path().join("uri"), "mongodb://u:hunter2@h/db\n").expect("a file");
    let environment = [
        ("HOST", "::1"),
        ("MONGO_URI_FILE", "uri"),
        ("JWT_JWKS_URL", "https://u:hunter2@id.example/keys?key=hunter2"),
    ];
    let ended = run_to_end(folder.path(), &["--print-config", "--port=0"], &environment);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
    let printed: Value = serde_json::from_str(&ended.stdout).expect("JSON, where no person reads");
    for (name, value, from) in [
        ("HOST", Some("::1"), "environment"),
        ("PORT", Some("0"), "flag"),
        ("MAX_CONNECTIONS", Some("7"), ".env, line 3"),
        ("DATA_DIR", Some("./data"), "default"),
        ("SOCKET_PATH", None, "default"),
        ("JWT_SECRET", None, ".env, line 2"),
        ("MONGO_URI", None, "file uri"),
    ] {
        let setting = &printed[name];
        assert_eq!(setting["value"].as_str(), value, "{name}: {setting}");
        assert_eq!(setting["from"], from, "{name}");
    }
    assert_eq!(printed["JWT_SECRET"]["secret"], true);
    assert_eq!(printed["MONGO_URI"]["set"], true);
    assert_eq!(printed["SOCKET_PATH"]["set"], false);
    assert!(printed.get("--print-config").is_none());
}

/// What the file holds, the other settings, and what is said then.
type Wrong<'a> = (Option<&'a [u8]>, &'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn a_secret_may_stand_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("uri");
    let path = file.to_str().expect("a text");
    let check = |content: Option<&[u8]>, more: &[(&str, &str)]| {
        let _ = fs::remove_file(&file);
        if let Some(content) = content {
            fs::write(&file, content).expect("a file");
        }
        let settings = [&[("MONGO_URI_FILE", path)], more].concat();
        run_to_end(folder.path(), &["--check-config"], &settings)
    };
    for good in [
        "mongodb://u:hunter2@h/db",
        "mongodb://u:hunter2@h/db\n",
        "mongodb://u:hunter2@h/db\r\n",
    ] {
        let ended = check(Some(good.as_bytes()), &[]);
        assert_eq!(ended.status.code(), Some(0), "{good:?}: {}", ended.stderr);
    }
    let wrong: [Wrong; 6] = [
        (None, &[], &["MONGO_URI_FILE", "/uri can't be read"]),
        (Some(b"\n"), &[], &["MONGO_URI_FILE", "is empty"]),
        (Some(b"\xff"), &[], &["MONGO_URI_FILE", "no text"]),
        (
            Some(b"postgres://u:hunter2@h/db"),
            &[],
            &["MONGO_URI is wrong (file ", path],
        ),
        (
            Some(b"mongodb://h/db"),
            &[("MONGO_URI", "mongodb://h/db")],
            &["MONGO_URI_FILE is wrong: MONGO_URI is set, too"],
        ),
        (
            Some(b"mongodb://h/db"),
            &[("MONGO_URI", "mongodb://h"), ("PORT", "x")],
            &["MONGO_URI is set", "PORT=x"],
        ),
    ];
    for (content, more, said) in wrong {
        let ended = check(content, more);
        assert_eq!(ended.status.code(), Some(2), "{said:?}: {}", ended.stderr);
        assert!(
            said.iter().all(|words| ended.stderr.contains(words)),
            "{said:?}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    // The start says it, too, and a flag names the file as well.
    let ended = run_to_end(folder.path(), &["--mongo-uri-file", "nowhere"], &[]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the file nowhere can't be read"),
        "{}",
        ended.stderr
    );
}
