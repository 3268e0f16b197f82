//! Who is connected, and from where clients go on, in every order that threads can run in.
//!
//! Loom runs each model again and again, once for each order of steps that could make a difference. The files are those
//! of the server, with Loom's lock in the place of theirs.

use std::sync::{Arc, Mutex};

use loom::thread;
use shared::UserId;

use connections::{ConnectionRegistry, TooManyConnections};
use domain::Cursor;
use storage::FeedStore;
use watermark::DeliveryWatermark;

#[path = "../src/delivery/connections.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "it is the server's, of which the models need a part"
)]
mod connections;
#[path = "../src/delivery/watermark.rs"]
#[expect(unreachable_pub, reason = "it is the server's")]
mod watermark;

/// Loom's lock, as the server calls its own.
mod sync {
    use loom::sync::MutexGuard;

    pub(super) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(super) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no thread panics while it holds this")
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }
}

/// What the server calls a cursor is a number here.
mod domain {
    pub(super) type Cursor = i64;
}

/// What the watermark knows of a database: a number for each commit, in order.
mod storage {
    use super::domain::Cursor;
    use loom::sync::atomic::{AtomicI64, Ordering};

    pub(super) trait FeedStore: Send + Sync {
        fn committed_position(&self) -> i64;
        fn cursor(&self, committed_position: i64) -> Cursor;
    }

    /// One writer at a time, which tells its number once it is durable.
    #[derive(Default)]
    pub(super) struct Numbers {
        writer: super::sync::Mutex<i64>,
        committed: AtomicI64,
    }

    impl Numbers {
        pub(super) fn commit(&self) -> i64 {
            let mut last = self.writer.lock();
            *last += 1;
            self.committed.fetch_max(*last, Ordering::AcqRel);
            *last
        }
    }

    impl FeedStore for Numbers {
        fn committed_position(&self) -> i64 {
            // Loom tries other orders of an access and the one before it. Of a read it forgets that somebody else read just before,
            // and with that the orders in which a commit comes between the two; of a change it does not.
            self.committed.fetch_max(0, Ordering::AcqRel)
        }

        fn cursor(&self, committed_position: i64) -> Cursor {
            committed_position
        }
    }
}

const USER: UserId = UserId::from_bytes([1; 12]);

/// What the presence of a user is told, in order.
type Notes = Arc<Mutex<Vec<bool>>>;

fn note(notes: &Notes, online: bool) -> impl FnOnce() {
    let notes = Arc::clone(notes);
    move || notes.lock().expect("no thread panics while it holds this").push(online)
}

/// A lane that commits one change and tells one client of it: the change's number, and the cursor with it.
fn lane(numbers: &Arc<storage::Numbers>, watermark: &Arc<DeliveryWatermark>, heard: &Heard) -> thread::JoinHandle<()> {
    let (numbers, watermark, heard) = (Arc::clone(numbers), Arc::clone(watermark), Arc::clone(heard));
    thread::spawn(move || {
        let in_flight = watermark.begin();
        let number = numbers.commit();
        let cursor = watermark.cursor();
        heard.lock().push((number, cursor));
        drop(in_flight);
    })
}

/// What one client hears, in order.
type Heard = Arc<sync::Mutex<Vec<(i64, Cursor)>>>;

/// Of two lanes that commit and deliver side by side, no event carries a cursor after a change that comes to the same
/// client after it.
#[test]
fn no_cursor_passes_a_change_that_is_on_its_way() {
    model(|| {
        let numbers = Arc::new(storage::Numbers::default());
        let watermark = DeliveryWatermark::new(Arc::clone(&numbers) as Arc<dyn FeedStore>);
        let heard = Heard::default();
        let lanes = [lane(&numbers, &watermark, &heard), lane(&numbers, &watermark, &heard)];
        lanes.into_iter().for_each(|lane| lane.join().expect("a lane ends"));
        let heard = heard.lock();
        for (index, (_, cursor)) in heard.iter().enumerate() {
            let next = heard[index..].iter().map(|(number, _)| *number).min();
            assert!(next.is_none_or(|next| *cursor < next), "{heard:?}");
        }
        assert_eq!(watermark.cursor(), 2, "no guard is left");
    });
}

/// A connection that has just caught up is given no cursor after a change that it has not received.
#[test]
fn no_cursor_of_a_connection_passes_a_change_on_its_way() {
    model(|| {
        let numbers = Arc::new(storage::Numbers::default());
        let watermark = DeliveryWatermark::new(Arc::clone(&numbers) as Arc<dyn FeedStore>);
        let heard = Heard::default();
        let lane = lane(&numbers, &watermark, &heard);
        let cursor = watermark.cursor();
        let told = heard.lock().len();
        assert!(cursor == 0 || told == 1, "{cursor} {told}");
        lane.join().expect("a lane ends");
    });
}

/// What a task did not deliver, because it was cut off or panicked, is passed by no cursor.
#[test]
fn no_cursor_passes_what_is_lost() {
    model(|| {
        for panics in [false, true] {
            let numbers = Arc::new(storage::Numbers::default());
            let watermark = DeliveryWatermark::new(Arc::clone(&numbers) as Arc<dyn FeedStore>);
            let lost = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _in_flight = watermark.begin();
                numbers.commit();
                if panics {
                    std::panic::resume_unwind(Box::new("on purpose"));
                }
                watermark.cut_off();
            }));
            assert_eq!(lost.is_err(), panics);
            assert_eq!(watermark.cursor(), 0);
        }
    });
}

/// Every order with up to three switches of threads that were not needed: faults like these show with fewer.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

/// Connections that come and go side by side: presence is told of changes only, and at last the truth.
#[test]
fn the_last_note_is_the_truth() {
    model(|| {
        let directory = Arc::new(ConnectionRegistry::new(2));
        let notes = Notes::default();
        let session = |connection: u8| {
            let (directory, notes) = (Arc::clone(&directory), Arc::clone(&notes));
            thread::spawn(move || {
                directory
                    .enter(USER, connection, (), note(&notes, true))
                    .expect("there is room");
                // The library's handler and the end of the session both say so.
                directory.leave(USER, connection, note(&notes, false));
                directory.leave(USER, connection, note(&notes, false));
            })
        };
        let sessions = [session(1), session(2)];
        // Whoever sees that somebody is here: that was noted before.
        if directory.has(USER) {
            assert!(notes.lock().expect("nobody panicked").contains(&true));
        }
        sessions
            .into_iter()
            .for_each(|session| session.join().expect("a session ends"));
        assert_eq!(directory.size(), (0, 0));
        let notes = notes.lock().expect("nobody panicked");
        assert!(notes.len() == 2 || notes.len() == 4, "{notes:?}");
        assert!(notes.chunks(2).all(|pair| pair == [true, false]), "{notes:?}");
    });
}

/// One place, two who want it: one gets it, and it is free again when that one has left.
#[test]
fn the_limit_holds() {
    model(|| {
        let directory = Arc::new(ConnectionRegistry::new(1));
        let notes = Notes::default();
        let session = |connection: u8| {
            let (directory, notes) = (Arc::clone(&directory), Arc::clone(&notes));
            thread::spawn(move || directory.enter(USER, connection, (), note(&notes, true)).is_ok())
        };
        let sessions = [session(1), session(2)];
        let entered = sessions.map(|session| session.join().expect("a session ends"));
        assert_eq!(entered.iter().filter(|entered| **entered).count(), 1);
        assert_eq!(
            directory.enter(USER, 3, (), note(&notes, true)),
            Err(TooManyConnections)
        );
        for (connection, entered) in [1, 2].into_iter().zip(entered) {
            assert_eq!(directory.of(USER).iter().any(|one| one.id == connection), entered);
            directory.leave(USER, connection, note(&notes, false));
        }
        assert_eq!(*notes.lock().expect("nobody panicked"), [true, false]);
        assert!(directory.enter(USER, 3, (), note(&notes, true)).is_ok());
    });
}
