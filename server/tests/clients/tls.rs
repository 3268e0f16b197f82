//! TLS by the server itself: stock clients, certificates that change, and clients that do not finish what they begin.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use testkit::certificate::Authority;
use testkit::process::eventually;
use testkit::token::seconds;
use testkit::{Engine, Server, Setup};

use crate::{TIMEOUT, logged, run_checks};

/// A server with a certificate of this authority.
fn start(authority: &Authority, certificate: &Path, key: &Path) -> Server {
    let _ = authority;
    Setup::new(Engine::Embedded)
        .env("TLS_CERT", certificate.display())
        .env("TLS_KEY", key.display())
        .start()
}

fn url(server: &Server) -> String {
    format!("https://127.0.0.1:{}", server.port())
}

/// What curl prints, given arguments that are separated by blanks, for a path of the server.
fn curl(server: &Server, authority: &Authority, arguments: &str, path: &str) -> String {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "30", "--cacert"])
        .arg(authority.file())
        .args(arguments.split_whitespace())
        .arg(format!("{}{path}", url(server)))
        .output()
        .expect("curl can be started");
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

/// The ids of two users, and their tokens.
fn users(server: &Server, authority: &Authority) -> ([String; 2], [String; 2]) {
    let body = server.folder().join("users.json");
    let names = json!({"usernames": [testkit::server::fresh_database(), testkit::server::fresh_database()]});
    fs::write(&body, names.to_string()).expect("a file");
    let output = Command::new("curl")
        .args(["-sS", "--cacert"])
        .arg(authority.file())
        .args(["-H", &format!("Authorization: Bearer {}", server.admin_token())])
        .args(["-H", "Content-Type: application/json", "-d"])
        .arg(format!("@{}", body.display()))
        .arg(format!("{}/users", url(server)))
        .output()
        .expect("curl can be started");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("users");
    let id = |index: usize| answer["users"][index]["_id"].as_str().expect("an id").to_owned();
    let ids = [id(0), id(1)];
    let tokens = ids.each_ref().map(|id| server.token(id));
    (ids, tokens)
}

#[test]
fn stock_clients_speak_tls_and_lose_nothing_when_the_certificate_changes() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let pair = |name: &str, serial| {
        let path = folder.path().join(name);
        fs::create_dir(&path).expect("a folder");
        authority.issue(serial).write(&path);
        path
    };
    let (old, next) = (pair("old", 7), pair("next", 8));
    let wrong = pair("wrong", 9);
    fs::copy(old.join("tls.key"), wrong.join("tls.key")).expect("a key");
    // As Kubernetes mounts a secret.
    symlink(&old, folder.path().join("..data")).expect("a link");
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), folder.path().join(name)).expect("a link");
    }
    let server = start(
        &authority,
        &folder.path().join("tls.crt"),
        &folder.path().join("tls.key"),
    );
    for (transport, changes) in [("polling", false), ("upgrade", false), ("websocket", true)] {
        let ([a, b], [of_a, of_b]) = users(&server, &authority);
        let change = json!({
            "pid": server.pid(), "folder": folder.path(), "next": next, "wrong": wrong, "serials": [7, 8],
        });
        run_checks(
            "tls.js",
            &json!({
                "url": url(&server), "ca": authority.file(), "transport": transport, "users": {"a": a, "b": b},
                "tokens": {"a": of_a, "b": of_b}, "change": changes.then_some(change),
            }),
        );
    }
    let lines = logged(&server, "the old one is shown as before");
    assert!(
        lines[0].contains("ERROR") && lines[0].contains("TLS_KEY is wrong"),
        "{lines:?}"
    );
}

#[test]
fn both_versions_of_tls_are_spoken_and_nothing_else() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = authority.issue(1).write(folder.path());
    let server = start(&authority, &certificate, &key);
    eventually("it says how it is reached", TIMEOUT, || {
        server
            .stdout()
            .contains("Reachable at https://127.0.0.1:")
            .then_some(())
    });
    for version in ["--tlsv1.3", "--tls-max 1.2", "--http2 --tlsv1.2"] {
        assert_eq!(
            curl(&server, &authority, version, "/healthz"),
            r#"{"status":"ok"}"#,
            "{version}"
        );
    }
    // An answer to a body that is not read arrives all the same.
    let long = folder.path().join("long");
    fs::write(&long, vec![b'x'; 3 << 20]).expect("a file");
    let sent = format!("-H Content-Type:application/json -d @{}", long.display());
    assert!(curl(&server, &authority, &sent, "/users").contains("unauthorized"));

    // A client without TLS is told so.
    let answer = server.get("/healthz", "");
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.json()["error"]["code"], "invalid_request");
    assert!(answer.body.contains("TLS"), "{}", answer.body);
    // One that speaks neither is left.
    let mut other = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
    other.set_read_timeout(Some(Duration::from_secs(30))).expect("a time");
    other.write_all(b"\x16\x03\x01\x00\x05hello").expect("it takes that");
    let mut said = Vec::new();
    let _ = other.read_to_end(&mut said);
    assert!(
        said.first().is_none_or(|kind| *kind == 21),
        "no more than an alert: {said:?}"
    );
}

/// A connection from another address of this machine that has begun a handshake and says nothing more.
fn begin(server: &Server, from: Ipv4Addr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket
        .bind(&SocketAddr::from((from, 0)).into())
        .expect("an address of this machine");
    let to = SocketAddr::from(([127, 0, 0, 1], server.port()));
    socket.connect(&to.into()).expect("it listens");
    let mut stream = TcpStream::from(socket);
    stream
        .write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03half of a greeting")
        .expect("it takes that");
    stream
}

#[test]
fn handshakes_that_are_not_finished_are_bounded_and_end() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = authority.issue(1).write(folder.path());
    let server = start(&authority, &certificate, &key);
    assert_eq!(curl(&server, &authority, "", "/healthz"), r#"{"status":"ok"}"#);
    let before = (server.resident_bytes(), server.open_files());
    let begun = Instant::now();
    let half: Vec<TcpStream> = (0..3_000)
        .map(|_| begin(&server, Ipv4Addr::new(127, 0, 0, 2)))
        .collect();
    let during = server.resident_bytes();
    // Those of another address come in at once.
    let asked = Instant::now();
    assert_eq!(curl(&server, &authority, "", "/healthz"), r#"{"status":"ok"}"#);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!(during < before.0 + (64 << 20), "{} MiB", (during - before.0) >> 20);
    eventually("they are ended", Duration::from_secs(60), || {
        (server.open_files() < before.1 + 100).then_some(())
    });
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    logged(&server, "refused_handshakes");
    drop(half);
}

#[test]
fn certificates_that_cannot_be_used_are_refused_with_the_reason() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = authority.issue(1).write(folder.path());
    let other = folder.path().join("other");
    fs::create_dir(&other).expect("a folder");
    let (_, other_key) = authority.issue(2).write(&other);
    let empty = folder.path().join("empty");
    fs::write(&empty, "").expect("a file");
    let missing = folder.path().join("missing");
    for (certificate, key, said) in [
        (Some(&certificate), None, "TLS_KEY is wrong: it is not set"),
        (None, Some(&key), "TLS_CERT is wrong: it is not set"),
        (Some(&missing), Some(&key), "can't be read"),
        (Some(&empty), Some(&key), "holds no certificate"),
        (Some(&key), Some(&key), "holds no certificate"),
        (Some(&certificate), Some(&certificate), "holds no private key"),
        (
            Some(&certificate),
            Some(&other_key),
            "is the key of another certificate",
        ),
    ] {
        for flag in ["--check-config", "--port=0"] {
            let mut command = testkit::server::command(folder.path());
            command.arg(flag);
            command.envs(certificate.map(|path| ("TLS_CERT", path)));
            command.envs(key.map(|path| ("TLS_KEY", path)));
            let output = command.output().expect("it starts");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{stderr}");
            assert!(stderr.contains(said), "{said}: {stderr}");
            assert!(!stderr.contains("PRIVATE KEY"), "{stderr}");
        }
    }
}

#[test]
fn the_log_says_until_when_the_certificate_holds() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds());
    let day = Duration::from_secs(86_400);
    let (certificate, key) = authority.issue_until(now + 400 * day).write(folder.path());
    let server = start(&authority, &certificate, &key);
    logged(&server, "the certificate holds");
    for (end, level, said) in [
        (now + 3 * day, "WARN", "the certificate ends soon"),
        (now - day, "ERROR", "the certificate has ended"),
    ] {
        authority.issue_until(end).write(folder.path());
        server.signal("HUP");
        let lines = logged(&server, said);
        assert!(lines[0].contains(level) && lines[0].contains("ends=20"), "{lines:?}");
    }
}

#[test]
fn what_acme_is_told_is_checked_and_an_authority_that_is_away_is_asked_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let (certificate, key) = authority.issue(1).write(folder.path());
    let check = |settings: &[(&str, &str)]| {
        let mut command = testkit::server::command(folder.path());
        command.arg("--check-config").envs(settings.iter().copied());
        let output = command.output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let files = (certificate.to_str().expect("a text"), key.to_str().expect("a text"));
    let (status, said) = check(&[
        ("TLS_ACME_DOMAIN", "chat.example.org"),
        ("TLS_CERT", files.0),
        ("TLS_KEY", files.1),
    ]);
    assert_eq!(status, Some(2));
    assert!(
        said.contains("TLS_ACME_DOMAIN is wrong: TLS_CERT and TLS_KEY are set, too"),
        "{said}"
    );
    let (status, said) = check(&[
        ("TLS_ACME_DOMAIN", "chat.example.org,10.0.0.1"),
        ("TLS_ACME_CONTACT", "me"),
        ("TLS_ACME_DIRECTORY", "http://acme.example"),
    ]);
    assert_eq!(status, Some(2));
    for name in ["TLS_ACME_DOMAIN", "TLS_ACME_CONTACT", "TLS_ACME_DIRECTORY"] {
        assert!(said.contains(&format!("{name}=")), "{name}: {said}");
    }
    let good = [
        ("TLS_ACME_DOMAIN", "chat.example.org"),
        ("TLS_ACME_DIRECTORY", "staging"),
    ];
    assert_eq!(check(&good).0, Some(0));
    assert!(!folder.path().join("data").exists(), "nothing was created");

    let server = Setup::new(Engine::Embedded)
        .env("TLS_ACME_DOMAIN", "chat.example.org")
        .env("TLS_ACME_DIRECTORY", "https://127.0.0.1:1/directory")
        .start();
    logged(&server, "acme: no certificate was made out");
    assert!(curl(&server, &authority, "", "/healthz").starts_with("curl: (35)"));
}
