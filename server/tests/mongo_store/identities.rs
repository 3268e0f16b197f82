//! External ids beside other programs: what they wrote, what is in the way, and several nodes at once.

use bson::oid::ObjectId;
use bson::{Bson, doc};
use mongodb::IndexModel;
use mongodb::options::IndexOptions;
use server::domain::{Identity, NewUser, Profile};
use server::storage::mongodb::MongoStore;
use server::storage::{StoreError, UserStore};
use shared::UserId;

use super::fixture::{Fixture, at, name};

fn user(id: &str, username: &str) -> NewUser {
    NewUser {
        identity: Identity::External(id.parse().unwrap()),
        username: name(username),
        profile: Profile::default(),
    }
}

#[tokio::test]
async fn the_id_is_one_field_more() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    let made = store.find_or_create(&[user("auth0|7", "ada")], at(0)).await.unwrap();
    let id = Bson::ObjectId(made[0].0.id.to_string().parse().unwrap());
    assert_eq!(
        fixture.all("users").await,
        [
            doc! { "_id": id, "username": "ada", "isOnline": false, "usernameKey": "ada", "externalId": "auth0|7", "__v": 0_i32 }
        ]
    );
    fixture.end([store]).await;
}

/// Two nodes, each asked several times.
#[tokio::test]
async fn several_nodes_create_one_user() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.open().await, fixture.open().await);
    let given = UserId::from_bytes([9; 12]);
    let of_id = NewUser {
        identity: Identity::Id(given),
        ..user("-", "bob")
    };
    let asked = [user("7", "ada"), of_id];
    let calls = (0..16).map(|call| if call % 2 == 0 { &one } else { &two }.find_or_create(&asked, at(0)));
    let mut created = [0; 2];
    for answer in futures_util::future::join_all(calls).await {
        for (place, (found, new)) in answer.unwrap().into_iter().enumerate() {
            created[place] += usize::from(new);
            assert_eq!(found.username, ["ada", "bob"][place]);
        }
    }
    assert_eq!(created, [1, 1]);
    assert_eq!(fixture.all("users").await.len(), 2);
    fixture.end([one, two]).await;
}

#[tokio::test]
async fn fields_of_other_programs_are_no_ids_and_no_names_are_taken_from_their_users() {
    let fixture = Fixture::new().await;
    let old = [
        doc! { "_id": ObjectId::from_bytes([1; 12]), "username": "ada" },
        doc! { "_id": ObjectId::from_bytes([2; 12]), "username": "bob", "externalId": 7, "displayName": 7, "avatarUrl": null },
        doc! { "_id": ObjectId::from_bytes([3; 12]), "username": "eve", "externalId": 7 },
        doc! { "_id": ObjectId::from_bytes([4; 12]), "username": "long", "externalId": "x".repeat(129) },
        doc! { "_id": ObjectId::from_bytes([5; 12]), "username": "theirs", "externalId": "8", "displayName": "T" },
    ];
    fixture.insert("users", old.iter().cloned()).await;
    let store = fixture.open().await;
    let listed = store.list_users(None, 10).await.unwrap();
    let ids: Vec<_> = listed
        .iter()
        .map(|user| user.external_id.as_ref().map(|id| id.as_str()))
        .collect();
    assert_eq!(ids, [None, None, None, None, Some("8")]);
    assert_eq!(store.with_external_ids(&["7".parse().unwrap()]).await.unwrap(), [None]);

    let made = store
        .find_or_create(&[user("7", "ada"), user("8", "x")], at(0))
        .await
        .unwrap();
    assert!(made[0].1 && made[0].0.username.starts_with("ada-"), "{made:?}");
    assert_eq!((made[1].0.username.as_str(), made[1].1), ("theirs", false));
    assert_eq!(fixture.all("users").await[..5], old);
    fixture.end([store]).await;
}

/// Another program has renamed a user, whose key still holds the old name.
#[tokio::test]
async fn a_name_that_is_free_again_is_free_for_the_next() {
    let fixture = Fixture::new().await;
    let store = fixture.open().await;
    store.create_users(&[name("ada")], at(0)).await.unwrap();
    let rename = doc! { "$set": { "username": "lady" } };
    fixture.collection("users").update_one(doc! {}, rename).await.unwrap();
    let made = store.find_or_create(&[user("7", "ada")], at(0)).await.unwrap();
    assert!(made[0].0.username.starts_with("ada-"));
    let made = store.find_or_create(&[user("8", "ada")], at(0)).await.unwrap();
    assert_eq!(made[0].0.username, "ada");
    fixture.end([store]).await;
}

#[tokio::test]
async fn what_is_in_the_way_is_named() {
    let fixture = Fixture::new().await;
    let ids = [1, 2].map(|id| ObjectId::from_bytes([id; 12]));
    let users = ids
        .iter()
        .map(|id| doc! { "_id": id, "username": id.to_hex(), "externalId": "secret" });
    fixture.insert("users", users).await;
    let Err(StoreError::Failed(text)) = MongoStore::open(&fixture.uri, Some(fixture.database.name())).await else {
        panic!("opened");
    };
    assert!(ids.iter().all(|id| text.contains(&id.to_hex())), "{text}");
    assert!(
        text.contains("keep externalId in one document") && !text.contains("secret"),
        "{text}"
    );

    fixture.collection("users").delete_many(doc! {}).await.unwrap();
    let unique = IndexOptions::builder().unique(true).name("theirs".to_owned()).build();
    let model = IndexModel::builder().keys(doc! { "email": 1 }).options(unique).build();
    fixture.collection("users").create_index(model).await.unwrap();
    let store = fixture.open().await;
    // A user without the field is one whose field is null.
    store.find_or_create(&[user("7", "ada")], at(0)).await.unwrap();
    let refused = store.find_or_create(&[user("8", "bob")], at(0)).await;
    assert_eq!(refused.unwrap_err(), StoreError::ForeignIndex("theirs".to_owned()));
    fixture.end([store]).await;
}
