//! Where the server listens: sockets in the file system, several places at once, and one of its own for administration.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::process::Process;
use testkit::raw::Raw;
use testkit::server::{SECRET, command};
use testkit::{Engine, Server, Setup, token};

use crate::start::run_to_end;

/// A server with these settings, once it says that it listens at this file.
fn start_at(folder: &Path, listen: &str, settings: &[(&str, &str)]) -> Process {
    let mut command = command(folder);
    command.env("LISTEN", listen).env("JWT_SECRET", SECRET);
    let process = Process::spawn(command.envs(settings.iter().copied()));
    let (mut position, deadline) = (0, Instant::now() + Duration::from_secs(60));
    while let Some(line) = process.next_line(&mut position, deadline) {
        if line.starts_with("Server running on unix:") {
            return process;
        }
    }
    panic!("it did not start: {}{}", process.stdout(), process.stderr());
}

/// The status and body of an answer that comes through a file, to curl with these arguments.
fn ask(socket: &Path, arguments: &[&str], path: &str) -> String {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20", "-w", " %{http_code}", "--unix-socket"])
        .arg(socket)
        .args(arguments)
        .arg(format!("http://localhost{path}"))
        .output()
        .expect("curl can be started");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_socket_file_is_served_taken_over_and_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("chat.sock");
    let listen = format!("unix:{}", socket.display());
    let mut server = start_at(folder.path(), &listen, &[("LISTEN_MODE", "600")]);
    assert_eq!(ask(&socket, &[], "/healthz"), r#"{"status":"ok"} 200"#);
    let polled = ask(&socket, &[], "/socket.io/?EIO=4&transport=polling");
    assert!(polled.contains("\"sid\"") && polled.ends_with(" 200"), "{polled}");
    let mode = fs::metadata(&socket).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Programs of this machine are administrators if their token says so.
    let admin = format!("Authorization: Bearer {}", token::admin(SECRET));
    assert!(ask(&socket, &["-X", "POST", "-H", &admin], "/admin/rebuild").ends_with(" 202"));

    // Nobody takes it from a server that listens.
    let other = tempfile::tempdir().expect("a folder");
    let ended = run_to_end(other.path(), &["--listen", &listen], &[]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("LISTEN is in use"), "{}", ended.stderr);
    assert_eq!(ask(&socket, &[], "/healthz"), r#"{"status":"ok"} 200"#);

    server.kill();
    assert!(socket.exists(), "a killed process leaves it");
    let mut server = start_at(folder.path(), &listen, &[]);
    assert_eq!(ask(&socket, &[], "/healthz"), r#"{"status":"ok"} 200"#);
    let mode = fs::metadata(&socket).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    server.signal("TERM");
    let status = server.wait(Duration::from_secs(30)).expect("it ends");
    assert!(status.success());
    assert!(!socket.exists(), "an orderly stop removes it");
    assert!(
        fs::read_dir(folder.path()).expect("a folder").count() == 1,
        "only the data is left"
    );
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("precious");
    fs::write(&file, "text").expect("a file");
    for (listen, said) in [
        (format!("unix:{}", file.display()), "no socket"),
        (
            format!("unix:{}/nowhere/chat.sock", folder.path().display()),
            "folder is not there",
        ),
        ("unix:relative".to_owned(), "path from the root"),
        ("5000".to_owned(), "host:port"),
    ] {
        let ended = run_to_end(folder.path(), &["--listen", &listen], &[]);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{listen}: {}", ended.stderr);
    }
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "text");
}

#[test]
fn several_places_are_served_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("chat.sock");
    let listen = format!("127.0.0.1:0,unix:{}", socket.display());
    let mut server = start_at(folder.path(), &listen, &[("PORT", "1")]);
    let said = server.stdout();
    let port = said
        .lines()
        .find_map(|line| line.strip_prefix("Server running on port "));
    let port: u16 = port.expect("it says so").parse().expect("a port");
    let request = http::Request::get(format!("http://127.0.0.1:{port}/healthz")).body(Vec::new());
    assert_eq!(testkit::http::send(request.expect("a request")).status, 200);
    assert_eq!(ask(&socket, &[], "/healthz"), r#"{"status":"ok"} 200"#);
    server.kill();
}

/// The status of a request for administration to a port, with these further headers.
fn administers(port: u16, token: &str, headers: &[(&str, &str)]) -> u16 {
    let mut request = http::Request::post(format!("http://127.0.0.1:{port}/admin/rebuild"));
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    testkit::http::send(request.body(Vec::new()).expect("a request")).status
}

/// The port of the place for administration.
fn administration(server: &Server) -> u16 {
    let said = testkit::process::eventually("it says where", Duration::from_secs(60), || {
        let said = server.stdout();
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix("Administration is served at 127.0.0.1:"));
        line.map(str::to_owned)
    });
    said.parse().expect("a port")
}

#[test]
fn administration_has_a_place_of_its_own_where_one_is_set() {
    let server = Setup::new(Engine::Embedded)
        .env("ADMIN_LISTEN", "127.0.0.1:0")
        .env("MAX_CONNECTIONS", 8)
        .start();
    let [user] = server.new_users();
    let (admin, user) = (server.admin_token(), server.token(&user));
    let port = administration(&server);
    for (port, token, status) in [
        (server.port(), &*admin, 404),
        (server.port(), "", 404),
        (port, "", 401),
        (port, &*user, 403),
        (port, &*admin, 202),
    ] {
        assert_eq!(administers(port, token, &[]), status);
    }
    // However many clients there are.
    let held: Vec<Raw> = (0..40).map(|_| Raw::connect(&server)).collect();
    assert_eq!(administers(port, &admin, &[]), 202);
    drop(held);

    let folder = tempfile::tempdir().expect("a folder");
    let taken = format!("127.0.0.1:{port}");
    let ended = run_to_end(folder.path(), &[], &[("PORT", "0"), ("ADMIN_LISTEN", &taken)]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("ADMIN_LISTEN={taken} is in use")),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_proxy_that_passes_everything_on_does_not_open_administration() {
    let server = Setup::new(Engine::Embedded).env("HOST", "0.0.0.0").start();
    let admin = server.admin_token();
    assert_eq!(administers(server.port(), &admin, &[]), 202);
    assert_eq!(administers(server.port(), "", &[]), 401);
    for (name, value) in [
        ("host", "chat.example"),
        ("host", "10.0.0.1:5000"),
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
        ("via", "1.1 proxy"),
        ("x-real-ip", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("cf-connecting-ip", "192.0.2.1"),
    ] {
        assert_eq!(
            administers(server.port(), &admin, &[(name, value)]),
            404,
            "{name}: {value}"
        );
    }
    for (line, host, status) in [
        ("/admin/rebuild HTTP/1.1", "Host: localhost:80\r\n", "401"),
        ("http://localhost/admin/rebuild HTTP/1.1", "Host: localhost\r\n", "401"),
        // As nginx asks, unless it is told otherwise.
        ("/admin/rebuild HTTP/1.0", "Host: localhost\r\n", "404"),
        ("/admin/rebuild HTTP/1.0", "", "404"),
        ("/admin/rebuild HTTP/1.1", "Host:\r\n", "404"),
        (
            "http://chat.example/admin/rebuild HTTP/1.1",
            "Host: localhost\r\n",
            "404",
        ),
    ] {
        let mut client = Raw::connect(&server);
        let sent = client.send(&format!("POST {line}\r\n{host}Content-Length: 0\r\n\r\n"));
        sent.expect("it is open");
        let answered = client.answer().expect("an answer").status;
        assert_eq!(answered.to_string(), status, "{line} {host}");
    }
    assert!(
        !server.stdout().contains("Administration is served"),
        "{}",
        server.stdout()
    );
}
