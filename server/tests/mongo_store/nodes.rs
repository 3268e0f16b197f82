//! Several nodes and a Mongoose program on one database: the others receive what one writes, even if it dies.

use std::time::Duration;

use bson::oid::ObjectId;
use bson::{DateTime, doc};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use server::chat::MessageIdGenerator;
use server::domain::NewMessage;
use server::domain::{Change, Mark, MarkKind, RemoteChange};
use server::storage::mongodb::MongoStore;
use server::storage::{AccessStore, FeedStore, InboxStore, MessageStore, ReceiptStore, UserStore};
use shared::{MessageId, SettingsChange, UserId};

use super::fixture::{Fixture, at, mongooses, new_message, until, users};

/// A server's message_ids, by the test's clock.
pub(crate) fn new_mint(fixture: &Fixture) -> MessageIdGenerator {
    MessageIdGenerator::new(fixture.clock.for_store(0), None)
}

/// A message with an id as a server mints it.
pub(crate) fn minted(message_ids: &MessageIdGenerator, sender: UserId, receiver: UserId) -> NewMessage {
    let (created_at, id) = message_ids.next();
    NewMessage {
        id,
        created_at,
        ..new_message(sender, receiver, "text")
    }
}

pub(crate) fn id(document: &bson::Document) -> MessageId {
    MessageId::from_bytes(document.get_object_id("_id").unwrap().bytes())
}

/// The ids of the next `count` messages that are received, each counted once, from the smallest one on.
pub(crate) async fn hear(foreign: &mut BoxStream<'static, Vec<RemoteChange>>, count: usize) -> Vec<MessageId> {
    let mut heard = hear_in_order(foreign, count).await;
    heard.sort();
    heard
}

/// The same, as they are received.
async fn hear_in_order(foreign: &mut BoxStream<'static, Vec<RemoteChange>>, count: usize) -> Vec<MessageId> {
    let mut heard = Vec::new();
    while heard.len() < count {
        for change in foreign.next().await.unwrap() {
            if let RemoteChange::Message(message) = change
                && !heard.contains(&message.id)
            {
                heard.push(message.id);
            }
        }
    }
    heard
}

pub(crate) async fn peers(store: &MongoStore, user: UserId) -> Vec<(UserId, MessageId)> {
    let inbox = store.inbox(user, None, 100).await.unwrap();
    inbox.into_iter().map(|entry| (entry.peer, entry.last.id)).collect()
}

#[tokio::test]
async fn nodes_hear_each_other_and_not_themselves() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.open().await, fixture.open_skewed(5_000).await);
    let [ada, bob] = users(&one, ["ada", "bob"]).await;
    let mut heard_by_one = one.remote_changes();
    let mut heard_by_two = two.remote_changes();
    let mints = [new_mint(&fixture), new_mint(&fixture)];
    let first = [minted(&mints[0], ada, bob), minted(&mints[0], bob, ada)];
    let second = [minted(&mints[1], ada, bob), minted(&mints[1], ada, ada)];
    assert!(one.append(&first).await.iter().all(Result::is_ok));
    assert!(two.append(&second).await.iter().all(Result::is_ok));
    // If a node received its own, there would be others among the first two.
    assert_eq!(hear(&mut heard_by_one, 2).await, second.each_ref().map(|new| new.id));
    assert_eq!(hear(&mut heard_by_two, 2).await, first.each_ref().map(|new| new.id));

    let mark = |user, peer, up_to| Mark {
        user,
        peer,
        kind: MarkKind::Read,
        up_to,
        at: fixture.clock.now(),
    };
    let marked = one.mark(&[mark(bob, ada, first[0].id)]).await.remove(0).unwrap();
    let marker = loop {
        match heard_by_two.next().await.unwrap().remove(0) {
            RemoteChange::Marker(marker) => break marker,
            RemoteChange::Message(_) => {} // At least once: it may come again.
            RemoteChange::Settings(_) => panic!("nobody has changed any"),
        }
    };
    assert_eq!(marker, marked.marker);
    fixture.end([one, two]).await;
}

/// Each time by which of the two stores it is changed, and each change but once.
#[tokio::test]
async fn nodes_learn_within_a_second_who_is_shut_out() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.open().await, fixture.open_skewed(20_000).await);
    let [ada, bob] = users(&one, ["ada", "bob"]).await;
    let mut changes = [one.access_changes(), two.access_changes()];
    for (number, user) in [ada, bob, ada, ada].into_iter().enumerate() {
        let store = [&one, &two][number % 2];
        let begun = std::time::Instant::now();
        match number {
            3 => store.set_ban(user, None).await.unwrap().unwrap(),
            _ => store.revoke(user, at(number as i64)).await.unwrap().unwrap(),
        };
        for changes in &mut changes {
            assert_eq!(changes.next().await.unwrap(), [user]);
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    fixture.end([one, two]).await;
}

#[tokio::test]
async fn what_a_mongoose_program_writes_is_received_listed_and_caught_up_with() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let mut foreign = store.remote_changes();
    let since = store.cursor(store.committed_position());
    let message_ids = new_mint(&fixture);
    assert!(store.append(&[minted(&message_ids, bob, ada)]).await[0].is_ok());
    fixture.clock.set(at(3));
    let theirs = mongooses(ada, bob, "from Node.js", at(1));
    fixture.insert("messages", [theirs.clone()]).await;
    assert_eq!(hear(&mut foreign, 1).await, [id(&theirs)]);
    for (user, peer) in [(ada, bob), (bob, ada)] {
        until("it is listed", async || {
            peers(&store, user).await == [(peer, id(&theirs))]
        })
        .await;
    }
    assert_eq!(store.total_unread(bob, 1_000).await, Ok(1));
    let page = store.changes(bob, &since, 10).await.unwrap();
    let messages: Vec<_> = page
        .changes
        .iter()
        .map(|change| matches!(change, Change::Message(message) if message.id == id(&theirs)))
        .collect();
    assert_eq!(messages, [false, true]);

    // One that was renewed is received, however old its id is; so is one that another process announced.
    let old = mongooses(ada, bob, "paused", at(-5_000));
    let announcement = doc! { "_id": old.get_object_id("_id").unwrap(), "node": ObjectId::new(), "at": DateTime::from_millis(at(2).millis()) };
    fixture.insert("messages", [old.clone()]).await;
    fixture.insert("renewals", [announcement]).await;
    loop {
        let heard = hear(&mut foreign, 1).await;
        if heard == [id(&old)] {
            break;
        }
    }
    fixture.end([store]).await;
}

#[tokio::test]
async fn live_cursors_wait_for_what_others_wrote_to_be_received() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let point = || store.cursor(store.committed_position()).point;
    let mut foreign = store.remote_changes();
    let before = point();
    assert!(before <= at(0).millis() - 60_000);
    let theirs = mongooses(ada, bob, "text", at(0));
    fixture.insert("messages", [theirs.clone()]).await;
    fixture.clock.set(at(600));
    // It is read, and on its way to the receiver.
    until("it is listed", async || {
        peers(&store, ada).await == [(bob, id(&theirs))]
    })
    .await;
    assert_eq!(point(), before, "nobody has taken it yet");
    assert_eq!(hear(&mut foreign, 1).await, [id(&theirs)]);
    assert_eq!(point(), before, "it is being delivered");
    let more = tokio::spawn(async move { foreign.next().await });
    until("the cursor moves on", async || point() >= at(600).millis() - 66_000).await;
    assert!(point() <= at(600).millis() - 60_000);
    more.abort();
    fixture.end([store]).await;
}

/// Where it was announced, and where its second settles.
#[tokio::test]
async fn a_message_that_was_renewed_is_received_once() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let mut foreign = store.remote_changes();
    let fence = async |seconds, foreign: &mut _| {
        let fence = mongooses(ada, bob, "fence", at(seconds));
        fixture.insert("messages", [fence.clone()]).await;
        assert_eq!(hear(foreign, 1).await, [id(&fence)]);
    };
    // The first poll reads all of the last minute.
    fence(0, &mut foreign).await;
    let late = mongooses(ada, bob, "paused", at(-40));
    let announcement = doc! { "_id": late.get_object_id("_id").unwrap(), "node": ObjectId::new(), "at": DateTime::from_millis(at(0).millis()) };
    fixture.insert("messages", [late.clone()]).await;
    fixture.insert("renewals", [announcement]).await;
    assert_eq!(hear(&mut foreign, 1).await, [id(&late)]);
    fixture.clock.set(at(30));
    fence(30, &mut foreign).await;
    fixture.end([store]).await;
}

/// The next user whose settings are received.
async fn hear_settings(foreign: &mut BoxStream<'static, Vec<RemoteChange>>) -> UserId {
    loop {
        for change in foreign.next().await.unwrap() {
            if let RemoteChange::Settings(user) = change {
                return user;
            }
        }
    }
}

#[tokio::test]
async fn settings_that_another_node_changed_are_received_before_cursors_pass_them() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.open().await, fixture.open().await);
    let [ada, bob] = users(&one, ["ada", "bob"]).await;
    let invisible = |on| SettingsChange {
        read_receipts: None,
        invisible: Some(on),
    };
    let (mut heard_by_one, mut heard_by_two) = (one.remote_changes(), two.remote_changes());
    // Each receives the other's change, and not its own.
    one.change_settings(ada, invisible(true), at(0)).await.unwrap();
    two.change_settings(bob, invisible(true), at(0)).await.unwrap();
    assert_eq!(hear_settings(&mut heard_by_two).await, ada);
    assert_eq!(hear_settings(&mut heard_by_one).await, bob);
    assert!(two.settings(&[ada]).await.unwrap()[0].invisible);

    // The cursors of the one stay before a change until it was handed out.
    fixture.clock.set(at(3));
    two.change_settings(ada, invisible(false), at(3)).await.unwrap();
    fixture.clock.set(at(600));
    let point = || one.cursor(one.committed_position()).point;
    assert_eq!(hear_settings(&mut heard_by_one).await, ada);
    assert!(point() < at(3).millis(), "it is being told");
    let more = tokio::spawn(async move { heard_by_one.next().await });
    until("the cursor moves on", async || point() > at(3).millis()).await;
    more.abort();
    fixture.end([one, two]).await;
}

#[tokio::test]
async fn what_was_stored_seconds_late_is_received_at_once_and_once() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.open().await, fixture.open().await);
    let [ada, bob] = users(&one, ["ada", "bob"]).await;
    let mut heard = two.remote_changes();
    let message_ids = new_mint(&fixture);
    // As after an election: they waited for their commit, and the other node has polled meanwhile.
    let late = [minted(&message_ids, ada, bob), minted(&message_ids, bob, ada)];
    fixture.clock.set(at(12));
    let fence = mongooses(ada, bob, "fence", at(12));
    fixture.insert("messages", [fence.clone()]).await;
    assert_eq!(hear(&mut heard, 1).await, [id(&fence)]);
    assert!(one.append(&late).await.iter().all(Result::is_ok));
    let next = minted(&message_ids, ada, bob);
    assert!(one.append(std::slice::from_ref(&next)).await[0].is_ok());
    // This clock stands still, so no time settles.
    let at_once = tokio::time::timeout(Duration::from_secs(60), hear_in_order(&mut heard, 3)).await;
    assert_eq!(at_once.unwrap()[..], [late[0].id, late[1].id, next.id]);
    let mark = Mark {
        user: ada,
        peer: bob,
        kind: MarkKind::Read,
        up_to: late[1].id,
        at: at(4),
    };
    assert!(one.mark(&[mark]).await[0].is_ok());
    while !matches!(heard.next().await.unwrap()[..], [RemoteChange::Marker(marker)] if marker.user == ada) {}
    let hidden = SettingsChange {
        read_receipts: None,
        invisible: Some(true),
    };
    one.change_settings(bob, hidden, at(4)).await.unwrap();
    assert_eq!(hear_settings(&mut heard).await, bob);

    // When their time settles, and that of the announcement, nothing is handed out again.
    for moment in [40, 70, 90] {
        fixture.clock.set(at(moment));
        let fence = mongooses(ada, bob, "fence", at(moment));
        fixture.insert("messages", [fence.clone()]).await;
        assert_eq!(hear(&mut heard, 1).await, [id(&fence)]);
    }
    fixture.end([one, two]).await;
}

/// Of two changes the later one can have a time that is no later: the clocks of nodes differ.
#[tokio::test]
async fn what_two_nodes_change_in_turn_is_received_each_time() {
    let fixture = Fixture::new().await;
    let (ahead, behind, hearing) = (
        fixture.open_skewed(5_000).await,
        fixture.open().await,
        fixture.open().await,
    );
    let [ada, bob] = users(&ahead, ["ada", "bob"]).await;
    let message_ids = new_mint(&fixture);
    let messages = [
        minted(&message_ids, bob, ada),
        minted(&message_ids, bob, ada),
        minted(&message_ids, bob, ada),
    ];
    assert!(hearing.append(&messages).await.iter().all(Result::is_ok));
    let mut foreign = hearing.remote_changes();
    let nodes = [(&ahead, at(5)), (&behind, at(0)), (&ahead, at(5))];
    for ((node, now), message) in nodes.into_iter().zip(&messages) {
        let change = SettingsChange {
            read_receipts: None,
            invisible: Some(now == at(5)),
        };
        node.change_settings(ada, change, now).await.unwrap();
        let mark = Mark {
            user: ada,
            peer: bob,
            kind: MarkKind::Read,
            up_to: message.id,
            at: now,
        };
        let marked = node.mark(&[mark]).await.remove(0).unwrap();
        let (mut settings, mut markers) = (0, Vec::new());
        while settings == 0 || markers.is_empty() {
            let heard = tokio::time::timeout(std::time::Duration::from_secs(20), foreign.next());
            for change in heard.await.expect("it is not told").unwrap() {
                match change {
                    RemoteChange::Settings(user) => settings += usize::from(user == ada),
                    RemoteChange::Marker(marker) => markers.push(marker),
                    RemoteChange::Message(message) => panic!("an own message: {message:?}"),
                }
            }
        }
        assert_eq!(markers, [marked.marker]);
    }
    fixture.end([ahead, behind, hearing]).await;
}
