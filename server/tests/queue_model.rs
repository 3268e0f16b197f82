//! The queue of messages in every order that its threads can run in: submitting, taking, releasing, stopping.
//!
//! Loom runs each model again and again, once for each order of steps that could make a difference, with up to two
//! steps of a thread that another one interrupts: more of them take minutes and found nothing else. The files are those of
//! the server, with Loom's lock in the place of theirs.

use std::sync::Arc;

use loom::future::block_on;
use loom::thread;
use shared::UserId;

use queue::Queue;
use shares::Amount;
use turns::Portion;

#[path = "../src/chat/commit/queue.rs"]
mod queue;
#[path = "../src/chat/commit/shares.rs"]
mod shares;
#[path = "../src/chat/commit/turns.rs"]
mod turns;

/// Loom's lock, as the queue calls its own, and notifications that other threads can come before.
mod sync {
    use loom::sync::MutexGuard;
    use loom::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::futures::Notified;

    pub(super) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(super) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no thread panics while it holds this")
        }
    }

    /// Loom sees a step before each of its uses, so that any other thread can run in between.
    pub(super) struct Notify {
        step: AtomicUsize,
        notify: tokio::sync::Notify,
    }

    impl Notify {
        pub(super) fn new() -> Self {
            Self {
                step: AtomicUsize::new(0),
                notify: tokio::sync::Notify::new(),
            }
        }

        pub(super) fn notified(&self) -> Notified<'_> {
            self.step();
            self.notify.notified()
        }

        pub(super) fn notify_one(&self) {
            self.step();
            self.notify.notify_one();
        }

        pub(super) fn notify_waiters(&self) {
            self.step();
            self.notify.notify_waiters();
        }

        fn step(&self) {
            self.step.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// What the server charges, as far as the queue looks at it.
#[derive(Clone, Copy)]
struct Charge {
    sender: UserId,
    bytes: usize,
}

/// How full it says that it is.
#[derive(Debug, PartialEq, Eq)]
struct Depth {
    waiting: usize,
    messages: usize,
    bytes: usize,
}

/// Why the queue refuses.
#[derive(Debug, PartialEq, Eq)]
enum SubmitError {
    QueueFull,
    Stopping,
    Broken,
}

const ALL: Portion = Portion {
    items: 8,
    bytes: 1_000,
    sender_bytes: 1_000,
};

fn charge(sender: u8) -> Charge {
    Charge {
        sender: UserId::from_bytes([sender; 12]),
        bytes: 10,
    }
}

fn queue(messages: usize) -> Arc<Queue<u8>> {
    Arc::new(Queue::new(Amount { messages, bytes: 1_000 }))
}

/// Runs a model.
fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(run);
}

/// Reads to the end, as a lane does; returns what it read.
fn reader(queue: Arc<Queue<u8>>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        block_on(async {
            let mut read = Vec::new();
            while let Some(taken) = queue.dequeue(ALL).await {
                queue.release(taken.iter().map(|sender| charge(*sender)));
                read.extend(taken);
            }
            read
        })
    })
}

/// After a stop nothing that was taken is left: it was read and released before the stop ended, or it was refused.
#[test]
fn a_stop_waits_for_all_that_was_taken() {
    model(|| {
        let queue = queue(8);
        let reader = reader(Arc::clone(&queue));
        let submitting = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.enqueue(charge(1), 1).map_err(|(refused, _)| refused))
        };
        queue.stop();
        block_on(queue.emptied());
        assert!(!queue.is_waited_for());
        let empty = Depth {
            waiting: 0,
            messages: 0,
            bytes: 0,
        };
        assert_eq!(queue.depth(), empty);
        // From now on nothing may come in that the reader has not read.
        assert_eq!(queue.enqueue(charge(2), 2), Err((SubmitError::Stopping, 2)));
        assert!(queue.clear().is_empty());
        let read = reader.join().expect("the reader ends");
        match submitting.join().expect("the submitter ends") {
            Ok(()) => assert_eq!(read, [1]),
            Err(refused) => assert_eq!((refused, read), (SubmitError::Stopping, vec![])),
        }
    });
}

/// The reader is woken for every item, whoever puts it in while the reader falls asleep.
#[test]
fn nothing_waits_for_a_reader_that_sleeps() {
    model(|| {
        let queue = queue(8);
        let other = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.enqueue(charge(1), 1).is_ok())
        };
        let reader = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                block_on(async {
                    let mut read = 0;
                    while read < 2 {
                        read += queue.dequeue(ALL).await.map_or(0, |taken| taken.len());
                    }
                })
            })
        };
        assert!(queue.enqueue(charge(2), 2).is_ok());
        assert!(other.join().expect("the other ends"));
        reader.join().expect("the reader ends");
        // Both were taken out, and nobody has released them yet.
        let taken = Depth {
            waiting: 0,
            messages: 2,
            bytes: 20,
        };
        assert_eq!(queue.depth(), taken);
    });
}

/// What is charged is released once, whatever happens at the same time.
#[test]
fn charges_are_taken_back() {
    model(|| {
        let queue = queue(2);
        let reader = reader(Arc::clone(&queue));
        let other = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.enqueue(charge(1), 1).is_ok())
        };
        // Half of what is free is enough for each of two.
        assert!(queue.enqueue(charge(2), 2).is_ok());
        assert!(other.join().expect("the other ends"));
        queue.stop();
        block_on(queue.emptied());
        let mut read = reader.join().expect("the reader ends");
        read.sort_unstable();
        assert_eq!(read, [1, 2]);
    });
}

/// Nobody waits for a reader that is gone.
#[test]
fn a_broken_queue_is_told() {
    model(|| {
        let queue = queue(8);
        let breaking = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.break_off())
        };
        let put = queue.enqueue(charge(1), 1);
        block_on(queue.emptied());
        breaking.join().expect("it ends");
        assert!(matches!(put, Ok(()) | Err((SubmitError::Broken, 1))));
        assert_eq!(queue.enqueue(charge(2), 2), Err((SubmitError::Broken, 2)));
        assert!(queue.clear().is_empty());
    });
}
