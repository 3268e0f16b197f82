//! Turns, holds and the bound, without a clock that runs.

use super::*;

fn user(number: u32) -> UserId {
    let mut id = [0; 12];
    id[..4].copy_from_slice(&number.to_be_bytes());
    UserId::from_bytes(id)
}

fn cursor(point: i64) -> Cursor {
    Cursor::at([0; 6], point)
}

fn taken(notifier: &ConversationNotifier, count: usize) -> Vec<Taken> {
    notifier.take(count, Instant::now())
}

fn keys(taken: &[Taken]) -> Vec<Key> {
    taken.iter().map(|taken| taken.key).collect()
}

#[tokio::test]
async fn users_take_turns() {
    let notifier = ConversationNotifier::default();
    let [busy, ada, bob] = [1, 2, 3].map(user);
    for peer in 100..1_100 {
        assert_eq!(notifier.changed(busy, user(peer), None), None);
    }
    for quiet in [ada, bob] {
        assert_eq!(notifier.changed(quiet, busy, None), None);
    }
    assert_eq!(
        keys(&taken(&notifier, 4)),
        [(busy, user(100)), (ada, busy), (bob, busy), (busy, user(101))]
    );
    assert_eq!(taken(&notifier, 2_000).len(), 998);
}

#[tokio::test]
async fn only_cursors_of_those_who_were_sent_nothing_are_held() {
    let notifier = ConversationNotifier::default();
    let [ada, bob, eve] = [1, 2, 3].map(user);
    for (peer, point) in [(bob, 10), (eve, 20), (bob, 30)] {
        assert_eq!(notifier.changed(ada, peer, Some(cursor(point))), None);
    }
    assert_eq!(notifier.changed(bob, ada, None), None);
    let held = || (notifier.held(ada), notifier.held(bob));
    assert_eq!(held(), (Some(cursor(10)), None));

    // While the first is being sent there is another mark, and the store fails.
    let first = taken(&notifier, 1);
    assert_eq!(notifier.changed(ada, bob, Some(cursor(40))), None);
    assert_eq!(held(), (Some(cursor(10)), None));
    notifier.put_back(first);
    assert_eq!(held(), (Some(cursor(10)), None));

    let rest = taken(&notifier, 10);
    assert_eq!(keys(&rest), [(bob, ada), (ada, eve), (ada, bob)]);
    assert_eq!(notifier.changed(ada, eve, Some(cursor(50))), None);
    notifier.rest(rest);
    // What was marked while it was sent is sent after its rest.
    assert_eq!(held(), (Some(cursor(50)), None));
    let due = notifier.table.lock().wake(Instant::now()).expect("they rest");
    let again = notifier.take(10, due);
    assert_eq!(keys(&again), [(ada, eve)]);
    notifier.rest(again);
    assert_eq!(held(), (None, None));
    let due = notifier.table.lock().wake(due).expect("it rests");
    notifier.table.lock().wake(due);
    let table = notifier.table.lock();
    assert_eq!((table.size, table.lines.len(), table.resting.len()), (0, 0, 0));
}

#[tokio::test]
async fn a_full_table_forgets_nobody_but_who_filled_it() {
    let notifier = ConversationNotifier::default();
    let [flood, ada, bob] = [1, 2, 3].map(user);
    assert_eq!(notifier.changed(ada, bob, None), None);
    for peer in 1..MAX_CONVERSATIONS as u32 {
        assert_eq!(notifier.changed(flood, user(1_000 + peer), Some(cursor(1))), None);
    }
    assert_eq!(notifier.changed(bob, ada, Some(cursor(2))), Some(flood));
    notifier.forget(flood);
    assert_eq!((notifier.held(flood), notifier.held(bob)), (None, Some(cursor(2))));
    // The flood comes again; what is there of it takes a turn, not the table.
    assert_eq!(notifier.changed(flood, ada, None), None);
    let mut all = keys(&taken(&notifier, 10));
    all.sort_unstable();
    assert_eq!(all, [(flood, ada), (ada, bob), (bob, ada)]);
}

#[tokio::test]
async fn a_user_who_was_forgotten_takes_one_turn() {
    let notifier = ConversationNotifier::default();
    let [flood, ada, bob] = [1, 2, 3].map(user);
    let changed = |user, peer| assert_eq!(notifier.changed(user, peer, None), None);
    for _ in 0..10 {
        changed(flood, ada);
        notifier.forget(flood);
    }
    changed(ada, bob);
    for peer in 100..103 {
        changed(flood, user(peer));
    }
    changed(bob, ada);
    assert_eq!(
        keys(&taken(&notifier, 5)),
        [
            (ada, bob),
            (flood, user(100)),
            (bob, ada),
            (flood, user(101)),
            (flood, user(102))
        ]
    );
}

#[test]
fn as_many_are_read_as_the_store_does() {
    let mut batch_size = *BATCH_SIZES.start();
    for _ in 0..10 {
        batch_size = next_size(batch_size, batch_size, READ_TARGET / 10);
    }
    assert_eq!(batch_size, *BATCH_SIZES.end());
    assert_eq!(
        next_size(batch_size, 3, READ_TARGET / 10),
        batch_size,
        "a few say nothing"
    );
    for _ in 0..10 {
        batch_size = next_size(batch_size, batch_size, READ_TARGET * 2);
    }
    assert_eq!(batch_size, *BATCH_SIZES.start());
}
