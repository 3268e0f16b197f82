//! `chatctl`, the shipped program, over https and wss, to the shipped server. Its certificate is signed by an authority that only
//! `SSL_CERT_FILE` names.

#![expect(clippy::disallowed_methods, reason = "tests wait for times and hold little")]

mod proxy;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;
use testkit::certificate::{Authority, Issued};
use testkit::{Engine, Server, Setup};

use crate::proxy::Proxy;

/// A server that speaks TLS, and the authority of its certificate.
struct Secure {
    server: Server,
    authority: Authority,
    _certificate: TempDir,
}

impl Secure {
    fn start(authority: Authority, shown: &Issued) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (certificate, key) = shown.write(folder.path());
        let setup = Setup::new(Engine::Embedded).env("TLS_CERT", certificate.display());
        Self {
            server: setup.env("TLS_KEY", key.display()).start(),
            authority,
            _certificate: folder,
        }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.server.port())
    }
}

static SECURE: LazyLock<Secure> = LazyLock::new(|| {
    let authority = Authority::new();
    let issued = authority.issue(1);
    Secure::start(authority, &issued)
});

/// `chatctl` with these arguments, separated by blanks, which trusts the server.
fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatctl"));
    command
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "LLVM_PROFILE_FILE"))
        .env("CHAT_URL", SECURE.url())
        .env("JWT_SECRET", SECURE.server.secret())
        .env("SSL_CERT_FILE", SECURE.authority.file())
        .stdin(Stdio::null());
    command
}

fn output(mut command: Command) -> Output {
    command.output().expect("chatctl can be started")
}

/// Runs it to its end, which must be good, and returns its JSON.
#[track_caller]
fn json(folder: &Path, arguments: &str) -> Value {
    let output = output(command(folder, &format!("{arguments} --json")));
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {stdout}"))
}

#[track_caller]
fn is_at_least(report: &Value, field: &str, least: u64) {
    let number = report.pointer(field).and_then(Value::as_u64);
    assert!(number.is_some_and(|number| number >= least), "{field}: {report}");
}

#[test]
fn messages_connections_and_histories_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let messages = json(folder.path(), "bench messages --users 6 --messages 60 --prefix safe");
    is_at_least(&messages, "/acknowledged", 60);
    let connect = json(folder.path(), "bench connect --users 6 --reconnect --prefix safe");
    is_at_least(&connect, "/reconnect/connected", 6);
    let history = "bench history --conversations 3 --duration 300ms --warmup 0s --prefix safe";
    is_at_least(&json(folder.path(), history), "/messages", 1);
    let full = json(
        folder.path(),
        "bench history --full --conversations 3 --repeat 1 --prefix safe",
    );
    is_at_least(&full, "/rounds/0/messages", 60);
}

#[test]
fn promises_are_proven() {
    let folder = tempfile::tempdir().unwrap();
    let verdict = json(folder.path(), "prove --users 4 --rate 60 --duration 2s --seed 7");
    assert_eq!(verdict["verdict"], "pass", "{verdict}");
}

#[test]
fn everyday_commands_work() {
    let folder = tempfile::tempdir().unwrap();
    json(folder.path(), "seed users ada-safe grace-safe");
    let mut chat = command(folder.path(), "chat --as ada-safe --with grace-safe --json");
    chat.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut chat = chat.spawn().expect("chatctl can be started");
    std::io::Write::write_all(&mut chat.stdin.take().unwrap(), b"hello\n").unwrap();
    let output = chat.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    let history = json(folder.path(), "history ada-safe grace-safe");
    assert_eq!(history[0]["message"], "hello");
}

#[test]
fn an_authority_that_is_not_trusted_is_named_with_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in ["users", "bench messages --users 2", "prove --users 2"] {
        let mut command = command(folder.path(), arguments);
        command.env_remove("SSL_CERT_FILE");
        let output = output(command);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains("no secure connection")
                && stderr.contains("UnknownIssuer")
                && stderr.contains("SSL_CERT_FILE"),
            "{arguments}: {stderr}"
        );
    }
}

/// What `chatctl users` says of a server that it trusts and still refuses.
#[track_caller]
fn refused(url: String, authority: &Authority) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut command = command(folder.path(), "users");
    command.env("CHAT_URL", url).env("SSL_CERT_FILE", authority.file());
    let output = output(command);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    stderr
}

/// `openssl req -x509` makes such a certificate unless it is told otherwise.
#[test]
fn an_authority_that_shows_its_own_certificate_is_refused_with_what_helps() {
    let authority = Authority::new();
    let own = authority.own().clone();
    let secure = Secure::start(authority, &own);
    let stderr = refused(secure.url(), &secure.authority);
    assert!(
        stderr.contains("no secure connection") && stderr.contains("CA:FALSE") && !stderr.contains("OtherError"),
        "{stderr}"
    );
}

#[test]
fn no_redirect_leads_out_of_tls() {
    // It stands after the proxy, which clients reach over TLS, and can be reached without it, too.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let answer = |body: &str, more: &str| format!("HTTP/1.1 {more}Content-Length: {}\r\n\r\n{body}", body.len());
        let moved = answer("", &format!("302 Found\r\nLocation: http://{address}/unsafe\r\n"));
        let users = answer(r#"{"users":[],"next":null}"#, "200 OK\r\nConnection: close\r\n");
        while let Ok((mut stream, _)) = listener.accept() {
            let mut head = [0; 4_096];
            let read = stream.read(&mut head).unwrap_or(0);
            let is_moved = !head[..read].starts_with(b"GET /unsafe");
            let _ = stream.write_all(if is_moved { &moved } else { &users }.as_bytes());
        }
    });
    let authority = Authority::new();
    let proxy = Proxy::start(address, &authority.issue(1));
    let stderr = refused(proxy.url(), &authority);
    assert!(
        stderr.contains("no secure connection") && stderr.contains("redirects to http://"),
        "{stderr}"
    );
}
