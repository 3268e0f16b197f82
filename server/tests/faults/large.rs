//! Messages of another program that are longer than any that this server takes: they are served all the same, to
//! whoever asks, catches up or listens.

use bson::oid::ObjectId;
use bson::{DateTime, Document, doc};
use serde_json::{Value, json};
use testkit::raw::Raw;
use testkit::{Engine, Server};

/// More than may wait for a connection, and more than one transport message of a client.
const LENGTH: usize = 6 << 20;

/// Stores a message as Mongoose does, now.
async fn store(uri: &str, from: &str, to: &str, letter: &str) {
    let client = mongodb::Client::with_uri_str(uri).await.expect("a client");
    let database = client.default_database().expect("it is named");
    let id = |user: &str| ObjectId::parse_str(user).expect("an id");
    let message = doc! {
        "sender": id(from), "receiver": id(to), "message": letter.repeat(LENGTH),
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
        runtime.block_on(store(uri, &a, &b, letter));
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
