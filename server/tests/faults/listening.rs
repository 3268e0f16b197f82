//! Where the server listens: sockets in the file system, several places at once, and one of its own for administration.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::process::Process;
use testkit::raw::Raw;
use testkit::server::{SECRET, command};
use testkit::{Engine, Setup, token};

use crate::start::run_to_end;

/// A server with these settings, once it says that it listens at this file.
fn start_at(folder: &Path, listen: &str, settings: &[(&str, &str)]) -> Process {
    let mut command = command(folder);
    command.env("LISTEN", listen).env("JWT_SECRET", SECRET);
    command.env("ADMIN_LISTEN", format!("unix:{}/admin.sock", folder.display()));
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
    // Programs of this machine reach administration at a file of its own, and there alone.
    let admin = format!("Authorization: Bearer {}", token::admin(SECRET));
    let rebuild = |socket: &Path| ask(socket, &["-X", "POST", "-H", &admin], "/admin/rebuild");
    assert!(rebuild(&socket).ends_with(" 404"));
    assert!(rebuild(&folder.path().join("admin.sock")).ends_with(" 202"));

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

/// A free port for a moment.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is one");
    listener.local_addr().expect("it is bound").port()
}

#[test]
fn administration_has_a_place_of_its_own() {
    let port = free_port();
    let server = Setup::new(Engine::Embedded)
        .env("HOST", "0.0.0.0")
        .env("ADMIN_LISTEN", format!("127.0.0.1:{port}"))
        .env("MAX_CONNECTIONS", 8)
        .start();
    let [user] = server.new_users();
    let (admin, user) = (server.admin_token(), server.token(&user));
    for (port, token, status) in [
        (server.port(), &*admin, 404),
        (server.port(), "", 404),
        (port, "", 401),
        (port, &*user, 403),
        (port, &*admin, 202),
    ] {
        assert_eq!(administers(port, token, &[]), status);
    }
    // However a proxy passes it on.
    for line in [
        "/admin/rebuild HTTP/1.1\r\nHost: localhost",
        "http://localhost/admin/rebuild HTTP/1.1\r\nHost: localhost",
        "/admin/rebuild HTTP/1.0",
        "/admin/rebuild HTTP/1.1\r\nHost:",
    ] {
        let mut client = Raw::connect(&server);
        let sent = client.send(format!(
            "POST {line}\r\nAuthorization: Bearer {admin}\r\nContent-Length: 0\r\n\r\n"
        ));
        sent.expect("it is open");
        assert_eq!(client.answer().expect("an answer").status, 404, "{line}");
    }
    // However many clients there are.
    let held: Vec<Raw> = (0..40).map(|_| Raw::connect(&server)).collect();
    assert_eq!(administers(port, &admin, &[]), 202);
    drop(held);
}

#[test]
fn a_place_of_administration_that_is_taken_is_named() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("there is one");
    let taken = held.local_addr().expect("it is bound").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let ended = run_to_end(folder.path(), &[], &[("PORT", "0"), ("ADMIN_LISTEN", &taken)]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let said = format!("ADMIN_LISTEN={taken} is in use");
    assert!(
        ended.stderr.contains(&said) && ended.stderr.contains("or off"),
        "{}",
        ended.stderr
    );
    // The place that it has by default can be taken, too.
    let port = held.local_addr().expect("it is bound").port() - 100;
    let ended = run_to_end(folder.path(), &[], &[("PORT", &port.to_string())]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
    // One place for both is seen before anything is opened.
    for arguments in [&[][..], &["--check-config"]] {
        let ended = run_to_end(
            folder.path(),
            arguments,
            &[("PORT", "5000"), ("ADMIN_LISTEN", "127.0.0.1:5000")],
        );
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains("clients are served at 127.0.0.1:5000 by PORT"), "{said}");
    }
}

#[test]
fn administration_is_served_nowhere_if_it_is_off() {
    let server = Setup::new(Engine::Embedded).env("ADMIN_LISTEN", "off").start();
    assert_eq!(administers(server.port(), &server.admin_token(), &[]), 404);
    assert!(!server.stdout().contains("Administration"), "{}", server.stdout());
}
