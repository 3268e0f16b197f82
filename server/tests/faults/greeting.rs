//! What the server says when it starts: to a person at a terminal, to a file, and as JSON; and where it can be reached.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::process::{Process, eventually};
use testkit::server::{SECRET, binary, command};
use testkit::{Engine, Setup};

use crate::start::{run_to_end, start};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Lends a program a terminal, and passes on what is typed and shown there.
const TERMINAL: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/// Starts the server at a terminal, and stops it with Ctrl+C once it has named the command for a chat. Returns what it
/// said.
fn at_terminal(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let mut python = Command::new("python3");
    python.args(["-c", TERMINAL]).arg(binary()).args(arguments);
    python
        .current_dir(folder)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    let mut process = Process::spawn(python.envs(settings.iter().copied()));
    let deadline = Instant::now() + TIMEOUT;
    let mut position = 0;
    while let Some(line) = process.next_line(&mut position, deadline) {
        if line.contains("chat --as userA --with userB") {
            break;
        }
    }
    process.write_line("\x03");
    let status = process.wait(TIMEOUT);
    assert!(status.is_some_and(|status| status.success()), "{}", process.stdout());
    process.stdout()
}

/// The port that the server said it runs on.
fn port(said: &str) -> &str {
    let rest = said.split("Server running on port ").nth(1).expect("it runs");
    rest.split_whitespace().next().expect("a port")
}

#[test]
fn what_to_try_next_finds_this_server_and_its_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = at_terminal(folder.path(), &["--port", "0"], &[]);
    let url = format!("CHAT_URL=http://127.0.0.1:{} ", port(&said));
    for what in ["seed users", "chat --as userA --with userB"] {
        assert!(said.contains(&format!("  {url}chatctl {what}")), "{said}");
    }
    assert!(!said.contains("JWT_SECRET"), "{said}");
    let page = format!("Try it in a browser: http://127.0.0.1:{}/playground\r\n", port(&said));
    assert!(said.contains(&page), "{said}");

    let said = at_terminal(folder.path(), &["--port=0", "--data-dir", "it's here", "--host=*"], &[]);
    let url = format!("CHAT_URL=http://127.0.0.1:{} ", port(&said));
    assert!(
        said.contains(&format!(r"  {url}DATA_DIR='it'\''s here' chatctl seed users")),
        "{said}"
    );
    assert!(!said.contains("/playground"), "others reach it: {said}");

    let said = at_terminal(folder.path(), &["--port=0", "--base-path=/api"], &[]);
    let url = format!("http://127.0.0.1:{}/api", port(&said));
    assert!(said.contains(&format!("  CHAT_URL={url} chatctl seed users")), "{said}");
    assert!(
        said.contains(&format!("Reachable at {url} from this machine only")),
        "{said}"
    );

    // A secret of the environment is not in another terminal; one of the file is found there.
    let said = at_terminal(folder.path(), &["--port", "0"], &[("JWT_SECRET", SECRET)]);
    assert!(
        said.contains("with the JWT_SECRET of this server") && !said.contains(SECRET),
        "{said}"
    );
    let file = format!("JWT_SECRET='{SECRET}'\nPORT=0\nDATA_DIR=there\nCHAT_URL=http://elsewhere:1\n");
    std::fs::write(folder.path().join(".env"), file).expect("a file");
    let said = at_terminal(folder.path(), &[], &[]);
    let url = format!("CHAT_URL=http://127.0.0.1:{} ", port(&said));
    assert!(
        said.contains(&format!("terminal:\r\n  {url}chatctl seed users")),
        "{said}"
    );
}

#[test]
fn files_are_told_less_and_json_all_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut server, port) = start(folder.path(), &[("PORT", "0")]);
    let reach =
        format!("Reachable at http://127.0.0.1:{port} from this machine only; with HOST=0.0.0.0 also from others");
    eventually("the third line says where it is reached", TIMEOUT, || {
        let said = server.stdout();
        (said.lines().nth(2)? == reach).then_some(())
    });
    server.signal("TERM");
    assert!(server.wait(TIMEOUT).is_some_and(|status| status.success()));
    let said = server.stdout();
    assert!(!said.contains("Try next") && said.lines().count() == 5, "{said}");

    let mut json = Setup::new(Engine::Embedded).env("LOG_FORMAT", "json").start();
    assert!(json.terminate().0.success());
    let (stdout, stderr) = (json.stdout(), json.stderr());
    let lines: Vec<Value> = stdout
        .lines()
        .chain(stderr.lines())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    for line in &lines {
        assert!(
            ["timestamp", "level", "message", "target"]
                .iter()
                .all(|field| line[field].is_string()),
            "{line}"
        );
    }
    for message in [
        format!("Server running on port {}", json.port()),
        "Server stopped".to_owned(),
    ] {
        assert!(
            lines.iter().any(|line| line["message"] == message),
            "{message}: {lines:?}"
        );
    }
}

#[test]
fn the_last_error_is_json_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").port().to_string();
    for (arguments, settings) in [
        (&[][..], &[("PORT", "http")][..]),
        (&[], &[("HOST", "nowhere.invalid"), ("PORT", "0")]),
        (&["--no-such-flag"], &[]),
        (&["--port", &taken], &[("DATA_DIR", "/dev/null")]),
    ] {
        let settings = [settings, &[("LOG_FORMAT", "json")]].concat();
        let ended = run_to_end(folder.path(), arguments, &settings);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        let lines: Vec<Value> = ended
            .stderr
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect();
        assert_eq!(lines.last().expect("a line")["level"], "ERROR", "{lines:?}");
    }
    std::fs::write(folder.path().join(".env"), "LOG_FORMAT=json\nPORT=http\n").expect("a file");
    let ended = run_to_end(folder.path(), &[], &[]);
    assert!(ended.stderr.starts_with('{'), "{}", ended.stderr);
    // Help is for people.
    let help = command(folder.path()).arg("--help").output().expect("it starts");
    assert!(String::from_utf8_lossy(&help.stdout).contains("Usage:"));
}

#[test]
fn hosts_can_be_names_and_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let reaches = |address: &str, port: u16| TcpStream::connect((address, port)).is_ok();
    for (host, there, words) in [
        ("localhost", "127.0.0.1", "this machine only"),
        ("", "127.0.0.1", "this machine only"),
        ("[::1]", "::1", "http://[::1]:"),
        ("::1", "::1", "http://[::1]:"),
        ("*", "127.0.0.1", "from other machines at"),
        ("*", "::1", "from other machines at"),
        ("0.0.0.0", "127.0.0.1", "from other machines at"),
        ("127.0.0.2", "127.0.0.2", "http://127.0.0.2:"),
    ] {
        let (mut server, port) = start(folder.path(), &[("PORT", "0"), ("HOST", host)]);
        assert!(reaches(there, port), "{host}: {there}");
        eventually("it says where it is reached", TIMEOUT, || {
            server.stdout().lines().nth(2).map(|line| {
                assert!(
                    line.starts_with("Reachable at ") && line.contains(words),
                    "{host}: {line}"
                );
            })
        });
        server.kill();
    }
}

#[test]
fn a_place_that_can_not_be_listened_on_names_its_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    for (host, words) in [
        // Kept for documents: nobody has it.
        ("192.0.2.77", "no address 192.0.2.77"),
        ("nowhere.invalid", "nowhere.invalid can't be looked up"),
        ("localhost:5000", "the port is PORT"),
    ] {
        let ended = run_to_end(folder.path(), &[], &[("PORT", "0"), ("HOST", host)]);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("HOST") && ended.stderr.contains(words),
            "{}",
            ended.stderr
        );
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let ended = run_to_end(folder.path(), &[], &[("PORT", &port.to_string())]);
    // No setting is wrong as such: whoever starts it again later may succeed.
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("PORT={port} is in use")),
        "{}",
        ended.stderr
    );
}
