//! Rules that other programs gave the database: what they keep out is told at once and by its cause.

use bson::{Document, doc};
use mongodb::IndexModel;
use mongodb::options::IndexOptions;
use serde_json::{Value, json};
use testkit::raw::Raw;
use testkit::server::{fresh_database, with_database};
use testkit::{Server, Setup, mongod};

use crate::logged;
use crate::people::beside;

/// The answer to an event.
fn ask(server: &Server, user: &str, event: &str, payload: &Value) -> Value {
    let mut connection = Raw::connect(server);
    connection.authenticate(&server.token(user));
    connection
        .say(&format!("420[\"{event}\",{payload}]"))
        .expect("it is open");
    loop {
        let packet = connection.text().expect("an answer");
        if let Some(answer) = packet.strip_prefix("430") {
            let answer: Value = serde_json::from_str(answer).expect("an answer is JSON");
            return answer[0].clone();
        }
    }
}

fn send(server: &Server, from: &str, to: &str, more: &Value) -> Value {
    let mut payload = json!({"receiverId": to, "message": "hush"});
    for (name, value) in more.as_object().into_iter().flatten() {
        payload[name] = value.clone();
    }
    ask(server, from, "send_message", &payload)
}

fn assert_told(answer: &Value, words: &str) {
    assert_eq!(answer["error"]["code"], "internal", "{answer}");
    let message = answer["error"]["message"].as_str().expect("words");
    assert!(message.contains(words), "{message}");
}

#[test]
fn an_index_that_keeps_messages_out_is_named() {
    let uri = with_database(&mongod::uri(), &fresh_database());
    let server = Setup::on(&uri).start();
    let [a, b] = server.new_users();
    beside(&uri, |database| async move {
        let unique = IndexOptions::builder().unique(true).build();
        let index = IndexModel::builder().keys(doc! { "uuid": 1 }).options(unique).build();
        database.collection::<Document>("messages").create_index(index).await?;
        Ok(())
    });
    assert_eq!(
        send(&server, &a, &b, &json!({}))["ok"],
        true,
        "the first one has no uuid"
    );
    assert_told(&send(&server, &a, &b, &json!({})), "the unique index uuid_1");
    assert_told(
        &send(&server, &a, &b, &json!({"clientMessageId": "1"})),
        "the unique index uuid_1",
    );
}

#[test]
fn a_validator_is_said_at_the_start_and_where_it_keeps_something_out() {
    let uri = with_database(&mongod::uri(), &fresh_database());
    let [a, b] = Setup::on(&uri).start().new_users();
    beside(&uri, |database| async move {
        for (collection, known) in [
            ("messages", "sender receiver message createdAt updatedAt __v _id"),
            ("users", "username isOnline lastSeen onlineNodes __v _id"),
        ] {
            let fields: Document = known.split(' ').map(|name| (name.to_owned(), doc! {}.into())).collect();
            let schema = doc! { "$jsonSchema": { "additionalProperties": false, "properties": fields } };
            let change = doc! { "collMod": collection, "validator": schema };
            database.run_command(change).await?;
        }
        Ok(())
    });
    let server = Setup::on(&uri).start();
    for collection in ["messages", "users"] {
        let said = logged(&server, &format!("the collection {collection} has a validator"));
        assert!(said.len() == 1 && said[0].contains("WARN"), "{said:#?}");
    }
    assert_eq!(
        send(&server, &a, &b, &json!({}))["ok"],
        true,
        "it has the old fields alone"
    );
    assert_told(
        &send(&server, &a, &b, &json!({"clientMessageId": "1"})),
        "a validator of the database",
    );
    assert_told(
        &ask(&server, &a, "update_settings", &json!({"invisible": true})),
        "a validator of the database",
    );
    let answer = server.post("/users", &server.admin_token(), &json!({"username": "ada"}));
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert_told(&answer.json(), "a validator of the database");
}
