//! `GET /metrics`: where it is, and that its numbers are what happened.

use testkit::http::{Answer, send};
use testkit::{Engine, Server};

/// What a scrape is answered, as OpenMetrics or in the older format.
fn scrape_as(server: &Server, accept: &str) -> Answer {
    let request = http::Request::get(format!("{}/metrics", server.admin_url())).header("Accept", accept);
    send(request.body(Vec::new()).expect("a request"))
}

#[test]
fn are_served_at_the_place_of_administration_without_a_token_and_nowhere_else() {
    let server = Server::shared(Engine::Embedded);
    let elsewhere = server.get("/metrics", &server.admin_token());
    assert_eq!((elsewhere.status, elsewhere.code()), (404, "not_found".to_owned()));
    let page = scrape_as(server, "application/openmetrics-text");
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .starts_with("application/openmetrics-text; version=1.0.0")
    );
    assert!(page.body.ends_with("# EOF\n"), "{}", page.body);
    let page = scrape_as(server, "*/*");
    assert!(page.header("content-type").starts_with("text/plain; version=0.0.4"));
}
