//! Bytes that wait for clients, and who is charged for them.
//!
//! What a client asked for or is to be sent waits in memory until its connection has taken it. Each waiting byte is
//! charged to an [`Account`], one for each connection, and what goes beyond [`OWN_BYTES`] through it to the connection's
//! user and to the process. All three are bounded. A connection may hold no more than [`CONNECTION_BYTES`], and no more
//! than what is still free of the user's and of the process's share: the more connections stall, the less each may hold.
//! This is the rule of dynamic thresholds in shared-memory switches (Choudhury and Hahne, 1998). The first bytes are free to
//! each connection, so that those that read go on while others have taken all the rest; and most connections touch
//! nothing that they share.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use shared::UserId;
use tokio::sync::Notify;

/// Most bytes that may wait for one connection: a page that it asked for ([`shared::limits::PAGE_BYTES`]), and as much of
/// what it is sent.
pub const CONNECTION_BYTES: usize = 2 * shared::limits::PAGE_BYTES;

/// Most bytes that may wait for all connections of one user, beside [`OWN_BYTES`] for each.
pub const USER_BYTES: usize = 4 << 20;

/// Most bytes that may wait for all connections of the process, beside [`OWN_BYTES`] for each.
pub const PROCESS_BYTES: usize = 64 << 20;

/// Bytes that may always wait for a connection, whatever waits for others.
pub const OWN_BYTES: usize = 4 << 10;

/// As much as an answer may leave unwritten before the work for the next one of its connection begins.
const LOW_BYTES: usize = 64 << 10;

/// What is longer brings a message that is longer than any of ours: only old databases have those. No page of ours is.
/// Such a message has no bound but MongoDB's, and a client that could not be sent one would come back for it for ever. So
/// neither the connection nor its user bounds it; the process alone does.
const LARGE_BYTES: usize = shared::limits::PAGE_BYTES + LOW_BYTES;

/// Most bytes that may wait in the process before one more that is [`LARGE_BYTES`]: a message of MongoDB's greatest length may be
/// held, while it waits as an event, and the conversation that brings it once more waits, too.
const LARGE_AFTER: usize = PROCESS_BYTES / 4 * 3;

/// The share of the process, and of each user who has bytes waiting.
#[derive(Default)]
pub struct Budget {
    waiting: Share,
    users: Shares<UserId>,
}

/// Bytes of several connections.
#[derive(Default)]
pub(crate) struct Share {
    waiting: AtomicIsize,
    /// Those of them that are not bounded by this share.
    large: AtomicIsize,
}

/// The shares of those who have one. Held to look up or add one; shares without an owner are swept out when it grows.
pub(crate) struct Shares<K>(Mutex<HashMap<K, Weak<Share>>>);

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq> Shares<K> {
    /// The share of this owner, and a new one if there is none.
    pub(crate) fn of(&self, owner: K) -> Arc<Share> {
        let mut shares = self.0.lock();
        if let Some(share) = shares.get(&owner).and_then(Weak::upgrade) {
            return share;
        }
        if shares.len() == shares.capacity() {
            shares.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::default();
        shares.insert(owner, Arc::downgrade(&share));
        share
    }
}

impl Share {
    /// Changes it, and returns how much it is then. What is taken off may come before what it was part of, so it can be less
    /// than nothing for a moment.
    pub(crate) fn change(&self, by: isize) -> usize {
        let before = self.waiting.fetch_add(by, Ordering::SeqCst);
        usize::try_from(before.saturating_add(by)).unwrap_or(0)
    }

    pub(crate) fn get(&self) -> usize {
        usize::try_from(self.waiting.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// More or fewer of its bytes are [`LARGE_BYTES`]. They are counted here before they wait, and until they wait no more.
    fn change_large(&self, by: isize) {
        self.large.fetch_add(by, Ordering::SeqCst);
    }

    fn large(&self) -> usize {
        usize::try_from(self.large.load(Ordering::SeqCst)).unwrap_or(0)
    }
}

/// How much of what waits for a connection others have a share in.
fn shared(waiting: usize) -> isize {
    isize::try_from(waiting.saturating_sub(OWN_BYTES)).unwrap_or(isize::MAX)
}

/// What waits for one connection.
pub struct Account {
    budget: Arc<Budget>,
    /// Of the user, once it is known.
    user: OnceLock<Arc<Share>>,
    waiting: AtomicUsize,
    /// The length of what is [`LARGE_BYTES`] of it, and no more than waits.
    large: AtomicUsize,
    written: Notify,
}

/// Bytes that are held for a client and not sent yet, until this is dropped.
pub struct Held {
    budget: Arc<Budget>,
    user: Option<Arc<Share>>,
    bytes: isize,
}

/// What is held for one client may take one part in so many of what is still free: those that hold much for long leave
/// room for those that need little.
const HELD_SHARE: usize = 8;

/// More would wait than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverBudget;

impl Budget {
    /// Bytes that wait for all clients, without the first [`OWN_BYTES`] of each.
    pub fn waiting(&self) -> usize {
        self.waiting.get()
    }

    /// Charges bytes to a user that wait for a connection that is no user's own: a proxy's carries the requests of many.
    ///
    /// # Errors
    /// [`OverBudget`] if so many may not wait for the user.
    pub(crate) fn charge_user(&self, user: UserId, bytes: usize) -> Result<OfUser, OverBudget> {
        let charged = OfUser {
            user: self.users.of(user),
            bytes: isize::try_from(bytes).map_err(|_| OverBudget)?,
            is_large: bytes > LARGE_BYTES,
        };
        let (user, bytes) = (&charged.user, charged.bytes);
        if charged.is_large {
            user.change_large(bytes);
        }
        let waiting = user.change(bytes);
        let may = charged.is_large || waiting.saturating_sub(user.large()) <= USER_BYTES;
        may.then_some(charged).ok_or(OverBudget)
    }
}

/// Bytes that wait for a user, until this is dropped.
pub(crate) struct OfUser {
    user: Arc<Share>,
    bytes: isize,
    is_large: bool,
}

impl Drop for OfUser {
    fn drop(&mut self) {
        self.user.change(-self.bytes);
        if self.is_large {
            self.user.change_large(-self.bytes);
        }
    }
}

impl Account {
    /// An account that nothing is charged to yet.
    pub fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            user: OnceLock::new(),
            waiting: AtomicUsize::new(0),
            large: AtomicUsize::new(0),
            written: Notify::new(),
        }
    }

    /// Says whose connection it is. What is charged from now on is charged to the user, too.
    pub fn belongs_to(&self, user: UserId) {
        // What waits from before is a few bytes of the handshake; they are never taken from the user.
        self.take_off(usize::MAX);
        let _ = self.user.set(self.budget.users.of(user));
    }

    /// Charges bytes that are about to wait, beside whatever is [`LARGE_BYTES`].
    ///
    /// # Errors
    /// [`OverBudget`] if they may not; then nothing is charged.
    pub fn charge(&self, bytes: usize) -> Result<(), OverBudget> {
        let is_large = bytes > LARGE_BYTES;
        let user = self.user.get();
        let of_large = if is_large { bytes } else { 0 };
        if let Some(user) = user {
            user.change_large(of_large.cast_signed());
        }
        let waiting = self.waiting.fetch_add(bytes, Ordering::SeqCst) + bytes;
        if waiting <= OWN_BYTES {
            return Ok(());
        }
        let large = self.large.fetch_add(of_large, Ordering::SeqCst);
        let more = shared(waiting) - shared(waiting - bytes);
        let process = self.budget.waiting.change(more);
        let of_user = user.map(|user| user.change(more).saturating_sub(user.large()));
        let may = if is_large {
            // The first one of each connection leads the others.
            let most = if large == 0 { LARGE_AFTER } else { PROCESS_BYTES / 2 };
            process.saturating_sub(bytes) <= most
        } else {
            let mut most = PROCESS_BYTES.saturating_sub(process).min(CONNECTION_BYTES);
            if let Some(of_user) = of_user {
                most = most.min(USER_BYTES.saturating_sub(of_user));
            }
            waiting.saturating_sub(large) <= most
        };
        if may {
            return Ok(());
        }
        self.take_off(bytes);
        Err(OverBudget)
    }

    /// Holds bytes for the client that are not sent yet.
    ///
    /// # Errors
    /// [`OverBudget`] if so many may not be held now.
    pub fn hold(&self, bytes: usize) -> Result<Held, OverBudget> {
        // As in `charge`, beyond what conversations of ours can have together.
        let large = bytes > CONNECTION_BYTES;
        let user = self.user.get().filter(|_| !large).cloned();
        let more = isize::try_from(bytes).map_err(|_| OverBudget)?;
        let process = self.budget.waiting.change(more);
        let of_user = user
            .as_ref()
            .map(|user| USER_BYTES.saturating_sub(user.change(more).saturating_sub(user.large())));
        let held = Held {
            budget: Arc::clone(&self.budget),
            user,
            bytes: more,
        };
        let free = PROCESS_BYTES.saturating_sub(process) / HELD_SHARE;
        let may = match large {
            true => process.saturating_sub(bytes) <= LARGE_AFTER && bytes <= PROCESS_BYTES / 2,
            false => bytes <= of_user.unwrap_or(usize::MAX).min(free) || bytes <= OWN_BYTES,
        };
        may.then_some(held).ok_or(OverBudget)
    }

    /// The connection took bytes; more than wait is no error, because not all that is written was charged.
    pub fn written(&self, bytes: usize) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let (before, left) = self.take_off(bytes);
        // Those who wait for it began before.
        if before > LOW_BYTES && left <= LOW_BYTES {
            self.written.notify_waiters();
        }
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Waits until the connection has taken nearly all. The connection can end meanwhile, so the caller also waits for
    /// that.
    pub async fn drained(&self) {
        loop {
            let written = self.written.notified();
            if self.waiting() <= LOW_BYTES {
                return;
            }
            written.await;
        }
    }

    /// Takes bytes off, and returns how many there were and are left.
    fn take_off(&self, bytes: usize) -> (usize, usize) {
        let less = |waiting: usize| Some(waiting.saturating_sub(bytes));
        // Ordered before the notification, and the look of `drained` after its subscription: none is missed.
        let before = self
            .waiting
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .unwrap_or(0);
        let left = before.saturating_sub(bytes);
        if before > OWN_BYTES {
            let more = shared(left) - shared(before);
            self.budget.waiting.change(more);
            if let Some(user) = self.user.get() {
                user.change(more);
            }
        }
        self.take_large();
        (before, left)
    }

    /// No more is large than waits, and nothing if that is little. What is large is counted after it was added to what
    /// waits, so none of it is taken off too early.
    fn take_large(&self) {
        let mut large = self.large.load(Ordering::SeqCst);
        while large > 0 {
            let most = Some(self.waiting()).filter(|waiting| *waiting > LOW_BYTES).unwrap_or(0);
            let left = large.min(most);
            match self
                .large
                .compare_exchange(large, left, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => {
                    if let Some(user) = self.user.get() {
                        user.change_large(left.cast_signed() - large.cast_signed());
                    }
                    return;
                }
                Err(now) => large = now,
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.waiting.change(-self.bytes);
        if let Some(user) = &self.user {
            user.change(-self.bytes);
        }
    }
}

/// Whatever waited is dropped with the connection.
impl Drop for Account {
    fn drop(&mut self) {
        self.take_off(usize::MAX);
    }
}

#[cfg(test)]
mod tests;
