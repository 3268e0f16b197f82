//! Whether the server lives and whether it can work, for whoever watches it.

use testkit::Server;

use crate::on_both_engines;

on_both_engines!(is_told_without_a_token);

fn is_told_without_a_token(server: &Server) {
    let alive = server.get("/healthz", "");
    assert_eq!(alive.status, 200, "{}", alive.body);
    let ready = server.get("/readyz", "");
    assert_eq!(
        (ready.status, &ready.json()["ready"]),
        (200, &true.into()),
        "{}",
        ready.body
    );
}
