//! The documents written here, and what the server has to do to read them.

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};
use futures_util::TryStreamExt;
use server::domain::{Bounds, Conversation, End, Position};
use server::storage::{AppendError, MessageStore, UserStore};

use super::fixture::{Fixture, at, history, name, new_message, stored, users, with_client_id};

#[tokio::test]
async fn documents_are_mongooses() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let plain = new_message(ada, bob, "hello");
    let keyed = with_client_id(new_message(bob, bob, "to myself"), "k-1");
    assert_eq!(
        store.append(&[plain.clone(), keyed.clone()]).await,
        [stored(&plain), stored(&keyed)]
    );

    let [ada, bob] = [ada, bob].map(|user| Bson::ObjectId(user.to_string().parse().unwrap()));
    let date = |message: &server::domain::NewMessage| DateTime::from_millis(message.created_at.millis());
    let id = |message: &server::domain::NewMessage| Bson::ObjectId(message.id.to_string().parse().unwrap());
    // Documents are equal only if types and order are.
    assert_eq!(
        fixture.all("messages").await,
        [
            doc! { "_id": id(&plain), "sender": &ada, "receiver": &bob, "message": "hello",
            "createdAt": date(&plain), "updatedAt": date(&plain), "__v": 0_i32 },
            doc! { "_id": id(&keyed), "sender": &bob, "receiver": &bob, "message": "to myself",
            "createdAt": date(&keyed), "updatedAt": date(&keyed), "__v": 0_i32, "clientMessageId": "k-1" },
        ]
    );
    let keys: Vec<Vec<String>> = fixture
        .all("messages")
        .await
        .iter()
        .map(|document| document.keys().cloned().collect())
        .collect();
    let order = [
        "_id",
        "sender",
        "receiver",
        "message",
        "createdAt",
        "updatedAt",
        "__v",
        "clientMessageId",
    ];
    assert_eq!(keys, [&order[..7], &order]);
    assert_eq!(
        fixture.all("users").await,
        [("ada", &ada), ("bob", &bob)].map(|(name, id)| {
            doc! { "_id": id, "username": name, "isOnline": false, "usernameKey": name, "__v": 0_i32 }
        })
    );
    fixture.end([store]).await;
}

#[tokio::test]
async fn the_first_message_of_a_client_id_wins_on_every_node() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.open().await, fixture.open().await);
    let [ada, bob] = users(&one, ["ada", "bob"]).await;
    let first = with_client_id(new_message(ada, bob, "once"), "k");
    let other = with_client_id(new_message(ada, bob, "else"), "k");
    let receiver = with_client_id(new_message(ada, ada, "once"), "k");
    let sender = with_client_id(new_message(bob, ada, "once"), "k");
    assert_eq!(one.append(std::slice::from_ref(&first)).await, [stored(&first)]);

    let again = with_client_id(new_message(ada, bob, "once"), "k");
    let stranger = new_message(ada, "000000000000000000000001".parse().unwrap(), "x");
    let fresh = new_message(ada, bob, "new");
    let batch = [again, other, receiver, sender.clone(), stranger, fresh.clone()];
    let mut duplicate = stored(&first);
    duplicate.as_mut().unwrap().duplicate = true;
    let conflict = || Err(AppendError::Conflict);
    assert_eq!(
        two.append(&batch).await,
        [
            duplicate,
            conflict(),
            conflict(),
            stored(&sender),
            Err(AppendError::UnknownReceiver),
            stored(&fresh)
        ]
    );
    assert_eq!(history(&two, ada, bob).await.len(), 3);
    fixture.end([one, two]).await;
}

#[tokio::test]
async fn names_stay_unique_when_processes_race() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.open().await, fixture.open().await);
    let names: Vec<_> = (0..200).map(|number| name(&format!("user {number}"))).collect();
    let reversed: Vec<_> = names.iter().rev().cloned().collect();
    let (first, second) = tokio::join!(one.create_users(&names, at(0)), two.create_users(&reversed, at(0)));
    let (first, mut second) = (first.unwrap(), second.unwrap());
    second.reverse();
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(first.0, second.0);
        assert!(first.1 != second.1, "created by exactly one: {first:?} {second:?}");
    }
    assert_eq!(fixture.all("users").await.len(), names.len());

    // A name that another program took from its user can be given again.
    let rename = doc! { "$set": { "username": "renamed" } };
    fixture
        .collection("users")
        .update_one(doc! { "username": "user 7" }, rename)
        .await
        .unwrap();
    let (user, created) = one.create_users(&names[7..8], at(0)).await.unwrap().remove(0);
    assert!(created && user.id != first[7].0.id);
    fixture.end([one, two]).await;
}

#[tokio::test]
async fn reads_examine_about_as_many_keys_as_they_return() {
    const COUNT: usize = 4_000;
    const LIMIT: usize = 50;
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    for chunk in 0..COUNT / 500 {
        let pair = |number| [(ada, bob), (bob, ada), (ada, ada)][number % 3];
        let batch: Vec<_> = (chunk * 500..(chunk + 1) * 500)
            .map(|number| with_client_id(new_message(pair(number).0, pair(number).1, "text"), &number.to_string()))
            .collect();
        assert!(store.append(&batch).await.iter().all(Result::is_ok));
    }
    let whole = history(&store, ada, bob).await;
    let middle = Some(Position::of(&whole[whole.len() / 2]));
    let late = Some(Position::of(&whole[whole.len() / 2 + 500]));
    let (pair, oneself) = (Conversation::between(ada, bob), Conversation::between(ada, ada));

    fixture.database.run_command(doc! { "profile": 2 }).await.unwrap();
    for conversation in [pair, oneself] {
        for end in [End::Oldest, End::Newest] {
            for (after, before) in [(None, None), (middle, None), (None, middle), (middle, late)] {
                let page = store
                    .page(conversation, Bounds { after, before }, end, LIMIT)
                    .await
                    .unwrap();
                assert_eq!(page.len(), LIMIT);
            }
        }
    }
    let repeated = with_client_id(new_message(ada, bob, "text"), "3");
    assert!(store.append(&[repeated]).await[0].as_ref().unwrap().duplicate);
    fixture.database.run_command(doc! { "profile": 0 }).await.unwrap();

    let mut pages = 0;
    for profile in fixture
        .database
        .collection::<Document>("system.profile")
        .find(doc! { "op": "query", "command.comment": { "$ne": "follower" } })
        .await
        .unwrap()
        .try_collect::<Vec<_>>()
        .await
        .unwrap()
    {
        let number = |field: &str| profile.get(field).and_then(Bson::as_i32).unwrap_or_default() as usize;
        let (keys, docs) = (number("keysExamined"), number("docsExamined"));
        let ns = profile.get_str("ns").unwrap();
        if !ns.ends_with(".messages") {
            continue;
        }
        pages += 1;
        assert!(!profile.get_bool("hasSortStage").unwrap_or(false), "{profile}");
        assert!(
            keys <= LIMIT + 8 && (1..=LIMIT + 4).contains(&docs),
            "{keys} keys, {docs} documents: {profile}"
        );
    }
    assert_eq!(pages, 17, "sixteen pages and the look-up of a duplicate");
    fixture.end([store]).await;
}

#[tokio::test]
async fn a_user_whom_another_program_deleted_is_soon_no_receiver() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let first = new_message(ada, bob, "text");
    assert_eq!(store.append(std::slice::from_ref(&first)).await, [stored(&first)]);
    let gone = doc! { "_id": ObjectId::from_bytes(bob.bytes()) };
    fixture.collection("users").delete_one(gone).await.unwrap();
    fixture.clock.set(at(61));
    let outcomes = store.append(&[new_message(ada, bob, "text")]).await;
    assert_eq!(outcomes, [Err(AppendError::UnknownReceiver)]);
    fixture.end([store]).await;
}
