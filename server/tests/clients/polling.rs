//! python-engineio takes 16 packets of one poll, and reconnects for ever if it is given more.

use serde_json::{Value, json};
use testkit::raw::Raw;
use testkit::{Engine, Server, node};

const PYTHON: &str = "User-Agent: python-requests/2.31.0\r\n";

/// What such a client takes.
const PACKETS: usize = 16;

const MESSAGES: usize = 60;

fn send_many(server: &Server, from: &str, to: &str) {
    let texts: Vec<String> = (0..MESSAGES).map(|number| format!("number {number};")).collect();
    let reports = node::run(
        "send.js",
        &json!({"url": server.url(), "transport": "websocket", "token": server.token(from), "receiver": to, "texts": texts}),
    );
    assert_eq!(reports.len(), MESSAGES + 1, "an answer to each: {reports:?}");
}

/// The numbers of the messages that polls bring, until all have come.
fn poll_all(client: &mut Raw, session: &str, headers: &str, most: usize) -> Vec<usize> {
    let mut numbers = Vec::new();
    while numbers.len() < MESSAGES {
        client.get(session, headers).expect("it is open");
        let answer = client.answer().expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let packets: Vec<&str> = answer.body.split('\x1e').collect();
        assert!(packets.len() <= most, "{} packets at once", packets.len());
        for packet in packets.into_iter().filter(|packet| packet.contains("receive_message_")) {
            let (_, rest) = packet.split_once("number ").expect("a text");
            numbers.push(rest[..rest.find(';').expect("its end")].parse().expect("a number"));
        }
    }
    numbers
}

#[test]
fn clients_of_python_are_given_few_packets_at_once() {
    let server = Server::shared(Engine::Embedded);
    let [a, b] = server.new_users();
    let token = server.token(&b);
    let cursor = server.get("/chat/sync", &token).json()["next"].clone();
    let expected: Vec<usize> = (0..MESSAGES).collect();

    // A burst, as it happens.
    let mut live = Raw::connect(server);
    let session = live.authenticate_polling(&token);
    send_many(server, &a, &b);
    assert_eq!(poll_all(&mut live, &session, PYTHON, PACKETS), expected);

    // What was missed.
    let mut back = Raw::connect(server);
    let session = back.begin_polling();
    let auth: Value = json!({"token": token, "since": cursor});
    back.post(&session, &format!("40{auth}")).expect("it is open");
    assert_eq!(back.answer().expect("an answer").status, 200);
    assert_eq!(poll_all(&mut back, &session, PYTHON, PACKETS), expected);
}

#[test]
fn nothing_is_lost_where_such_a_client_becomes_a_websocket() {
    let server = Server::shared(Engine::Embedded);
    let [a, b] = server.new_users();
    let mut polling = Raw::connect(server);
    let session = polling.authenticate_polling(&server.token(&b));
    send_many(server, &a, &b);
    polling.get(&session, PYTHON).expect("it is open");
    let first = polling.answer().expect("an answer").body;
    assert_eq!(first.split('\x1e').count(), PACKETS);

    let mut socket = Raw::connect(server);
    let headers = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    socket
        .get(&session.replace("transport=polling", "transport=websocket"), headers)
        .expect("it is open");
    let mut heard = first.matches("receive_message_").count();
    while heard < MESSAGES {
        polling.get(&session, PYTHON).expect("it is open");
        heard += polling
            .answer()
            .expect("an answer")
            .body
            .matches("receive_message_")
            .count();
    }
    assert_eq!(heard, MESSAGES);
    assert_eq!(socket.answer().expect("an answer").status, 101);
    socket.say("2probe").expect("it is open");
    assert_eq!(socket.text().as_deref(), Some("3probe"));
}
