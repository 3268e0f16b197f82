//! Users of old databases, and names that look the same.

use bson::doc;
use mongodb::IndexModel;
use mongodb::options::IndexOptions;
use serde_json::json;
use testkit::http::Answer;
use testkit::server::{fresh_database, with_database};
use testkit::{Engine, Server, Setup, mongod};

fn create(server: &Server, name: &str) -> Answer {
    server.post("/users", &server.admin_token(), &json!({"username": name}))
}

/// Does something to the database of a server, as another program would.
pub(crate) fn beside<F: Future<Output = mongodb::error::Result<()>>>(
    uri: &str,
    work: impl FnOnce(mongodb::Database) -> F,
) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(uri).await.expect("it is reached");
        let database = client.default_database().expect("a name in the address");
        work(database).await.expect("it is done");
        client.shutdown().await;
    });
}

#[test]
fn an_index_of_another_program_is_named() {
    let uri = with_database(&mongod::uri(), &fresh_database());
    let server = Setup::on(&uri).start();
    beside(&uri, |database| async move {
        let unique = IndexOptions::builder().unique(true).build();
        let index = IndexModel::builder().keys(doc! { "email": 1 }).options(unique).build();
        database
            .collection::<bson::Document>("users")
            .create_index(index)
            .await?;
        Ok(())
    });
    assert_eq!(create(&server, "ada").status, 200, "the first one has no email");
    let answer = create(&server, "grace");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (500, "internal"),
        "{}",
        answer.body
    );
    assert!(answer.body.contains("email_1"), "{}", answer.body);
    assert_eq!(
        create(&server, "ada").json()["users"][0]["created"],
        false,
        "whoever is there is found"
    );
}

#[test]
fn a_name_is_composed_and_old_ones_are_found_all_the_same() {
    let uri = with_database(&mongod::uri(), &fresh_database());
    beside(&uri, |database| async move {
        let old = doc! { "username": "Rene\u{301}", "isOnline": false };
        database.collection("users").insert_one(old).await?;
        Ok(())
    });
    let server = Setup::on(&uri).start();
    let spellings = ["Ren\u{e9}", "Rene\u{301}"];
    let ids: Vec<_> = spellings
        .iter()
        .map(|name| {
            let user = &create(&server, name).json()["users"][0];
            assert_eq!(user["created"], false);
            user["_id"].clone()
        })
        .collect();
    assert_eq!(ids[0], ids[1]);
    for name in ["Ren%C3%A9", "Rene%CC%81"] {
        let found = server
            .get(&format!("/users?username={name}"), &server.admin_token())
            .json();
        assert_eq!(found["users"][0]["_id"], ids[0], "{name}");
        assert_eq!(found["users"].as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn a_new_name_is_composed_and_can_be_seen() {
    for engine in [Engine::Embedded, Engine::Mongo] {
        let server = Server::shared(engine);
        let unique = fresh_database();
        let composed = format!("Zoe\u{308} of {unique}");
        let first = create(server, &composed).json()["users"][0].clone();
        assert_eq!(first["username"], format!("Zo\u{eb} of {unique}"));
        let again = create(server, &format!("Zo\u{eb} of {unique}")).json()["users"][0].clone();
        assert_eq!((&again["_id"], &again["created"]), (&first["_id"], &json!(false)));
        for invisible in ["\u{200b}", "\u{3164}", "\u{2060}\u{feff}"] {
            let answer = create(server, invisible);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, "invalid_request"),
                "{invisible:?}"
            );
        }
    }
}
