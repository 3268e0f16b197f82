//! Storing messages: order, outcomes, content.

use std::sync::Arc;

use server::domain::Conversation;
use server::storage::AppendError;

use crate::data::{all, append_new, later, message_id, mint, nobody, people, stored, streamed};
use crate::engine::Engine;

pub(crate) async fn lists_in_the_order_of_sending(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    let mut expected = Vec::new();
    for round in 0..5 {
        let batch: Vec<_> = (0..10)
            .map(|index| match index % 2 {
                0 => mint(ada, bob, &format!("{round}.{index}")),
                _ => mint(bob, ada, &format!("{round}.{index}")),
            })
            .collect();
        expected.extend(append_new(&*store, &batch).await);
        append_new(&*store, &[mint(ada, eve, "elsewhere"), mint(eve, bob, "elsewhere")]).await;
    }
    assert_eq!(all(&*store, Conversation::between(ada, bob)).await, expected);
    assert_eq!(all(&*store, Conversation::between(bob, ada)).await, expected);
}

pub(crate) async fn orders_one_millisecond_by_id(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let at = |number: u64, millis| {
        let mut message = mint(ada, bob, "text");
        message.id = message_id(1_000_000 + number);
        message.created_at = later(millis);
        message
    };
    // Stored in another order than listed: time first, then id.
    let batch = [at(5, 2_000), at(1, 2_000), at(9, 1_000), at(3, 2_000), at(2, 3_000)];
    append_new(&*store, &batch).await;
    let listed: Vec<_> = all(&*store, Conversation::between(ada, bob)).await;
    let expected: Vec<_> = [2, 1, 3, 0, 4].map(|index: usize| batch[index].to_message()).into();
    assert_eq!(listed, expected);
}

pub(crate) async fn answers_in_order_and_fails_alone(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let batch = [
        mint(ada, nobody(), "to nobody"),
        mint(ada, bob, "one"),
        mint(ada, nobody(), "to nobody"),
        mint(bob, ada, "two"),
        mint(ada, bob, "three"),
        mint(bob, nobody(), "to nobody"),
    ];
    let unknown = || Err(AppendError::UnknownReceiver);
    let expected = vec![
        unknown(),
        stored(&batch[1]),
        unknown(),
        stored(&batch[3]),
        stored(&batch[4]),
        unknown(),
    ];
    assert_eq!(store.append(&batch).await, expected);
    let listed = all(&*store, Conversation::between(ada, bob)).await;
    let expected: Vec<_> = [1, 3, 4].map(|index: usize| batch[index].to_message()).into();
    assert_eq!(listed, expected);
    assert_eq!(all(&*store, Conversation::between(ada, nobody())).await, []);

    let refused = [mint(ada, nobody(), "to nobody"), mint(bob, nobody(), "to nobody")];
    assert_eq!(store.append(&refused).await, [unknown(), unknown()]);
}

pub(crate) async fn keeps_every_text(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let texts = [
        " ".to_owned(),
        "\0".to_owned(),
        "before\0behind\0\0".to_owned(),
        "\u{feff}bom, \u{200d}joiner, \u{202e}override, e\u{301} and \u{e9}".to_owned(),
        "👋🏽 你好 مرحبا 𝔘\u{10ffff}".to_owned(),
        "quotes ' \" ` $set {\"$ne\": 1} \\ % _ \r\n\t".to_owned(),
        "𝄞".repeat(256 * 1024),
    ];
    let batch: Vec<_> = texts.iter().map(|text| mint(ada, bob, text)).collect();
    let expected = append_new(&*store, &batch).await;
    let conversation = Conversation::between(ada, bob);
    // Not assert_eq: a failure should not print a megabyte.
    assert!(all(&*store, conversation).await == expected);
    assert!(streamed(&*store, conversation).await == expected);
    for message in expected {
        assert!(store.message(conversation, message.id).await == Ok(Some(message)));
    }
}

pub(crate) async fn keeps_a_conversation_with_oneself(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let notes = append_new(&*store, &[mint(ada, ada, "note"), mint(ada, ada, "another")]).await;
    let others = append_new(&*store, &[mint(ada, bob, "to bob"), mint(bob, bob, "bob's note")]).await;
    let own = Conversation::between(ada, ada);
    assert_eq!(all(&*store, own).await, notes);
    assert_eq!(streamed(&*store, own).await, notes);
    assert_eq!(store.message(own, notes[0].id).await, Ok(Some(notes[0].clone())));
    assert_eq!(all(&*store, Conversation::between(ada, bob)).await, others[..1]);
}

pub(crate) async fn takes_a_sender_that_is_no_user(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada] = people(&*store).await;
    let expected = append_new(&*store, &[mint(nobody(), ada, "from elsewhere")]).await;
    assert_eq!(all(&*store, Conversation::between(nobody(), ada)).await, expected);
}

pub(crate) async fn takes_an_empty_batch(engine: &dyn Engine) {
    let store = engine.open().await;
    assert_eq!(store.append(&[]).await, []);
}

pub(crate) async fn takes_a_full_batch(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let text = "x".repeat(shared::limits::MESSAGE_BYTES);
    let batch: Vec<_> = (0..512).map(|_| mint(ada, bob, &text)).collect();
    let expected = append_new(&*store, &batch).await;
    assert!(all(&*store, Conversation::between(ada, bob)).await == expected);
}

pub(crate) async fn stores_concurrent_batches_exactly_once(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve, kim] = people(&*store).await;
    let conversations = [(ada, bob), (bob, eve), (eve, kim), (kim, ada), (ada, eve), (bob, kim)];
    let lanes = store.append_lanes();
    assert!(lanes > 0);
    // As the server does it: a conversation has one lane, and a lane one call at a time.
    let tasks: Vec<_> = (0..lanes)
        .map(|lane| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let own: Vec<_> = conversations.into_iter().skip(lane).step_by(lanes).collect();
                let mut expected = vec![Vec::new(); own.len()];
                for round in 0..20 {
                    let index = round % own.len();
                    let (sender, receiver) = own[index];
                    let text = format!("{lane} {round}");
                    let batch: Vec<_> = (0..20).map(|_| mint(sender, receiver, &text)).collect();
                    expected[index].extend(append_new(&*store, &batch).await);
                }
                own.into_iter().zip(expected).collect::<Vec<_>>()
            })
        })
        .collect();
    for task in tasks {
        for ((a, b), expected) in task.await.unwrap() {
            assert_eq!(all(&*store, Conversation::between(a, b)).await, expected);
        }
    }
}

pub(crate) async fn finds_a_message_in_its_conversation_only(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    let [message] = <[_; 1]>::try_from(append_new(&*store, &[mint(ada, bob, "hello")]).await).unwrap();
    append_new(&*store, &[mint(ada, eve, "another")]).await;
    let found = |a, b| store.message(Conversation::between(a, b), message.id);
    assert_eq!(found(ada, bob).await, Ok(Some(message.clone())));
    assert_eq!(found(bob, ada).await, Ok(Some(message.clone())));
    for (a, b) in [(ada, eve), (bob, eve), (ada, ada), (bob, bob), (ada, nobody())] {
        assert_eq!(found(a, b).await, Ok(None));
    }
    let unknown = store
        .message(Conversation::between(ada, bob), message_id(u64::MAX))
        .await;
    assert_eq!(unknown, Ok(None));
}
