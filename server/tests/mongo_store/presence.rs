//! Presence across processes. Two stores on one database stand for two processes.

use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, DateTime, Document, doc};
use server::delivery::{PresenceWriter, run_heartbeat};
use server::storage::mongodb::MongoStore;
use server::storage::{PresenceChange, PresenceStore, Store, UserStore};
use shared::{Timestamp, UserId};
use testkit::mongod::Mongod;
use tokio_util::sync::CancellationToken;

use super::fixture::{Fixture, at, users};

async fn set(store: &MongoStore, user: UserId, online: bool, at: Timestamp) {
    store
        .set_presence(&[PresenceChange { user, online, at }])
        .await
        .unwrap();
}

async fn seen(store: &MongoStore, user: UserId) -> (bool, Option<Timestamp>) {
    let user = store.user(user).await.unwrap().unwrap();
    (user.is_online, user.last_seen)
}

/// Makes a lease as old as one that was never renewed.
async fn backdate(fixture: &Fixture, node: &Bson) {
    let old = doc! { "$set": { "renewedAt": DateTime::from_millis(0) } };
    fixture
        .collection("nodes")
        .update_one(doc! { "_id": node }, old)
        .await
        .unwrap();
}

async fn nodes(fixture: &Fixture) -> Vec<Bson> {
    fixture
        .all("nodes")
        .await
        .iter()
        .map(|lease| lease["_id"].clone())
        .collect()
}

#[tokio::test]
async fn online_until_the_last_process_lets_go() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.open().await, fixture.open().await);
    let [ada] = users(&one, ["ada"]).await;
    one.heartbeat(at(0)).await.unwrap();
    two.heartbeat(at(0)).await.unwrap();
    set(&one, ada, true, at(1)).await;
    set(&two, ada, true, at(2)).await;
    assert_eq!(seen(&one, ada).await, (true, Some(at(1))));
    set(&one, ada, false, at(3)).await;
    one.heartbeat(at(3)).await.unwrap();
    assert_eq!(seen(&one, ada).await, (true, Some(at(1))));
    set(&two, ada, false, at(4)).await;
    assert_eq!(seen(&one, ada).await, (false, Some(at(4))));
    let left: Vec<String> = fixture.all("users").await[0].keys().cloned().collect();
    assert!(!left.contains(&"onlineNodes".to_owned()), "{left:?}");
    fixture.end([one, two]).await;
}

#[tokio::test]
async fn changes_apply_in_order_and_unknown_users_are_ignored() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob] = users(&store, ["ada", "bob"]).await;
    let stranger = UserId::from_bytes([9; 12]);
    let change = |user, online, seconds| PresenceChange {
        user,
        online,
        at: at(seconds),
    };
    // No heartbeat before: the lease is written with the first change.
    let changes = [
        change(ada, true, 1),
        change(stranger, true, 2),
        change(ada, false, 3),
        change(bob, true, 4),
    ];
    store.set_presence(&changes).await.unwrap();
    store.heartbeat(at(5)).await.unwrap();
    assert_eq!(seen(&store, ada).await, (false, Some(at(3))));
    assert_eq!(seen(&store, bob).await, (true, Some(at(4))));
    assert_eq!(store.list_users(None, 9).await.unwrap().len(), 2);
    fixture.end([store]).await;
}

#[tokio::test]
async fn a_node_whose_lease_ran_out_is_cleaned_up_and_comes_back() {
    let fixture = Fixture::new().await;
    let (paused, other) = (fixture.open().await, fixture.open().await);
    let [ada, bob] = users(&paused, ["ada", "bob"]).await;
    paused.heartbeat(at(0)).await.unwrap();
    let lost = nodes(&fixture).await.remove(0);
    set(&paused, ada, true, at(1)).await;
    set(&paused, bob, true, at(1)).await;
    backdate(&fixture, &lost).await;
    other.heartbeat(at(2)).await.unwrap();
    assert_eq!(seen(&other, ada).await, (false, Some(at(2))));
    assert!(!nodes(&fixture).await.contains(&lost));

    // It did not notice yet, and one of its users leaves.
    set(&paused, bob, false, at(3)).await;
    paused.heartbeat(at(4)).await.unwrap();
    assert_eq!(seen(&other, ada).await, (true, Some(at(4))));
    assert_eq!(seen(&other, bob).await, (false, Some(at(3))));
    let now = nodes(&fixture).await;
    assert!(
        now.len() == 2 && !now.contains(&lost),
        "an id is never used again: {now:?}"
    );
    other.heartbeat(at(5)).await.unwrap();
    assert_eq!(seen(&other, ada).await, (true, Some(at(4))));
    fixture.end([paused, other]).await;
}

#[tokio::test]
async fn a_process_that_ended_on_this_machine_is_noticed_at_once() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada, bob, eve] = users(&store, ["ada", "bob", "eve"]).await;
    store.heartbeat(at(0)).await.unwrap();
    let own = fixture.all("nodes").await.remove(0);
    // Leases of an ended process, of one that had our process id before us, and of one in another container.
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    let pid = i64::from(ended.id());
    ended.wait().unwrap();
    let lease = |id: &str, field: &str, value: Bson| {
        let mut lease = own.clone();
        lease.insert("_id", id);
        lease.insert(field, value);
        lease
    };
    let mut elsewhere = lease("elsewhere", "pid", pid.into());
    elsewhere.insert("machine", "another");
    let leases = [
        lease("ended", "pid", pid.into()),
        lease("before us", "pidStartedAt", 1_i64.into()),
        elsewhere,
    ];
    fixture.insert("nodes", leases).await;
    for (user, node) in [(ada, "ended"), (bob, "before us"), (eve, "elsewhere")] {
        let id = Bson::ObjectId(user.to_string().parse().unwrap());
        let online = doc! { "$set": { "isOnline": true, "onlineNodes": [node] } };
        fixture
            .collection("users")
            .update_one(doc! { "_id": id }, online)
            .await
            .unwrap();
    }
    store.heartbeat(at(1)).await.unwrap();
    assert_eq!(seen(&store, ada).await, (false, Some(at(1))));
    assert_eq!(seen(&store, bob).await, (false, Some(at(1))));
    assert_eq!(seen(&store, eve).await, (true, None));
    assert_eq!(nodes(&fixture).await, [Bson::from("elsewhere"), own["_id"].clone()]);
    fixture.end([store]).await;
}

#[tokio::test]
async fn only_the_first_node_takes_a_mongoose_programs_users_offline() {
    let fixture = Fixture::new().await;
    let left = || doc! { "username": "left", "isOnline": true };
    fixture.insert("users", [left()]).await;
    let first = fixture.open().await;
    let online = async || -> Vec<Document> {
        let users = fixture.all("users").await;
        users
            .into_iter()
            .filter(|user| user.get_bool("isOnline").unwrap())
            .collect()
    };
    first.heartbeat(at(0)).await.unwrap();
    assert_eq!(online().await, []);

    fixture.insert("users", [left()]).await;
    let second = fixture.open().await;
    first.heartbeat(at(1)).await.unwrap();
    second.heartbeat(at(1)).await.unwrap();
    assert_eq!(online().await.len(), 1);
    fixture.end([first, second]).await;
}

/// A Mongoose program takes a user offline whose connection to it ended; it sees none of the connections to this server.
#[tokio::test]
async fn whoever_is_connected_here_stays_online_whatever_a_mongoose_program_says() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let [ada] = users(&store, ["ada"]).await;
    set(&store, ada, true, at(1)).await;
    let leaves = doc! { "$set": { "isOnline": false } };
    let users = fixture.collection("users");
    users.update_one(doc! { "username": "ada" }, leaves).await.unwrap();
    assert_eq!(seen(&store, ada).await, (true, Some(at(1))));
    store.heartbeat(at(2)).await.unwrap();
    let told = fixture.all("users").await[0].get_bool("isOnline").unwrap();
    assert!(told, "the Mongoose program sees it as well");
    set(&store, ada, false, at(3)).await;
    assert_eq!(seen(&store, ada).await, (false, Some(at(3))));
    fixture.end([store]).await;
}

#[tokio::test]
async fn closing_takes_the_users_offline() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.open().await, fixture.open().await);
    let [ada, bob] = users(&one, ["ada", "bob"]).await;
    set(&one, ada, true, at(1)).await;
    set(&one, bob, true, at(1)).await;
    set(&two, bob, true, at(1)).await;
    one.close(at(2)).await.unwrap();
    assert_eq!(seen(&two, ada).await, (false, Some(at(2))));
    assert_eq!(seen(&two, bob).await, (true, Some(at(1))));
    assert_eq!(nodes(&fixture).await.len(), 1);
    fixture.end([two]).await;
}

#[tokio::test]
async fn after_an_outage_nobody_is_declared_dead_too_soon() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.open().await, fixture.open().await);
    let [ada] = users(&one, ["ada"]).await;
    one.heartbeat(at(0)).await.unwrap();
    let other = nodes(&fixture).await.remove(0);
    set(&one, ada, true, at(1)).await;
    two.heartbeat(at(1)).await.unwrap();
    backdate(&fixture, &other).await;
    // The second process, too, could not renew its lease for six seconds.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    two.heartbeat(at(2)).await.unwrap();
    assert_eq!(seen(&two, ada).await, (true, Some(at(1))));
    one.heartbeat(at(3)).await.unwrap();
    assert_eq!(nodes(&fixture).await[0], other);
    fixture.end([one, two]).await;
}

/// The lease is renewed whatever becomes of a change.
#[tokio::test]
async fn a_change_that_is_slow_to_be_written_does_not_cost_the_lease() {
    let server = tokio::task::spawn_blocking(|| Mongod::replica_set(1)).await.unwrap();
    let fixture = Fixture::on(server.uri()).await;
    let (store, other) = (Arc::new(fixture.open().await), fixture.open().await);
    let [ada] = users(&store, ["ada"]).await;
    store.heartbeat(at(0)).await.unwrap();
    let own = nodes(&fixture).await;
    other.heartbeat(at(0)).await.unwrap();
    let others = nodes(&fixture)
        .await
        .into_iter()
        .find(|node| !own.contains(node))
        .unwrap();
    // As long as an attempt may take, and longer than a lease if there are two.
    let users = format!("{}.users", fixture.database.name());
    let slow = doc! { "namespace": users, "blockConnection": true, "blockTimeMS": 7_000 };
    fixture.fail("update", 2, slow).await;

    let (presence, stop) = (Arc::new(PresenceWriter::default()), CancellationToken::new());
    let shared = || Arc::clone(&store) as Arc<dyn Store>;
    let writing = tokio::spawn(Arc::clone(&presence).run(shared(), stop.clone()));
    let beating = tokio::spawn(run_heartbeat(shared(), stop.clone()));
    presence.set(ada, true);
    while !seen(&other, ada).await.0 {
        other.heartbeat(at(1)).await.unwrap();
        // It may have another id by now.
        assert!(
            nodes(&fixture).await.iter().any(|node| *node != others),
            "the lease is lost"
        );
    }
    assert!(fixture.failed().await >= 2, "nothing was slow");
    stop.cancel();
    writing.await.unwrap();
    beating.await.unwrap();
    let store = Arc::into_inner(store).unwrap();
    fixture.end([store, other]).await;
}

#[tokio::test]
async fn the_next_heartbeat_makes_up_for_a_failed_change() {
    let server = tokio::task::spawn_blocking(|| Mongod::replica_set(1)).await.unwrap();
    let fixture = Fixture::on(server.uri()).await;
    let store = fixture.open().await;
    let [ada, bob, eve] = users(&store, ["ada", "bob", "eve"]).await;
    store.heartbeat(at(0)).await.unwrap();
    set(&store, ada, true, at(1)).await;
    set(&store, eve, true, at(1)).await;
    let change = |user, online| PresenceChange {
        user,
        online,
        at: at(2),
    };
    fixture.fail("update", 1, doc! { "errorCode": 8000 }).await;
    store
        .set_presence(&[change(ada, false), change(bob, true)])
        .await
        .unwrap_err();
    assert!(seen(&store, ada).await.0 && !seen(&store, bob).await.0);
    store.heartbeat(at(3)).await.unwrap();
    assert_eq!(seen(&store, ada).await, (false, Some(at(3))));
    assert_eq!(seen(&store, bob).await, (true, Some(at(3))));
    assert_eq!(seen(&store, eve).await, (true, Some(at(1))));

    // A failure that passes is tried again at once.
    fixture.fail("update", 1, doc! { "errorCode": 10107 }).await;
    set(&store, bob, false, at(4)).await;
    assert_eq!(seen(&store, bob).await, (false, Some(at(4))));
    fixture.end([store]).await;
}

#[tokio::test]
async fn a_node_knows_whether_it_is_alone() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.open().await, fixture.open().await);
    one.heartbeat(at(0)).await.unwrap();
    assert!(!one.others_live());
    two.heartbeat(at(0)).await.unwrap();
    one.heartbeat(at(1)).await.unwrap();
    assert!(one.others_live() && two.others_live());
    two.close(at(2)).await.unwrap();
    one.heartbeat(at(3)).await.unwrap();
    assert!(!one.others_live());
    fixture.end([one]).await;
}
