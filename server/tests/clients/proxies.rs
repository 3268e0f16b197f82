//! What proxies make of a client's request for a WebSocket.

use testkit::raw::Raw;
use testkit::{Engine, Setup};

use crate::logged;

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// nginx, as it comes, takes these headers off. A client that is answered as if they were there waits until it gives up, where
/// it could have been told at once and poll.
#[test]
fn a_websocket_that_a_proxy_makes_impossible_is_refused_at_once() {
    let server = Setup::new(Engine::Embedded).start();
    let path = "/socket.io/?EIO=4&transport=websocket";
    for headers in [
        "",
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "Connection: Upgrade\r\n",
        "Upgrade: websocket\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade\r\n",
    ] {
        let mut connection = Raw::connect(&server);
        connection.get(path, &format!("{KEY}{headers}")).expect("it is sent");
        let answer = connection.answer().expect("an answer");
        assert_eq!(answer.status, 400, "{headers:?}");
        assert_eq!(answer.body, r#"{"code":3,"message":"Bad request"}"#, "{headers:?}");
    }
    let session = Raw::connect(&server).begin_polling().replace("polling", "websocket");
    let mut connection = Raw::connect(&server);
    connection.get(&session, KEY).expect("it is sent");
    assert_eq!(connection.answer().expect("an answer").status, 400);
    let said = logged(&server, "without asking for an upgrade");
    assert!(said.len() == 1 && said[0].contains("proxy"), "once a minute: {said:#?}");

    let mut connection = Raw::connect(&server);
    let headers = format!("{KEY}UPGRADE: WebSocket\r\nConnection: keep-alive, Upgrade\r\n");
    connection.get(path, &headers).expect("it is sent");
    assert_eq!(connection.answer().expect("an answer").status, 101);
}
