//! Users who are known by the id of another system.

use std::collections::HashSet;
use std::sync::Arc;

use server::domain::{AvatarUrl, DisplayName, Identity, NewUser, Profile, Username};
use server::storage::UserStore;
use shared::{ExternalId, UserId};

use crate::data::{START, later, name, names, nobody};
use crate::engine::Engine;

fn external(id: &str) -> ExternalId {
    id.parse().unwrap()
}

fn user(id: &str, username: &str) -> NewUser {
    NewUser {
        identity: Identity::External(external(id)),
        username: name(username),
        profile: Profile::default(),
    }
}

fn given(id: UserId, username: &str) -> NewUser {
    NewUser {
        identity: Identity::Id(id),
        ..user("-", username)
    }
}

fn profile(name: Option<&str>, picture: Option<&str>) -> Profile {
    Profile {
        display_name: name.map(|name| DisplayName::new(name.to_owned()).unwrap()),
        avatar_url: picture.map(|url| AvatarUrl::new(url.to_owned()).unwrap()),
    }
}

async fn ids(store: &dyn UserStore, asked: &[&str]) -> Vec<Option<UserId>> {
    let asked: Vec<ExternalId> = asked.iter().map(|id| external(id)).collect();
    store.with_external_ids(&asked).await.unwrap()
}

pub(crate) async fn are_created_once_and_stay_as_they_are(engine: &dyn Engine) {
    let store = engine.open().await;
    let id = UserId::from_bytes([7; 12]);
    let asked = [user("auth0|7", "ada"), given(id, "bob"), user("auth0|7", "eve")];
    let made = store.find_or_create(&asked, START).await.unwrap();
    let made: Vec<_> = made
        .into_iter()
        .map(|(user, created)| (user.id, user.username, user.external_id, created))
        .collect();
    // The two of one identity may be created in either order, but it is one user with one of the names.
    assert_eq!(made[1], (id, "bob".to_owned(), None, true));
    assert_eq!(
        (&made[0].0, &made[0].1, &made[0].2),
        (&made[2].0, &made[2].1, &made[2].2)
    );
    assert!(made[0].3 != made[2].3);
    assert_eq!(made[0].2, Some(external("auth0|7")));

    let again = [user("auth0|7", "another"), given(id, "another")];
    let found = store.find_or_create(&again, later(1)).await.unwrap();
    assert_eq!((found[0].0.id, found[1].0.id), (made[0].0, id));
    assert_eq!((&found[0].0.username, &*found[1].0.username), (&made[0].1, "bob"));
    assert!(found.iter().all(|(_, created)| !created));
    assert_eq!(store.user(id).await.unwrap().unwrap(), found[1].0);
    assert_eq!(store.find_or_create(&[], START).await, Ok(Vec::new()));
    assert_eq!(store.list_users(None, 10).await.unwrap().len(), 2);
}

pub(crate) async fn get_another_name_where_theirs_is_taken(engine: &dyn Engine) {
    let store = engine.open().await;
    store.create_users(&names(["ada"]), START).await.unwrap();
    let asked: Vec<_> = (0..50).map(|number| user(&format!("id {number}"), "ada")).collect();
    let made = store.find_or_create(&asked, START).await.unwrap();
    let usernames: HashSet<&str> = made.iter().map(|(user, _)| &*user.username).collect();
    assert_eq!(usernames.len(), 50);
    for username in usernames {
        assert!(username.starts_with("ada-"), "{username}");
        assert!(Username::new(username.to_owned()).is_ok());
    }
    // Whom a name belongs to is never changed by it.
    let ada = store.users_named("ada").await.unwrap();
    assert_eq!((ada.len(), &ada[0].external_id), (1, &None));
}

pub(crate) async fn are_compared_as_they_are(engine: &dyn Engine) {
    let store = engine.open().await;
    let long = "é".repeat(128);
    let spellings = [
        "a", "A", "a ", " a", "á", "a\u{301}", "7", "7.0", "$a", "a%", "%", &*long,
    ];
    let asked: Vec<_> = spellings.iter().map(|id| user(id, "user")).collect();
    let made = store.find_or_create(&asked, START).await.unwrap();
    let made: Vec<_> = made.into_iter().map(|(user, _)| Some(user.id)).collect();
    assert_eq!(made.iter().collect::<HashSet<_>>().len(), spellings.len());
    assert_eq!(ids(&*store, &spellings).await, made);
    assert_eq!(ids(&*store, &["b", "a", "_"]).await, [None, made[0], None]);
    assert_eq!(ids(&*store, &[]).await, []);
}

pub(crate) async fn are_one_user_for_concurrent_callers(engine: &dyn Engine) {
    let store = engine.open().await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let asked: Vec<_> = (0..10)
                    .map(|number| user(&format!("{}", (number + task) % 10), "ada"))
                    .collect();
                store.find_or_create(&asked, START).await.unwrap()
            })
        })
        .collect();
    let (mut users, mut created) = (HashSet::new(), 0);
    for task in tasks {
        for (user, new) in task.await.unwrap() {
            users.insert((user.external_id.clone(), user.id, user.username));
            created += usize::from(new);
        }
    }
    assert_eq!((users.len(), created), (10, 10));
    assert_eq!(store.list_users(None, 100).await.unwrap().len(), 10);
}

pub(crate) async fn are_found_after_reopening(engine: &dyn Engine) {
    let made = {
        let store = engine.open().await;
        let made = store.find_or_create(&[user("7", "ada")], START).await.unwrap();
        store.close(later(1)).await.unwrap();
        made[0].0.clone()
    };
    let store = engine.open().await;
    assert_eq!(ids(&*store, &["7"]).await, [Some(made.id)]);
    assert_eq!(store.user(made.id).await.unwrap(), Some(made));
}

pub(crate) async fn show_what_is_known_of_them(engine: &dyn Engine) {
    let store = engine.open().await;
    let new = NewUser {
        profile: profile(Some("Ada Lovelace"), None),
        ..user("7", "ada")
    };
    let ada = store.find_or_create(&[new], START).await.unwrap()[0].0.clone();
    let shown = async || {
        let user = store.user(ada.id).await.unwrap().unwrap();
        (user.display_name, user.avatar_url)
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(shown().await, (text("Ada Lovelace"), None));
    for (change, then) in [
        (
            profile(None, Some("https://x/a.png")),
            (text("Ada Lovelace"), text("https://x/a.png")),
        ),
        (profile(Some("Ada"), None), (text("Ada"), text("https://x/a.png"))),
        (Profile::default(), (text("Ada"), text("https://x/a.png"))),
    ] {
        store.set_profile(ada.id, &change).await.unwrap();
        assert_eq!(shown().await, then);
    }
    store
        .set_profile(nobody(), &profile(Some("Nobody"), None))
        .await
        .unwrap();
    assert_eq!(store.list_users(None, 10).await.unwrap().len(), 1);
    assert_eq!(store.users_named("ada").await.unwrap()[0].display_name, text("Ada"));
}

pub(crate) async fn are_given_to_users_who_are_here(engine: &dyn Engine) {
    let store = engine.open().await;
    let here = store.create_users(&names(["ada", "bob"]), START).await.unwrap();
    let [ada, bob] = [0, 1].map(|place: usize| here[place].0.id);
    let give = async |to, id: &str| {
        let user = store.set_external_id(to, &external(id)).await.unwrap();
        user.map(|user| user.external_id.map(|id| id.to_string()))
    };
    let text = |text: &str| Some(Some(text.to_owned()));
    assert_eq!(give(ada, "7").await, text("7"));
    assert_eq!(give(ada, "7").await, text("7"));
    assert_eq!(give(ada, "8").await, text("7"), "an id does not change");
    assert_eq!(give(bob, "7").await, Some(None), "it is another user's");
    assert_eq!(give(bob, "8").await, text("8"));
    assert_eq!(give(nobody(), "9").await, None);
    assert_eq!(ids(&*store, &["7", "8", "9"]).await, [Some(ada), Some(bob), None]);
    let found = store.find_or_create(&[user("7", "another")], later(1)).await.unwrap();
    assert_eq!((found[0].0.id, found[0].1), (ada, false));
}
