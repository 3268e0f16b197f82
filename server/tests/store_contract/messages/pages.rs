//! Pages in both directions, against a model: filter and sort a `Vec`.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use server::domain::NewMessage;
use server::domain::{Bounds, Conversation, End, Position};
use shared::{Message, Timestamp};

use crate::data::{append_new, later, message_id, mint, people};
use crate::engine::Engine;

/// What a page should be.
fn model(messages: &[NewMessage], conversation: Conversation, bounds: Bounds, end: End, limit: usize) -> Vec<Message> {
    let mut listed: Vec<_> = messages
        .iter()
        .filter(|message| Conversation::between(message.sender, message.receiver) == conversation)
        .map(|message| (position(message), message.to_message()))
        .filter(|(position, _)| bounds.after.is_none_or(|after| *position > after))
        .filter(|(position, _)| bounds.before.is_none_or(|before| *position < before))
        .collect();
    listed.sort_by_key(|(position, _)| *position);
    let listed: Vec<_> = listed.into_iter().map(|(_, message)| message).collect();
    let length = listed.len();
    match end {
        End::Oldest => listed[..limit.min(length)].to_vec(),
        End::Newest => listed[length - limit.min(length)..].to_vec(),
    }
}

fn position(message: &NewMessage) -> Position {
    Position {
        created_at: message.created_at,
        id: message.id,
    }
}

pub(crate) async fn agree_with_a_model(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let pairs = [(ada, bob), (bob, ada), (ada, eve), (ada, ada)];
    // Few moments for many messages, and ids that do not follow them: every tie and inversion occurs.
    let messages: Vec<_> = (0..200)
        .map(|number| {
            let (sender, receiver) = pairs[random.random_range(0..pairs.len())];
            NewMessage {
                id: message_id(random.random_range(0..1_000) * 1_000 + number),
                created_at: later(random.random_range(0..25)),
                ..mint(sender, receiver, &format!("message {number}"))
            }
        })
        .collect();
    for batch in messages.chunks(64) {
        append_new(&*store, batch).await;
    }
    for _ in 0..400 {
        let (a, b) = pairs[random.random_range(0..pairs.len())];
        let mut bound = || match random.random_range(0..5) {
            0 => None,
            1 => Some(Position::start_of(later(random.random_range(-1..26)))),
            2 => Some(Position::end_of(later(random.random_range(-1..26)))),
            // A message's place, of this conversation or another.
            _ => Some(position(&messages[random.random_range(0..messages.len())])),
        };
        let bounds = Bounds {
            after: bound(),
            before: bound(),
        };
        let end = if random.random() { End::Oldest } else { End::Newest };
        let limit = [0, 1, 2, 7, 50, 200, 1_000][random.random_range(0..7)];
        let conversation = Conversation::between(a, b);
        assert_eq!(
            store.page(conversation, bounds, end, limit).await.unwrap(),
            model(&messages, conversation, bounds, end, limit),
            "seed {seed}: {bounds:?} {end:?} {limit}"
        );
    }
}

pub(crate) async fn have_exact_edges(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let batch: Vec<_> = (0..5).map(|number| mint(ada, bob, &format!("{number}"))).collect();
    let listed = append_new(&*store, &batch).await;
    let conversation = Conversation::between(ada, bob);
    let page = async |after: Option<usize>, before: Option<usize>, end, limit| {
        let bounds = Bounds {
            after: after.map(|index| position(&batch[index])),
            before: before.map(|index| position(&batch[index])),
        };
        store.page(conversation, bounds, end, limit).await.unwrap()
    };
    for end in [End::Oldest, End::Newest] {
        assert_eq!(page(None, None, end, 0).await, []);
        assert_eq!(page(None, None, end, 5).await, listed);
        assert_eq!(page(None, None, end, 6).await, listed);
        assert_eq!(page(None, None, end, usize::MAX).await, listed);
        assert_eq!(page(Some(1), Some(3), end, 10).await, listed[2..3]);
        assert_eq!(page(Some(0), Some(1), end, 10).await, []);
        assert_eq!(page(Some(2), Some(2), end, 10).await, []);
        assert_eq!(page(Some(3), Some(1), end, 10).await, []);
        assert_eq!(page(Some(4), None, end, 10).await, []);
        assert_eq!(page(None, Some(0), end, 10).await, []);
    }
    let whole = Bounds {
        after: Some(Position::start_of(Timestamp::from_millis(i64::MIN))),
        before: Some(Position::end_of(Timestamp::from_millis(i64::MAX))),
    };
    assert_eq!(store.page(conversation, whole, End::Newest, 10).await.unwrap(), listed);
    assert_eq!(page(None, None, End::Oldest, 2).await, listed[..2]);
    assert_eq!(page(None, None, End::Newest, 2).await, listed[3..]);
    assert_eq!(page(Some(0), None, End::Oldest, 2).await, listed[1..3]);
    assert_eq!(page(None, Some(4), End::Newest, 2).await, listed[2..4]);
}

pub(crate) async fn of_an_unknown_conversation_are_empty(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob, eve] = people(&*store).await;
    append_new(&*store, &[mint(ada, bob, "hello")]).await;
    for end in [End::Oldest, End::Newest] {
        let page = store
            .page(Conversation::between(bob, eve), Bounds::default(), end, 10)
            .await;
        assert_eq!(page, Ok(Vec::new()));
    }
}
