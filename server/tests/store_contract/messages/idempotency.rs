//! One message for each `(sender, clientMessageId)`.

use server::domain::Conversation;
use server::storage::{AppendError, StoreError};

use crate::data::{all, append_new, mint, mint_with, nobody, people, repeated, stored};
use crate::engine::Engine;

pub(crate) async fn answers_a_repetition_with_the_first_message(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let first = mint_with("a", ada, bob, "hello");
    append_new(
        &*store,
        &[mint(bob, ada, "before"), first.clone(), mint(ada, bob, "after")],
    )
    .await;
    for _ in 0..3 {
        let again = mint_with("a", ada, bob, "hello");
        let other = mint(ada, bob, "between");
        let outcomes = store.append(&[again, other.clone()]).await;
        assert_eq!(outcomes, [repeated(&first), stored(&other)]);
    }
    assert_eq!(all(&*store, Conversation::between(ada, bob)).await.len(), 6);
}

pub(crate) async fn recognises_repetitions_within_a_batch(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let batch = [
        mint_with("a", ada, bob, "hello"),
        mint_with("a", ada, bob, "hello"),
        mint_with("b", ada, bob, "hello"),
        mint_with("a", ada, bob, "other"),
        mint_with("b", ada, ada, "hello"),
        mint_with("a", ada, bob, "hello"),
    ];
    let expected = vec![
        stored(&batch[0]),
        repeated(&batch[0]),
        stored(&batch[2]),
        Err(AppendError::Conflict),
        Err(AppendError::Conflict),
        repeated(&batch[0]),
    ];
    assert_eq!(store.append(&batch).await, expected);
    let listed = all(&*store, Conversation::between(ada, bob)).await;
    assert_eq!(listed, [batch[0].to_message(), batch[2].to_message()]);
    assert_eq!(all(&*store, Conversation::between(ada, ada)).await, []);
}

pub(crate) async fn remembers_after_reopening(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let first = mint_with("a", ada, bob, "hello");
    append_new(&*store, std::slice::from_ref(&first)).await;
    store.close(first.created_at).await.unwrap();
    drop(store);

    let store = engine.open().await;
    let outcomes = store
        .append(&[mint_with("a", ada, bob, "hello"), mint_with("a", ada, bob, "other")])
        .await;
    assert_eq!(outcomes, [repeated(&first), Err(AppendError::Conflict)]);
    assert_eq!(
        all(&*store, Conversation::between(ada, bob)).await,
        [first.to_message()]
    );
}

pub(crate) async fn refuses_another_text_or_receiver(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    let first = mint_with("a", ada, bob, "hello");
    append_new(&*store, std::slice::from_ref(&first)).await;
    let batch = [
        mint_with("a", ada, bob, "hello!"),
        mint_with("a", ada, bob, "hell"),
        mint_with("a", ada, bob, "Hello"),
        mint_with("a", ada, bob, "hello\0"),
        mint_with("a", ada, eve, "hello"),
        mint_with("a", ada, ada, "hello"),
        // The receiver is checked first.
        mint_with("a", ada, nobody(), "hello"),
        mint_with("a", ada, bob, "hello"),
    ];
    let conflict = || Err(AppendError::Conflict);
    let expected = vec![
        conflict(),
        conflict(),
        conflict(),
        conflict(),
        conflict(),
        conflict(),
        Err(AppendError::UnknownReceiver),
        repeated(&first),
    ];
    assert_eq!(store.append(&batch).await, expected);
    assert_eq!(
        all(&*store, Conversation::between(ada, bob)).await,
        [first.to_message()]
    );
    assert_eq!(all(&*store, Conversation::between(ada, eve)).await, []);
    assert_eq!(all(&*store, Conversation::between(ada, ada)).await, []);
}

pub(crate) async fn separates_senders_and_spellings(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let longest = "𝄞".repeat(64);
    let batch = [
        mint_with("a", ada, bob, "hello"),
        mint_with("a", bob, ada, "hello"),
        mint_with("A", ada, bob, "hello"),
        mint_with("a ", ada, bob, "hello"),
        mint_with("a\0", ada, bob, "hello"),
        mint_with("\u{e9}", ada, bob, "hello"),
        mint_with("e\u{301}", ada, bob, "hello"),
        mint_with("1", ada, bob, "hello"),
        mint_with("1.0", ada, bob, "hello"),
        mint_with(&longest, ada, bob, "hello"),
        mint(ada, bob, "hello"),
        mint(ada, bob, "hello"),
    ];
    let expected = append_new(&*store, &batch).await;
    assert_eq!(all(&*store, Conversation::between(ada, bob)).await, expected);
    let again = mint_with(&longest, ada, bob, "hello");
    assert_eq!(store.append(&[again]).await, [repeated(&batch[9])]);
}

pub(crate) async fn forgets_what_was_refused(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let batch = [
        mint_with("a", ada, nobody(), "hello"),
        mint_with("a", ada, bob, "hello"),
        mint_with("b", ada, nobody(), "hello"),
    ];
    let unknown = || Err(AppendError::UnknownReceiver);
    let expected = vec![unknown(), stored(&batch[1]), unknown()];
    assert_eq!(store.append(&batch).await, expected);
    append_new(&*store, &[mint_with("b", ada, bob, "another text")]).await;
}

/// The two go to different conversations, so they may be under way in two lanes at once.
pub(crate) async fn stores_one_of_two_at_once(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    for round in 0..50 {
        let id = format!("id {round}");
        let to_bob = [mint_with(&id, ada, bob, "hello")];
        let to_eve = [mint_with(&id, ada, eve, "hello")];
        let (bobs, eves) = if store.append_lanes() > 1 {
            tokio::join!(store.append(&to_bob), store.append(&to_eve))
        } else {
            (store.append(&to_bob).await, store.append(&to_eve).await)
        };
        let conflict = [Err(AppendError::Conflict)];
        assert!(
            (bobs == [stored(&to_bob[0])] && eves == conflict) || (eves == [stored(&to_eve[0])] && bobs == conflict),
            "{bobs:?} {eves:?}"
        );
    }
    let bobs = all(&*store, Conversation::between(ada, bob)).await.len();
    let eves = all(&*store, Conversation::between(ada, eve)).await.len();
    assert_eq!(bobs + eves, 50);
}

/// As a caller does whose batch failed with an unknown outcome.
pub(crate) async fn takes_the_very_same_message_again(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let batch = [
        mint(ada, bob, "plain"),
        mint_with("a", ada, bob, "with an id"),
        mint(ada, ada, "note"),
    ];
    let conversation = Conversation::between(ada, bob);
    append_new(&*store, &batch[1..2]).await;
    for _ in 0..3 {
        append_new(&*store, &batch).await;
        assert_eq!(
            all(&*store, conversation).await,
            [batch[0].to_message(), batch[1].to_message()]
        );
        assert_eq!(
            all(&*store, Conversation::between(ada, ada)).await,
            [batch[2].to_message()]
        );
    }
}

pub(crate) async fn refuses_an_id_of_another_message(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let first = mint(ada, bob, "first");
    append_new(&*store, std::slice::from_ref(&first)).await;
    let mut text = mint(ada, bob, "second");
    let mut sender = mint(bob, ada, "first");
    let mut receiver = mint(ada, ada, "first");
    for taken in [&mut text, &mut sender, &mut receiver] {
        taken.id = first.id;
    }
    let good = mint(ada, bob, "third");
    let outcomes = store.append(&[text, sender, good.clone(), receiver]).await;
    for refused in [&outcomes[0], &outcomes[1], &outcomes[3]] {
        assert!(
            matches!(refused, Err(AppendError::Store(StoreError::Failed(_)))),
            "{refused:?}"
        );
    }
    assert_eq!(outcomes[2], stored(&good));
    let listed = all(&*store, Conversation::between(ada, bob)).await;
    assert_eq!(listed, [first.to_message(), good.to_message()]);
    assert_eq!(all(&*store, Conversation::between(ada, ada)).await, []);
}
