//! Messages of another program that are longer than any that this server takes: they are served all the same, to
//! whoever asks, catches up or listens.

use bson::oid::ObjectId;
use bson::{DateTime, Document, doc};
use serde_json::{Value, json};
use testkit::raw::Raw;
use testkit::{Engine, Server};

/// More than may wait for a connection, and more than one transport message of a client.
const LENGTH: usize = 6 << 20;

/// Stores a message of a length as Mongoose does, now.
async fn store(uri: &str, from: &str, to: &str, letter: &str, length: usize) {
    let client = mongodb::Client::with_uri_str(uri).await.expect("a client");
    let database = client.default_database().expect("it is named");
    let id = |user: &str| ObjectId::parse_str(user).expect("an id");
    let message = doc! {
        "sender": id(from), "receiver": id(to), "message": letter.repeat(length),
        "createdAt": DateTime::now(), "updatedAt": DateTime::now(), "__v": 0,
    };
    let messages = database.collection::<Document>("messages");
    messages.insert_one(message).await.expect("it is stored");
}

/// Connects, and is sent what was missed since a cursor.
fn connect(server: &Server, user: &str, since: &str) -> Raw {
    let mut client = Raw::connect(server);
    client.upgrade();
    let auth = json!({"token": server.token(user), "since": since});
    client.say(&format!("40{auth}")).expect("it is open");
    client
}

/// The arguments of the next event of a name.
fn event(client: &mut Raw, name: &str) -> Vec<Value> {
    loop {
        let text = client.text().expect("it is not ended");
        let Some(event) = text.strip_prefix("42") else { continue };
        let mut event: Vec<Value> = serde_json::from_str(event).expect("JSON");
        if event[0] == name {
            event.remove(0);
            return event;
        }
    }
}

#[test]
fn messages_are_served_that_are_longer_than_what_may_wait() {
    let server = Server::start(Engine::Mongo);
    let uri = server.mongo_uri().expect("it has one");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let [a, b] = server.new_users();
    let received = format!("receive_message_{b}");
    let length = |arguments: &[Value]| arguments[0]["message"].as_str().map(str::len);

    // Live.
    let mut listens = connect(&server, &b, "");
    let cursor = event(&mut listens, "sync_done")[0]["next"].clone();
    for letter in ["x", "y"] {
        runtime.block_on(store(uri, &a, &b, letter, LENGTH));
        assert_eq!(length(&event(&mut listens, &received)), Some(LENGTH));
        // Which brings it once more. Two may not wait at a time.
        event(&mut listens, "conversation_updated");
    }
    // To whoever was away.
    let mut was_away = connect(&server, &b, cursor.as_str().expect("a text"));
    for _ in 0..2 {
        assert_eq!(length(&event(&mut was_away, &received)), Some(LENGTH));
    }
    event(&mut was_away, "sync_done");
    // To whoever asks.
    was_away
        .say(&format!("427{}", json!(["sync", {"since": cursor}])))
        .expect("it is open");
    let mut texts = Vec::new();
    while texts.len() < 2 {
        let answer = was_away.text().expect("it is not ended");
        let Some(answer) = answer.strip_prefix("437") else {
            continue;
        };
        let answer: Value = serde_json::from_str(answer).expect("JSON");
        assert_eq!(answer[0]["ok"], true, "{:.200}", answer.to_string());
        let events = answer[0]["events"].as_array().expect("events");
        texts.extend(
            events
                .iter()
                .map(|event| event["message"]["message"].as_str().map(str::len)),
        );
        let next = json!(["sync", {"since": answer[0]["next"]}]);
        was_away.say(&format!("427{next}")).expect("it is open");
    }
    assert_eq!(texts, [Some(LENGTH); 2]);
    // In the history, whole and as a page.
    assert_eq!(server.history(&a, &b).len(), 2);
    let page = server.get(&format!("/chat/history/{a}/{b}?limit=2"), &server.token(&a));
    assert_eq!(page.json().as_array().map(Vec::len), Some(2), "{:.200}", page.body);
}

/// Lengths of messages that are missed in a row. Each is more than may wait beside what may be unwritten before it, or
/// with the conversation that brings it once more.
const MISSED: [usize; 8] = [100, 1_200_000, 100, 3_000_000, 900_000, 900_000, 1_000_000, 100];

/// The events of one kind of transport up to a name.
enum Client {
    Socket(Raw),
    Polls(Raw, String),
}

impl Client {
    fn next(&mut self) -> Vec<String> {
        match self {
            Self::Socket(client) => vec![client.text().expect("it is not ended")],
            Self::Polls(client, session) => {
                client.get(session, "").expect("it is open");
                let answer = client.answer().expect("an answer");
                assert_eq!(answer.status, 200, "{:.200}", answer.body);
                let packets: Vec<String> = answer.body.split('\u{1e}').map(str::to_owned).collect();
                if packets.iter().any(|packet| packet == "2") {
                    client.post(session, "3").expect("it is open");
                    client.answer().expect("an answer");
                }
                assert!(!packets.iter().any(|packet| packet == "1"), "it is ended");
                packets
            }
        }
    }

    /// Leaves; a session that only polls no more would go on listening.
    fn leave(self) {
        match self {
            Self::Socket(client) => client.close(),
            Self::Polls(mut client, session) => {
                client.post(&session, "1").expect("it is open");
                client.answer().expect("an answer");
            }
        }
    }

    /// The name and the length of the message in each event, the last one of this name.
    fn until(&mut self, name: &str) -> Vec<(String, usize)> {
        let mut events = Vec::new();
        loop {
            for packet in self.next() {
                let Some(event) = packet.strip_prefix("42") else {
                    continue;
                };
                let event: Vec<Value> = serde_json::from_str(event).expect("JSON");
                let text = |message: &Value| message["message"].as_str().map_or(0, str::len);
                let length = text(&event[1]).max(text(&event[1]["lastMessage"]));
                let event = event[0].as_str().expect("a name").to_owned();
                events.push((event.clone(), length));
                if event == name {
                    return events;
                }
            }
        }
    }
}

fn client(server: &Server, user: &str, since: &Value, polls: bool) -> Client {
    if !polls {
        return Client::Socket(connect(server, user, since.as_str().unwrap_or_default()));
    }
    let mut client = Raw::connect(server);
    let session = client.begin_polling();
    let auth = json!({"token": server.token(user), "since": since});
    client.post(&session, &format!("40{auth}")).expect("it is open");
    assert_eq!(client.answer().expect("an answer").status, 200);
    Client::Polls(client, session)
}

#[test]
fn whoever_missed_messages_of_any_length_catches_up() {
    let server = Server::start(Engine::Mongo);
    let uri = server.mongo_uri().expect("it has one");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // One at a time, whose conversation has the same text.
    for length in [1_000_000, 1_500_000, 16_000_000] {
        let ([a, b], cursor) = newcomers(&server);
        runtime.block_on(store(uri, &a, &b, "x", length));
        for polls in [false, true] {
            let mut client = client(&server, &b, &cursor, polls);
            let mut events = client.until("sync_done");
            let received = (format!("receive_message_{b}"), length);
            assert!(events.contains(&received), "{length} {polls} {events:?}");
            // The store can come to know of it a moment later.
            let updated = ("conversation_updated".to_owned(), length);
            while !events.contains(&updated) {
                events = client.until("conversation_updated");
            }
            client.leave();
        }
    }
    // Several.
    let ([a, b], cursor) = newcomers(&server);
    for length in MISSED {
        runtime.block_on(store(uri, &a, &b, "x", length));
    }
    let received = format!("receive_message_{b}");
    for polls in [false, true] {
        let mut client = client(&server, &b, &cursor, polls);
        let events = client.until("sync_done");
        client.leave();
        // What is told live meanwhile comes beside it, any number of times.
        let mut missed = MISSED.iter().peekable();
        for (_, length) in events.iter().filter(|(name, _)| *name == received) {
            missed.next_if_eq(&length);
        }
        assert_eq!(missed.next(), None, "{polls} {events:?}");
    }
    // Live, one right after the other, to both.
    let ([a, b], cursor) = newcomers(&server);
    let received = format!("receive_message_{b}");
    let mut listen = [false, true].map(|polls| client(&server, &b, &cursor, polls));
    for client in &mut listen {
        client.until("sync_done");
    }
    let lengths = [1_200_000, 100, 3_000_000, 900_000, 900_000];
    for length in lengths {
        runtime.block_on(store(uri, &a, &b, "y", length));
    }
    for mut client in listen {
        let mut heard = Vec::new();
        while heard.len() < lengths.len() {
            let events = client.until(&received);
            heard.extend(events.into_iter().filter(|(name, _)| *name == received));
        }
        assert!(heard.iter().map(|(_, length)| *length).eq(lengths), "{heard:?}");
        client.until("conversation_updated");
    }
}

/// Two users, and the second one's cursor from before anything.
fn newcomers(server: &Server) -> ([String; 2], Value) {
    let users = server.new_users();
    let mut client = connect(server, &users[1], "");
    let cursor = event(&mut client, "sync_done")[0]["next"].clone();
    client.close();
    (users, cursor)
}
