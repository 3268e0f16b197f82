//! The pages for developers, in a headless Chromium and by their headers.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testkit::chromium::chromium;
use testkit::{Engine, Server, Setup, http, node};

/// Runs a script in which all checks must hold.
fn run_checks(script: &str, argument: &Value) {
    let reports = node::run(script, argument);
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
        "{script} did not come to its end"
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
    let server = Server::start(Engine::Embedded);
    let screenshot = std::env::var("SCREENSHOT").ok();
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
