//! Opening, closing and asking whether it works.

use server::domain::Conversation;
use server::storage::PresenceChange;

use crate::data::{START, all, append_new, later, mint, mint_with, people, streamed};
use crate::engine::Engine;

pub(crate) async fn keeps_everything_over_a_restart(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let conversation = Conversation::between(ada, bob);
    let users = store.list_users(None, 10).await.unwrap();
    let mut expected = Vec::new();
    let mut store = Some(store);
    // Closed in an orderly way, then dropped as if it had crashed.
    for orderly in [true, false, true] {
        let open = store.take().unwrap();
        let batch = [
            mint(ada, bob, "hello\0"),
            mint_with(&format!("{orderly}{}", expected.len()), bob, ada, "👋"),
        ];
        expected.extend(append_new(&*open, &batch).await);
        if orderly {
            open.close(later(1)).await.unwrap();
        }
        drop(open);
        let open = engine.open().await;
        assert_eq!(all(&*open, conversation).await, expected);
        assert_eq!(streamed(&*open, conversation).await, expected);
        assert_eq!(open.list_users(None, 10).await.unwrap(), users);
        store = Some(open);
    }
}

pub(crate) async fn takes_users_offline_on_closing(engine: &dyn Engine) {
    let store = engine.open().await;
    store.heartbeat(START).await.unwrap();
    let [ada, bob, eve] = people(&*store).await;
    let change = |user, online, millis| PresenceChange {
        user,
        online,
        at: later(millis),
    };
    let changes = [change(ada, true, 1), change(bob, true, 2), change(bob, false, 3)];
    store.set_presence(&changes).await.unwrap();
    store.close(later(9)).await.unwrap();
    drop(store);

    let store = engine.open().await;
    let mut seen = Vec::new();
    for id in [ada, bob, eve] {
        let user = store.user(id).await.unwrap().unwrap();
        seen.push((user.is_online, user.last_seen));
    }
    assert_eq!(seen, [(false, Some(later(9))), (false, Some(later(3))), (false, None)]);
}

pub(crate) async fn returns_the_newest_time(engine: &dyn Engine) {
    let store = engine.open().await;
    assert_eq!(store.newest().await.unwrap(), None);
    let [ada, bob] = people(&*store).await;
    append_new(
        &*store,
        &[mint(ada, bob, "one"), mint(bob, ada, "two"), mint(ada, ada, "three")],
    )
    .await;
    let last = append_new(&*store, &[mint(bob, bob, "four")]).await.remove(0);
    assert_eq!(store.newest().await.unwrap(), last.created_at);
    drop(store);
    assert_eq!(engine.open().await.newest().await.unwrap(), last.created_at);
}

pub(crate) async fn answers_a_ping(engine: &dyn Engine) {
    let store = engine.open().await;
    store.ping().await.unwrap();
    people::<2>(&*store).await;
    store.ping().await.unwrap();
    store.close(START).await.unwrap();
    assert!(store.ping().await.is_err());
}
