//! What followers are sent while the store does not know yet who is here.

use tokio::sync::mpsc;

use super::super::PresenceWriter;
use super::super::client::tests::Silent;
use super::super::registration::{Registrar, Registration};
use super::*;
use crate::storage::sqlite::tests::fixture::{store, user};

/// Nothing of presence is written here, as on a store that is slow: a user who leaves was never online for it.
#[tokio::test]
async fn a_user_is_away_for_a_while_before_that_is_sent_whatever_the_store_knows() {
    let (_folder, store) = store();
    let (ada, bob) = (user(&store, "ada").await, user(&store, "bob").await);
    let connections = Arc::new(Connections::new(4));
    let store: Arc<dyn Store> = Arc::new(store);
    let subscriptions = Arc::new(PresenceSubscriptions::new(store, Arc::clone(&connections)));
    let registrar = Registrar {
        connections,
        presence_writer: Arc::new(PresenceWriter::default()),
        presence_subscriptions: Arc::clone(&subscriptions),
    };
    let enter =
        |user| Registration::enter(registrar.clone(), user, Arc::new(Silent::default())).expect("there is room");
    let (follower, followed) = (enter(ada), enter(bob));
    let states = subscriptions.follow(follower.id(), ada, &[bob]).await;
    assert!(states.expect("a store").expect("few")[0].is_online);

    let (sent, mut changes) = mpsc::channel(8);
    let emit = move |_: &[(UserId, ConnectionId)], state: &Presence| {
        sent.try_send((now(), state.is_online)).expect("there is room");
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&subscriptions).run(stop.clone(), emit));
    let left = now();
    drop(followed);
    let (at, is_online) = changes.recv().await.expect("a change");
    assert!(!is_online);
    let away = u128::try_from(at.millis() - left.millis()).expect("later");
    assert!(away >= limits::ABSENCE_DELAY.as_millis(), "{away} ms");
    stop.cancel();
    running.await.expect("it ends");
}
