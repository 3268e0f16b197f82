//! The pages for developers, in a headless Chromium and by their headers.

use std::fs;
use std::path::Path;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use testkit::chromium::chromium;
use testkit::{Engine, Server, Setup, http, node};

/// Runs a script in which all checks must hold.
fn run_checks(script: &str, argument: &Value) {
    assert_held(script, &node::run(script, argument), "");
}

fn assert_held(script: &str, reports: &[Value], stderr: &str) {
    let failed: Vec<&Value> = reports.iter().filter(|report| report["error"].is_string()).collect();
    let shown: Vec<String> = failed
        .iter()
        .map(|one| format!("{}: {}", one["check"], one["error"].as_str().unwrap_or_default()))
        .collect();
    assert!(
        failed.is_empty(),
        "{} checks of {script} failed:\n{}",
        failed.len(),
        shown.join("\n")
    );
    assert!(
        reports.iter().any(|report| report["done"] == true),
        "{script} did not come to its end\n{stderr}"
    );
}

/// A request with these headers, which replace those of the same name.
fn ask(server: &Server, method: &str, path: &str, headers: &[(&'static str, &str)]) -> http::Answer {
    let mut request = server.request(method, path, "", Vec::new());
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(*name, value.parse().expect("a header value"));
    }
    http::send(request)
}

#[test]
fn two_people_use_the_playground_with_all_its_devices() {
    let server = Setup::new(Engine::Embedded).env("DEV_HINTS", "true").start();
    run_checks("playground.js", &json!({ "url": server.url(), "chromium": chromium() }));
}

/// The picture of the README, from its root.
const PICTURE: &str = ".github/playground.jpg";

#[test]
fn the_readme_shows_a_small_picture_of_a_page_that_is_served() {
    let readme = fs::read_to_string(testkit::workspace().join("README.md")).expect("the README");
    assert!(
        readme.contains(&format!("]({PICTURE})")),
        "the README shows no {PICTURE}"
    );
    let bytes = fs::metadata(testkit::workspace().join(PICTURE))
        .expect("the picture")
        .len();
    assert!(bytes < 200_000, "{bytes} bytes");
    // Where the README says that it is.
    let server = Server::shared(Engine::Embedded);
    assert!(readme.contains("http://127.0.0.1:5000/playground"));
    let page = ask(server, "GET", "/playground", &[]);
    assert!(
        page.status == 200 && page.body.contains("<h1>Playground</h1>"),
        "{page:?}"
    );
}

/// Takes the picture anew: `cargo test -p server --test integration takes_the_picture -- --ignored`.
#[test]
#[ignore = "it changes a file"]
fn takes_the_picture_of_the_readme() {
    let server = Setup::new(Engine::Embedded).start();
    let screenshot = testkit::workspace().join(PICTURE);
    run_checks(
        "playground.js",
        &json!({ "url": server.url(), "chromium": chromium(), "screenshot": screenshot }),
    );
}

#[test]
fn the_client_of_the_pages_is_the_one_of_its_package() {
    let package = node::modules().join("socket.io-client");
    let vendor = testkit::workspace().join("server/pages/vendor");
    let same = |ours: &str, theirs: &Path| {
        let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            read(&vendor.join(ours)) == read(&package.join(theirs)),
            "{ours}: copy it anew"
        );
    };
    same("socket.io.esm.min.js", Path::new("dist/socket.io.esm.min.js"));
    same("LICENSE-socket.io-client", Path::new("LICENSE"));
}

#[test]
fn pages_are_kept_by_browsers_and_let_nothing_in() {
    let server = Server::shared(Engine::Embedded);
    let html = [("accept", "text/html")];
    for (path, kind) in [
        ("/", "text/html"),
        ("/playground", "text/html"),
        ("/Playground/", "text/html"),
        ("/pages/style.css", "text/css"),
        ("/pages/playground.js", "text/javascript"),
        ("/pages/socket.io.esm.min.js", "text/javascript"),
        ("/pages/icon.svg", "image/svg+xml"),
    ] {
        let answer = ask(server, "GET", path, &html);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").starts_with(kind), "{path}: {answer:?}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let policy = answer.header("content-security-policy");
        assert_eq!(
            policy.contains("default-src 'none'"),
            kind == "text/html",
            "{path}: {policy}"
        );
        assert!(
            !policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'),
            "{path}: {policy}"
        );
        let tag = answer.header("etag").to_owned();
        let again = ask(
            server,
            "GET",
            path,
            &[("accept", "text/html"), ("if-none-match", &format!("\"x\", W/{tag}"))],
        );
        assert_eq!((again.status, again.header("etag")), (304, &*tag), "{path}");
        let other = ask(
            server,
            "GET",
            path,
            &[("accept", "text/html"), ("if-none-match", "\"x\"")],
        );
        assert_eq!(other.status, 200, "{path}");
    }
    let about = ask(server, "GET", "/", &[]);
    assert!(
        about.header("content-type").starts_with("application/json"),
        "{about:?}"
    );
    assert!(about.header("vary").contains("accept"), "{about:?}");
    assert_eq!(ask(server, "GET", "/pages/nothing.js", &[]).status, 404);
}

#[test]
fn tokens_of_the_playground_are_for_its_page_on_this_machine() {
    let server = Setup::new(Engine::Embedded).start();
    let tokens = |headers: &[(&'static str, &str)]| ask(&server, "POST", "/playground/tokens", headers);
    let given = tokens(&[]);
    assert_eq!(given.status, 200, "{given:?}");
    let body = given.json();
    for (place, id) in ["playground-ada", "playground-grace"].iter().enumerate() {
        let player = &body["users"][place];
        assert_eq!(player["user"]["externalId"], *id, "{body}");
        let token = player["token"].as_str().expect("a token");
        let me = http::send(server.request("GET", "/users/me", token, Vec::new()));
        assert_eq!((me.status, &me.json()["_id"]), (200, &player["user"]["_id"]));
        let all = http::send(server.request("GET", "/users?limit=1", token, Vec::new()));
        assert_eq!(all.code(), "forbidden", "no administrator");
    }
    for (headers, code) in [
        (("origin", "http://evil.example"), "forbidden"),
        (("sec-fetch-site", "cross-site"), "forbidden"),
        (("host", "evil.example"), "not_found"),
        (("x-forwarded-for", "10.0.0.1"), "not_found"),
    ] {
        assert_eq!(tokens(&[headers]).code(), code, "{headers:?}");
    }
    assert_eq!(
        ask(&server, "GET", "/playground", &[("host", "evil.example")]).code(),
        "not_found"
    );
    // More than anybody needs are refused, with the time after which one is made again.
    let refused = (0..200).map(|_| tokens(&[])).find(|answer| answer.status != 200);
    let refused = refused.expect("there is a limit");
    assert_eq!((refused.status, &*refused.code()), (429, "rate_limited"));
    assert!(
        refused.json()["error"]["retryAfterMs"]
            .as_u64()
            .is_some_and(|ms| ms <= 1_000),
        "{refused:?}"
    );
}

#[test]
fn the_playground_is_off_unless_it_is_meant() {
    for (name, value) in [
        ("PLAYGROUND", "false"),
        ("HOST", "0.0.0.0"),
        ("TRUSTED_PROXIES", "127.0.0.1"),
    ] {
        let server = Setup::new(Engine::Embedded).env(name, value).start();
        for (method, path) in [("GET", "/playground"), ("POST", "/playground/tokens")] {
            assert_eq!(
                ask(&server, method, path, &[]).code(),
                "not_found",
                "{name}={value} {path}"
            );
        }
        let home = ask(&server, "GET", "/", &[("accept", "text/html")]);
        assert!(
            home.status == 200 && !home.body.contains("/playground"),
            "{name}={value}"
        );
    }
    let server = Setup::new(Engine::Embedded)
        .env("PLAYGROUND", "true")
        .env("HOST", "0.0.0.0")
        .env("USER_IDS", "external")
        .env("BASE_PATH", "/api")
        .start();
    let page = ask(
        &server,
        "GET",
        "/api/playground",
        &[("host", "chat.example.org"), ("x-forwarded-for", "10.0.0.1")],
    );
    assert!(
        page.status == 200 && page.body.contains("src=\"/api/pages/playground.js\""),
        "{page:?}"
    );
    let given = ask(&server, "POST", "/api/playground/tokens", &[]).json();
    let token = given["users"][0]["token"].as_str().expect("a token");
    let me = http::send(server.request("GET", "/api/users/me", token, Vec::new()));
    assert_eq!(me.json()["externalId"], "playground-ada", "{me:?}");
}

#[test]
fn the_reference_is_read_searched_and_tried() {
    let server = Setup::new(Engine::Embedded).start();
    let [me] = server.new_users();
    run_checks(
        "docs.js",
        &json!({
            "url": server.url(), "chromium": chromium(), "token": server.token(&me), "me": me,
        }),
    );
}

#[test]
fn a_page_of_another_origin_connects_comes_back_and_catches_up() {
    let mut server = Setup::new(Engine::Embedded).start();
    let refusing = Setup::new(Engine::Embedded)
        .env("CORS_ORIGINS", "https://app.example.com")
        .start();
    let [a, b] = server.new_users();
    let argument = json!({
        "url": server.url(), "refusing": refusing.url(), "chromium": chromium(),
        "a": a, "b": b, "tokenA": server.token(&a), "tokenB": server.token(&b),
    });
    let mut script = node::Script::start("foreign_page.js", &argument);
    let mut reports = Vec::new();
    while let Some(report) = script.report() {
        match report["ask"].as_str() {
            Some("stop") => {
                server.terminate();
                script.tell(&json!("stopped"));
            }
            Some("start") => {
                server.restart();
                script.tell(&json!("started"));
            }
            _ => reports.push(report),
        }
    }
    assert_held("foreign_page.js", &reports, &script.stderr());
}

#[test]
fn clients_are_told_about_their_mistakes() {
    let argument = |server: &Server, off: bool| {
        let [a, b] = server.new_users();
        let endless = testkit::token::sign(Algorithm::HS256, server.secret(), &json!({ "userId": a }));
        json!({ "url": server.url(), "a": a, "b": b, "token": server.token(&a), "endless": endless, "off": off })
    };
    let mut server = Setup::new(Engine::Embedded)
        .env("DEV_HINTS", "true")
        .env("JWT_REQUIRE_EXP", "false")
        .start();
    run_checks("hints.js", &argument(&server, false));
    server.terminate();
    let log = server.stderr();
    for code in [
        "no_acknowledgement",
        "no_client_message_id",
        "foreign_event",
        "token_without_end",
        "outdated_client",
    ] {
        let lines = log
            .lines()
            .filter(|line| line.contains("dev_hint: ") && line.contains(code));
        assert_eq!(lines.count(), 1, "{code} is logged once a minute:\n{log}");
    }
    let off = Setup::new(Engine::Embedded).env("DEV_HINTS", "false").start();
    run_checks("hints.js", &argument(&off, true));
}
