//! Creating, finding and listing users.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use shared::{User, UserId};

use crate::data::{START, later, name, names, nobody};
use crate::engine::Engine;

pub(crate) async fn are_created_once_and_found_again(engine: &dyn Engine) {
    let store = engine.open().await;
    let created = store.create_users(&names(["ada", "bob"]), START).await.unwrap();
    let user = |index: usize, username: &str| User::new(created[index].0.id, username.to_owned());
    assert_eq!(created, [(user(0, "ada"), true), (user(1, "bob"), true)]);
    assert_ne!(created[0].0.id, created[1].0.id);

    let mixed = store
        .create_users(&names(["bob", "eve", "ada"]), later(1))
        .await
        .unwrap();
    let eve = mixed[1].0.clone();
    assert_eq!(eve.username, "eve");
    assert_eq!(
        mixed,
        [(user(1, "bob"), false), (eve.clone(), true), (user(0, "ada"), false)]
    );

    for user in [user(0, "ada"), user(1, "bob"), eve] {
        assert_eq!(store.user(user.id).await, Ok(Some(user)));
    }
    assert_eq!(store.user(nobody()).await, Ok(None));
    assert_eq!(store.create_users(&[], START).await, Ok(Vec::new()));
}

pub(crate) async fn given_twice_are_created_once(engine: &dyn Engine) {
    let store = engine.open().await;
    let made = store
        .create_users(&names(["ada", "bob", "ada", "ada"]), START)
        .await
        .unwrap();
    let created: Vec<_> = made.iter().map(|(_, created)| *created).collect();
    assert_eq!(created, [true, true, false, false]);
    let usernames: Vec<_> = made.iter().map(|(user, _)| user.username.as_str()).collect();
    assert_eq!(usernames, ["ada", "bob", "ada", "ada"]);
    assert_eq!(made[0].0, made[2].0);
    assert_eq!(made[0].0, made[3].0);
    assert_eq!(store.list_users(None, 10).await.unwrap().len(), 2);
}

pub(crate) async fn are_created_a_thousand_at_a_time(engine: &dyn Engine) {
    let store = engine.open().await;
    let asked: Vec<_> = (0..1_000).map(|number| name(&format!("user {number}"))).collect();
    let made = store.create_users(&asked, START).await.unwrap();
    assert!(made.iter().all(|(_, created)| *created));
    let usernames: Vec<_> = made.iter().map(|(user, _)| user.username.as_str()).collect();
    assert_eq!(usernames, asked.iter().map(|name| name.as_str()).collect::<Vec<_>>());
    let ids: HashSet<_> = made.iter().map(|(user, _)| user.id).collect();
    assert_eq!(ids.len(), 1_000);

    let again = store.create_users(&asked, later(1)).await.unwrap();
    assert!(again.iter().all(|(_, created)| !created));
    let users = |made: Vec<(User, bool)>| made.into_iter().map(|(user, _)| user).collect::<Vec<_>>();
    assert_eq!(users(again), users(made));
}

pub(crate) async fn are_created_once_by_concurrent_callers(engine: &dyn Engine) {
    let store = engine.open().await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let asked: Vec<_> = (0..20)
                    .map(|number| name(&format!("user {}", (number + task) % 20)))
                    .collect();
                store.create_users(&asked, START).await.unwrap()
            })
        })
        .collect();
    let mut found: HashMap<String, (HashSet<UserId>, usize)> = HashMap::new();
    for task in tasks {
        for (user, created) in task.await.unwrap() {
            let (ids, times) = found.entry(user.username).or_default();
            ids.insert(user.id);
            *times += usize::from(created);
        }
    }
    assert_eq!(found.len(), 20);
    for (username, (ids, times)) in found {
        assert_eq!((ids.len(), times), (1, 1), "{username}");
    }
    assert_eq!(store.list_users(None, 100).await.unwrap().len(), 20);
}

pub(crate) async fn are_found_by_exact_name(engine: &dyn Engine) {
    let store = engine.open().await;
    let spellings = ["ada", "Ada", "ada.", "\u{e9}ve", "李", "a%", "$a", "7", "7.0"];
    let made = store.create_users(&names(spellings), START).await.unwrap();
    assert!(made.iter().all(|(_, created)| *created));
    for (user, _) in made {
        assert_eq!(store.users_named(&user.username).await, Ok(vec![user]));
    }
    for unknown in ["", "ADA", "ada ", "ad", "ada\0", "a_", "\0"] {
        assert_eq!(store.users_named(unknown).await, Ok(Vec::new()), "{unknown:?}");
    }
}

pub(crate) async fn are_found_by_ids_in_their_order(engine: &dyn Engine) {
    let store = engine.open().await;
    let made = store.create_users(&names(["ada", "bob", "eve"]), START).await.unwrap();
    let [ada, bob, eve] = [0, 1, 2].map(|index: usize| made[index].0.clone());
    assert_eq!(store.users(&[]).await, Ok(Vec::new()));
    let asked = [eve.id, nobody(), ada.id, eve.id, bob.id];
    let expected = vec![Some(eve.clone()), None, Some(ada), Some(eve), Some(bob)];
    assert_eq!(store.users(&asked).await, Ok(expected));
}

pub(crate) async fn are_listed_in_pages(engine: &dyn Engine) {
    let store = engine.open().await;
    assert_eq!(store.list_users(None, 10).await, Ok(Vec::new()));
    let asked: Vec<_> = (0..25).map(|number| name(&format!("user {number}"))).collect();
    let made = store.create_users(&asked, START).await.unwrap();
    let mut expected: Vec<_> = made.into_iter().map(|(user, _)| user).collect();
    expected.sort_by_key(|user| user.id);

    let mut listed: Vec<User> = Vec::new();
    loop {
        let page = store.list_users(listed.last().map(|user| user.id), 10).await.unwrap();
        assert!(page.len() <= 10);
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed, expected);
    assert_eq!(store.list_users(None, 0).await, Ok(Vec::new()));
    assert_eq!(store.list_users(None, usize::MAX).await.unwrap(), expected);
    assert_eq!(store.list_users(Some(expected[3].id), 2).await.unwrap(), expected[4..6]);
    // After an id that no user has.
    assert_eq!(
        store.list_users(Some(UserId::from_bytes([0; 12])), 2).await.unwrap(),
        expected[..2]
    );
    assert_eq!(
        store.list_users(Some(UserId::from_bytes([0xff; 12])), 2).await.unwrap(),
        []
    );
}
