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

fn taken(updates: &ConversationNotifier, count: usize) -> Vec<Taken> {
    updates.take(count, Instant::now())
}

fn keys(taken: &[Taken]) -> Vec<Key> {
    taken.iter().map(|taken| taken.key).collect()
}

#[tokio::test]
async fn users_take_turns() {
    let updates = ConversationNotifier::default();
    let [busy, ada, bob] = [1, 2, 3].map(user);
    for peer in 100..1_100 {
        assert_eq!(updates.note(busy, user(peer), None), None);
    }
    for quiet in [ada, bob] {
        assert_eq!(updates.note(quiet, busy, None), None);
    }
    assert_eq!(
        keys(&taken(&updates, 4)),
        [(busy, user(100)), (ada, busy), (bob, busy), (busy, user(101))]
    );
    assert_eq!(taken(&updates, 2_000).len(), 998);
}

#[tokio::test]
async fn only_cursors_of_those_who_were_not_told_are_held() {
    let updates = ConversationNotifier::default();
    let [ada, bob, eve] = [1, 2, 3].map(user);
    for (peer, point) in [(bob, 10), (eve, 20), (bob, 30)] {
        assert_eq!(updates.note(ada, peer, Some(cursor(point))), None);
    }
    assert_eq!(updates.note(bob, ada, None), None);
    let held = || (updates.held(ada), updates.held(bob));
    assert_eq!(held(), (Some(cursor(10)), None));

    // While the first is being told there is another mark, and the store fails.
    let first = taken(&updates, 1);
    assert_eq!(updates.note(ada, bob, Some(cursor(40))), None);
    assert_eq!(held(), (Some(cursor(10)), None));
    updates.put_back(first);
    assert_eq!(held(), (Some(cursor(10)), None));

    let rest = taken(&updates, 10);
    assert_eq!(keys(&rest), [(bob, ada), (ada, eve), (ada, bob)]);
    assert_eq!(updates.note(ada, eve, Some(cursor(50))), None);
    updates.rest(rest);
    // What was marked while it was told is told after its rest.
    assert_eq!(held(), (Some(cursor(50)), None));
    let due = updates.table.lock().wake(Instant::now()).expect("they rest");
    let again = updates.take(10, due);
    assert_eq!(keys(&again), [(ada, eve)]);
    updates.rest(again);
    assert_eq!(held(), (None, None));
    let due = updates.table.lock().wake(due).expect("it rests");
    updates.table.lock().wake(due);
    let table = updates.table.lock();
    assert_eq!((table.size, table.lines.len(), table.resting.len()), (0, 0, 0));
}

#[tokio::test]
async fn a_full_table_forgets_nobody_but_who_filled_it() {
    let updates = ConversationNotifier::default();
    let [flood, ada, bob] = [1, 2, 3].map(user);
    assert_eq!(updates.note(ada, bob, None), None);
    for peer in 1..MOST as u32 {
        assert_eq!(updates.note(flood, user(1_000 + peer), Some(cursor(1))), None);
    }
    assert_eq!(updates.note(bob, ada, Some(cursor(2))), Some(flood));
    updates.forget(flood);
    assert_eq!((updates.held(flood), updates.held(bob)), (None, Some(cursor(2))));
    // The flood comes again; what is there of it takes a turn, not the table.
    assert_eq!(updates.note(flood, ada, None), None);
    let mut all = keys(&taken(&updates, 10));
    all.sort_unstable();
    assert_eq!(all, [(flood, ada), (ada, bob), (bob, ada)]);
}

#[tokio::test]
async fn whoever_was_forgotten_takes_one_turn() {
    let updates = ConversationNotifier::default();
    let [flood, ada, bob] = [1, 2, 3].map(user);
    let note = |user, peer| assert_eq!(updates.note(user, peer, None), None);
    for _ in 0..10 {
        note(flood, ada);
        updates.forget(flood);
    }
    note(ada, bob);
    for peer in 100..103 {
        note(flood, user(peer));
    }
    note(bob, ada);
    assert_eq!(
        keys(&taken(&updates, 5)),
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
    let mut at_once = *AT_ONCE.start();
    for _ in 0..10 {
        at_once = next_size(at_once, at_once, READING / 10);
    }
    assert_eq!(at_once, *AT_ONCE.end());
    assert_eq!(next_size(at_once, 3, READING / 10), at_once, "a few tell nothing");
    for _ in 0..10 {
        at_once = next_size(at_once, at_once, READING * 2);
    }
    assert_eq!(at_once, *AT_ONCE.start());
}
