//! Packets of a poll that its client could not be given yet.

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What is kept for the next poll.
#[derive(Default)]
pub(super) struct Rest {
    /// Held to put packets in or take them out.
    packets: Mutex<Option<Bytes>>,
    /// Notified when they were taken.
    taken: Notify,
}

impl Rest {
    /// Keeps packets. They are given back if `is_over`, which is asked under the lock that [`is_taken`](Self::is_taken) looks under.
    pub(super) fn keep(&self, packets: Bytes, is_over: impl FnOnce() -> bool) -> Result<(), Bytes> {
        let mut rest = self.packets.lock();
        if is_over() {
            return Err(packets);
        }
        *rest = Some(packets);
        Ok(())
    }

    /// Takes what was kept.
    pub(super) fn take(&self) -> Option<Bytes> {
        let rest = self.packets.lock().take();
        if rest.is_some() {
            self.taken.notify_waiters();
        }
        rest
    }

    /// Waits until nothing is kept.
    pub(super) async fn is_taken(&self) {
        loop {
            let taken = self.taken.notified();
            if self.packets.lock().is_none() {
                return;
            }
            taken.await;
        }
    }
}
