//! Who is online.

use server::storage::{LEASE_TIMEOUT, PresenceChange, PresenceStore, UserStore};
use shared::{Timestamp, UserId};

use crate::data::{START, later, nobody, people};
use crate::engine::Engine;

async fn set(store: &dyn PresenceStore, user: UserId, online: bool, at: Timestamp) {
    let change = PresenceChange { user, online, at };
    store.set_presence(&[change]).await.unwrap();
}

async fn presence(store: &dyn UserStore, user: UserId) -> (bool, Option<Timestamp>) {
    let user = store.user(user).await.unwrap().unwrap();
    (user.is_online, user.last_seen)
}

pub(crate) async fn is_set_and_unset(engine: &dyn Engine) {
    let store = engine.open().await;
    store.heartbeat(START).await.unwrap();
    let [ada, bob] = people(&*store).await;
    assert_eq!(presence(&*store, ada).await, (false, None));
    set(&*store, ada, true, later(1)).await;
    assert_eq!(presence(&*store, ada).await, (true, Some(later(1))));
    assert_eq!(presence(&*store, bob).await, (false, None));

    // Every way to a user shows it.
    let user = store.user(ada).await.unwrap().unwrap();
    assert_eq!(store.users_named(&user.username).await, Ok(vec![user.clone()]));
    assert!(store.list_users(None, 10).await.unwrap().contains(&user));
    let name = server::domain::Username::new(user.username.clone()).unwrap();
    assert_eq!(store.create_users(&[name], later(2)).await, Ok(vec![(user, false)]));

    // A heartbeat changes nothing for a living process.
    store.heartbeat(later(3)).await.unwrap();
    assert_eq!(presence(&*store, ada).await, (true, Some(later(1))));

    set(&*store, ada, false, later(4)).await;
    assert_eq!(presence(&*store, ada).await, (false, Some(later(4))));
    set(&*store, ada, true, later(5)).await;
    assert_eq!(presence(&*store, ada).await, (true, Some(later(5))));
}

pub(crate) async fn takes_the_last_of_several_changes(engine: &dyn Engine) {
    let store = engine.open().await;
    store.heartbeat(START).await.unwrap();
    let [ada, bob, eve] = people(&*store).await;
    let change = |user, online, millis| PresenceChange {
        user,
        online,
        at: later(millis),
    };
    let changes = [
        change(ada, true, 1),
        change(bob, true, 2),
        change(ada, false, 3),
        change(eve, true, 4),
        change(ada, true, 5),
        change(eve, false, 6),
    ];
    store.set_presence(&changes).await.unwrap();
    assert_eq!(presence(&*store, ada).await, (true, Some(later(5))));
    assert_eq!(presence(&*store, bob).await, (true, Some(later(2))));
    assert_eq!(presence(&*store, eve).await, (false, Some(later(6))));
    store.set_presence(&[]).await.unwrap();
}

pub(crate) async fn ignores_unknown_users(engine: &dyn Engine) {
    let store = engine.open().await;
    store.heartbeat(START).await.unwrap();
    let [ada] = people(&*store).await;
    let changes = [nobody(), ada].map(|user| PresenceChange {
        user,
        online: true,
        at: START,
    });
    store.set_presence(&changes).await.unwrap();
    assert_eq!(store.user(nobody()).await, Ok(None));
    assert_eq!(presence(&*store, ada).await, (true, Some(START)));
    assert_eq!(store.list_users(None, 10).await.unwrap().len(), 1);
}

/// A process that ends without a word leaves users online; the next one takes them offline.
pub(crate) async fn ends_with_a_crash(engine: &dyn Engine) {
    let store = engine.open().await;
    store.heartbeat(START).await.unwrap();
    let [ada, bob] = people(&*store).await;
    set(&*store, ada, true, later(1)).await;
    drop(store);

    let store = engine.open().await;
    let now = later(1 + i64::try_from(LEASE_TIMEOUT.as_millis()).unwrap() * 2);
    store.heartbeat(now).await.unwrap();
    assert!(!presence(&*store, ada).await.0);
    assert_eq!(presence(&*store, bob).await, (false, None));
}
