//! The queue of one lane: what waits, what is under way, and the end of both.
//!
//! Everything is under one lock, so that submitting, finishing and stopping see each other in one order: a stop
//! either sees a message that was taken, or its sender is refused. `tests/queue_model.rs` runs this file through
//! every order that threads can run in.

use super::shares::{Amount, Shares};
use super::sync::{Mutex, Notify};
use super::turns::{Portion, Turns};
use super::{Charge, Depth, SubmitError};

/// A bounded queue of one reader, whose items are charged to their senders until they are released.
pub(crate) struct Queue<T> {
    /// Held to put in, to take out, to charge and to release; never across an await.
    state: Mutex<State<T>>,
    /// The reader is woken: something waits, or nothing more will come.
    filled: Notify,
    /// The stop is woken: nothing is under way any more.
    emptied: Notify,
}

struct State<T> {
    phase: Phase,
    waiting: Turns<T>,
    shares: Shares,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Items are taken.
    Open,
    /// No more are taken; those that were are read.
    Stopping,
    /// A task that reads or answers is gone.
    Broken,
}

impl<T> Queue<T> {
    /// An empty queue that charges at most `limit` at a time.
    pub(crate) fn new(limit: Amount) -> Self {
        let state = State {
            phase: Phase::Open,
            waiting: Turns::new(),
            shares: Shares::new(limit),
        };
        Self {
            state: Mutex::new(state),
            filled: Notify::new(),
            emptied: Notify::new(),
        }
    }

    /// Charges an item and puts it in, or hands it back.
    pub(crate) fn enqueue(&self, charge: Charge, item: T) -> Result<(), (SubmitError, T)> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Open => {}
            Phase::Stopping => return Err((SubmitError::Stopping, item)),
            Phase::Broken => return Err((SubmitError::Broken, item)),
        }
        if !state.shares.charge(charge.sender, charge.bytes) {
            return Err((SubmitError::QueueFull, item));
        }
        // An earlier enqueue has woken the reader.
        let wakes = state.waiting.is_empty();
        state.waiting.enqueue(charge.sender, charge.bytes, item);
        drop(state);
        if wakes {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits for items and takes out a portion of them. `None` when nothing waits and nothing more will come.
    pub(crate) async fn dequeue(&self, most: Portion) -> Option<Vec<T>> {
        loop {
            {
                let mut state = self.state.lock();
                let taken = state.waiting.dequeue(most);
                if !taken.is_empty() {
                    return Some(taken);
                }
                if state.phase != Phase::Open {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    /// How full it is.
    pub(crate) fn depth(&self) -> Depth {
        let state = self.state.lock();
        let Amount { messages, bytes } = state.shares.used();
        Depth {
            waiting: state.waiting.len(),
            messages,
            bytes,
        }
    }

    /// Whether anything waits.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.state.lock().waiting.is_empty()
    }

    /// Takes out all that waits, without waiting for anything.
    pub(crate) fn clear(&self) -> Vec<T> {
        self.state.lock().waiting.clear()
    }

    /// Takes back what items were charged with: they are answered.
    pub(crate) fn release(&self, charges: impl Iterator<Item = Charge>) {
        let mut state = self.state.lock();
        charges.for_each(|charge| state.shares.release(charge.sender, charge.bytes));
        if state.shares.is_empty() {
            drop(state);
            self.emptied.notify_waiters();
        }
    }

    /// Takes no more items. The reader ends once it has read the ones that wait.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Stopping;
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Waits until nothing is under way, or will ever end because the queue is broken.
    pub(crate) async fn emptied(&self) {
        loop {
            // Made before looking, so that it is notified of an end that comes after.
            let emptied = self.emptied.notified();
            {
                let state = self.state.lock();
                if state.shares.is_empty() || state.phase == Phase::Broken {
                    return;
                }
            }
            emptied.await;
        }
    }

    /// A task that reads or answers is gone before the stop. What waits is dropped, which answers those who
    /// wait for it.
    pub(crate) fn break_off(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Broken;
        let left = state.waiting.clear();
        drop(state);
        self.filled.notify_one();
        self.emptied.notify_waiters();
        drop(left);
    }
}
