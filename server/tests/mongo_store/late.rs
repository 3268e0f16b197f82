//! Commits that took too long: no message is acknowledged with a time before everybody's cursors.

use bson::oid::ObjectId;
use bson::{DateTime, doc};
use futures_util::future::join;
use server::domain::NewMessage;
use server::domain::{Change, Conversation, Cursor, Mark, MarkKind};
use server::storage::{FeedStore, MessageStore, ReceiptStore, UserStore};
use shared::{SettingsChange, Timestamp, UserId};

use super::fixture::{Fixture, at, new_message, stored, users, with_client_id};

/// As taken by the server at a moment of the test's time.
fn made_at(seconds: i64, mut message: NewMessage) -> NewMessage {
    message.created_at = at(seconds);
    message
}

#[tokio::test]
async fn a_message_that_waited_in_the_queue_is_stored_as_changed_now() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let moment = |millis| Timestamp::from_millis(at(100).millis() + millis);
    fixture.clock.set(moment(0));
    for (waited, updated_at) in [(0, 0), (15_000, -15_000), (15_001, 0), (29_000, 0)] {
        let mut message = new_message(ada, bob, "text");
        message.created_at = moment(-waited);
        let mut expected = stored(&message);
        expected.as_mut().unwrap().message.updated_at = Some(moment(updated_at));
        let outcomes = store.append(std::slice::from_ref(&message)).await;
        assert_eq!(outcomes, [expected.clone()]);
        // It is stored as it is answered.
        let pair = Conversation::between(ada, bob);
        let read = store.message(pair, message.id).await.unwrap();
        assert_eq!(read, expected.ok().map(|appended| appended.message));
    }
    // Other nodes receive some of them; none was renewed.
    let renewals = fixture.all("renewals").await;
    assert!(
        renewals
            .iter()
            .all(|renewal| matches!(renewal.get_bool("renewed"), Ok(false)))
    );
    fixture.end([store]).await;
}

#[tokio::test]
async fn a_process_that_was_paused_while_it_committed_renews_before_it_answers() {
    let fixture = Fixture::new().await;
    let (store, other) = (fixture.open().await, fixture.open().await);
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let batch = [
        made_at(0, new_message(ada, bob, "one")),
        made_at(0, new_message(bob, ada, "two")),
    ];
    let since = other.cursor(other.committed_position());
    // The append has read the clock when it waits for the database for the first time.
    let pause = async { fixture.clock.set(at(31)) };
    let (outcomes, ()) = join(store.append(&batch), pause).await;
    for (new, outcome) in batch.iter().zip(outcomes) {
        let message = outcome.unwrap().message;
        assert_eq!(
            (message.created_at, message.updated_at),
            (Some(new.created_at), Some(at(31)))
        );
    }
    assert_eq!(fixture.all("renewals").await.len(), 2, "other nodes are told");
    // A client whose cursor comes after the first time, but was made before the answer, receives it.
    fixture.clock.set(at(61));
    let cursor = Cursor {
        point: at(1).millis(),
        ..since
    };
    let page = other.changes(ada, &cursor, 10).await.unwrap();
    assert_eq!(page.changes.len(), 2);
    fixture.end([store, other]).await;
}

#[tokio::test]
async fn a_message_that_was_stored_without_an_answer_is_renewed_when_it_is_sent_again() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let oid = |user: UserId| ObjectId::from_bytes(user.bytes());
    let first = made_at(0, with_client_id(new_message(ada, bob, "once"), "key"));
    let date = DateTime::from_millis(first.created_at.millis());
    // The network gave an insert to the database long after its sender had given up; so it was not acknowledged.
    let document = doc! { "_id": ObjectId::from_bytes(first.id.bytes()), "sender": oid(ada), "receiver": oid(bob),
    "message": "once", "createdAt": date, "updatedAt": date, "__v": 0, "clientMessageId": "key" };
    fixture.insert("messages", [document]).await;
    fixture.clock.set(at(120));
    let again = made_at(120, with_client_id(new_message(ada, bob, "once"), "key"));
    let outcome = store.append(&[again]).await.remove(0).unwrap();
    assert!(outcome.duplicate && outcome.message.id == first.id);
    assert_eq!(
        (outcome.message.created_at, outcome.message.updated_at),
        (Some(first.created_at), Some(at(120)))
    );
    let stored = fixture.all("messages").await.remove(0);
    assert_eq!(
        stored.get_datetime("updatedAt").unwrap().timestamp_millis(),
        at(120).millis()
    );
    assert_eq!(stored.get_datetime("createdAt").unwrap(), &date);

    // The very same message, given again in a batch with another outcome of its own: likewise.
    fixture.clock.set(at(200));
    let outcome = store.append(&[first]).await.remove(0).unwrap();
    assert!(!outcome.duplicate);
    assert_eq!(outcome.message.updated_at, Some(at(200)));
    fixture.end([store]).await;
}

#[tokio::test]
async fn marks_and_settings_that_took_too_long_are_renewed() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let message = made_at(0, new_message(bob, ada, "text"));
    assert!(store.append(std::slice::from_ref(&message)).await[0].is_ok());
    let mark = Mark {
        user: ada,
        peer: bob,
        kind: MarkKind::Read,
        up_to: message.id,
        at: at(0),
    };
    let (marked, ()) = join(store.mark(&[mark]), async { fixture.clock.set(at(31)) }).await;
    let marked = marked[0].clone().unwrap();
    assert!(marked.read_moved && marked.delivered_moved);
    assert_eq!(marked.marker.read.unwrap().at, at(0), "when it was said stays");
    let updated_at = |document: &bson::Document| document.get_datetime("updatedAt").unwrap().timestamp_millis();
    assert_eq!(updated_at(&fixture.all("markers").await[0]), at(31).millis());

    let invisible = SettingsChange {
        read_receipts: None,
        invisible: Some(true),
    };
    let change = store.change_settings(ada, invisible, at(31));
    let (changed, ()) = join(change, async { fixture.clock.set(at(62)) }).await;
    assert!(changed.unwrap().unwrap().invisible);
    let ada_now = fixture.all("users").await.remove(0);
    assert_eq!(updated_at(ada_now.get_document("settings").unwrap()), at(62).millis());

    // A client that was up to date before either was committed receives both.
    let cursor = Cursor {
        point: at(1).millis(),
        ..store.cursor(0)
    };
    let page = store.changes(ada, &cursor, 10).await.unwrap();
    assert!(matches!(page.changes[..], [Change::Marker(_), Change::Settings(_)]));
    fixture.end([store]).await;
}
