//! Reads of whole pages take turns: few at a time, so that what they hold in memory has a bound, and fairly.
//!
//! Users take turns one after the other, and the reads of one user queue one after the other, so that a user who asks
//! for a thousand pages makes others wait for one of them at most. A turn is held only while the store is queried.
//!
//! When a read fails because the store is away, one task queries it now and then, and all who can wait until it is back
//! wait for that task's answer: see [`Reads::store_answers`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shared::UserId;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::storage::UserStore;

/// Reads at a time: enough to keep any store busy. Each holds a page ([`shared::limits::PAGE_BYTES`]), twice while it
/// is written as JSON: 32 MiB in all.
const MAX_CONCURRENT_READS: usize = 32;

/// Reads of one user at a time.
const MAX_CONCURRENT_READS_OF_USER: usize = 2;

/// Reads that may wait for their turn: more than there are connections, each of which waits with one.
const MAX_WAITING_READS: usize = 65_536;

/// Time between two queries to a store that is away.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// How long the store may take to answer one of them.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// As many reads as are allowed wait for their turn already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyReads;

/// The turns of one server.
pub struct Reads {
    /// Held to ask for, give or take back one turn.
    table: Mutex<Table>,
    /// Whether the store answered when it was last queried.
    up: watch::Sender<bool>,
}

#[derive(Default)]
struct Table {
    running: usize,
    waiting: usize,
    /// Counts those who asked.
    asked: u64,
    /// Users whose reads run or wait.
    lines: HashMap<UserId, Line>,
    /// Users whose turn comes, in order, each once.
    turns: VecDeque<UserId>,
}

/// The reads of one user.
#[derive(Default)]
struct Line {
    running: usize,
    waiting: VecDeque<(u64, oneshot::Sender<()>)>,
    /// Whether the user is among [`Table::turns`].
    has_turn: bool,
}

/// A turn to read, until it is dropped.
#[must_use]
pub struct ReadPermit {
    reads: Arc<Reads>,
    user: UserId,
}

/// A read that waits for its turn. Dropped, it gives up its place.
struct Waiting<'a> {
    reads: &'a Reads,
    user: UserId,
    number: u64,
    /// Whether the turn was taken on by a [`ReadPermit`].
    taken: bool,
}

impl Default for Reads {
    fn default() -> Self {
        Self {
            table: Mutex::default(),
            up: watch::Sender::new(true),
        }
    }
}

impl Reads {
    /// Waits until it is this user's turn. Giving up waiting is always possible.
    ///
    /// # Errors
    /// [`TooManyReads`] at once.
    pub async fn wait(self: &Arc<Self>, user: UserId) -> Result<ReadPermit, TooManyReads> {
        let (number, given) = self.table.lock().ask(user)?;
        let mut waiting = Waiting {
            reads: self,
            user,
            number,
            taken: false,
        };
        // The other end is dropped only when this is.
        let _ = given.await;
        waiting.taken = true;
        Ok(ReadPermit {
            reads: Arc::clone(self),
            user,
        })
    }

    /// A read failed because the store is away.
    pub fn set_store_away(&self) {
        self.up.send_if_modified(|up| std::mem::replace(up, false));
    }

    /// Waits until the store answers again, if it was away when it was last queried.
    pub async fn store_answers(&self) {
        // It fails only when the sender is gone, which is here.
        let _ = self.up.subscribe().wait_for(|up| *up).await;
    }

    /// Queries a store that is away until it answers, on behalf of all who wait, until `stop` is cancelled.
    pub async fn run(self: Arc<Self>, store: Arc<dyn UserStore>, stop: CancellationToken) {
        let mut up = self.up.subscribe();
        let probing = async {
            // As above.
            while up.wait_for(|up| !*up).await.map(drop).is_ok() {
                // No user has this id. What counts is that it was looked for.
                let probe = store.user(UserId::from_bytes([0; 12]));
                match tokio::time::timeout(PROBE_TIMEOUT, probe).await {
                    Ok(Ok(_)) => {
                        self.up.send_replace(true);
                    }
                    _ => tokio::time::sleep(PROBE_INTERVAL).await,
                }
            }
        };
        stop.run_until_cancelled(probing).await;
    }
}

impl Table {
    fn ask(&mut self, user: UserId) -> Result<(u64, oneshot::Receiver<()>), TooManyReads> {
        if self.waiting >= MAX_WAITING_READS {
            return Err(TooManyReads);
        }
        let (give, given) = oneshot::channel();
        self.asked += 1;
        self.waiting += 1;
        let line = self.lines.entry(user).or_default();
        line.waiting.push_back((self.asked, give));
        self.queue(user);
        self.give();
        Ok((self.asked, given))
    }

    /// Puts a user after the others, if a read of theirs can run.
    fn queue(&mut self, user: UserId) {
        let Some(line) = self.lines.get_mut(&user) else { return };
        if !line.has_turn && !line.waiting.is_empty() && line.running < MAX_CONCURRENT_READS_OF_USER {
            line.has_turn = true;
            self.turns.push_back(user);
        }
    }

    /// Gives turns as long as there are any.
    fn give(&mut self) {
        while self.running < MAX_CONCURRENT_READS
            && let Some(user) = self.turns.pop_front()
        {
            let Some(line) = self.lines.get_mut(&user) else {
                continue;
            };
            line.has_turn = false;
            if let Some((_, give)) = line.waiting.pop_front() {
                line.running += 1;
                self.running += 1;
                self.waiting -= 1;
                // A reader that gives up takes its place out of the line before it stops listening.
                let _ = give.send(());
            }
            self.queue(user);
            self.forget(user);
        }
    }

    fn end(&mut self, user: UserId) {
        self.running -= 1;
        if let Some(line) = self.lines.get_mut(&user) {
            line.running -= 1;
        }
        self.queue(user);
        self.forget(user);
        self.give();
    }

    /// Takes a place out of the line; one that is not there any more was given its turn.
    fn give_up(&mut self, user: UserId, number: u64) {
        let waiting = self.lines.get_mut(&user).map(|line| &mut line.waiting);
        let place = |line: &&mut VecDeque<(u64, _)>| line.binary_search_by_key(&number, |(number, _)| *number).ok();
        match waiting.and_then(|line| place(&line).and_then(|index| line.remove(index))) {
            Some(_) => {
                self.waiting -= 1;
                self.forget(user);
            }
            None => self.end(user),
        }
    }

    /// Drops the line of a user who neither reads nor waits. One who still has a turn keeps it until then.
    fn forget(&mut self, user: UserId) {
        let is_idle = |line: &Line| line.running == 0 && line.waiting.is_empty() && !line.has_turn;
        if self.lines.get(&user).is_some_and(is_idle) {
            self.lines.remove(&user);
        }
    }
}

impl Drop for ReadPermit {
    fn drop(&mut self) {
        self.reads.table.lock().end(self.user);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.taken {
            self.reads.table.lock().give_up(self.user, self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::Poll;

    use futures_util::FutureExt;
    use futures_util::future::poll_immediate;

    use super::*;

    type Asked = Pin<Box<dyn Future<Output = Result<ReadPermit, TooManyReads>>>>;

    fn user(number: u8) -> UserId {
        UserId::from_bytes([number; 12])
    }

    /// Asks for a turn, and takes it if there is one.
    async fn ask(reads: &Arc<Reads>, user: UserId) -> Result<ReadPermit, Asked> {
        let reads = Arc::clone(reads);
        let mut asked: Asked = async move { reads.wait(user).await }.boxed_local();
        match poll_immediate(&mut asked).await {
            Some(turn) => Ok(turn.expect("there is room")),
            None => Err(asked),
        }
    }

    fn is_given(asked: &mut Asked) -> Option<ReadPermit> {
        asked.as_mut().now_or_never().map(|turn| turn.expect("there is room"))
    }

    fn is_empty(reads: &Reads) -> bool {
        let table = reads.table.lock();
        (table.running, table.waiting, table.lines.len(), table.turns.len()) == (0, 0, 0, 0)
    }

    #[tokio::test]
    async fn a_flood_makes_nobody_else_wait_for_more_than_one_of_it() {
        let reads = Arc::new(Reads::default());
        let mut flood = Vec::new();
        let mut running = Vec::new();
        for _ in 0..1_000 {
            match ask(&reads, user(1)).await {
                Ok(turn) => running.push(turn),
                Err(asked) => flood.push(asked),
            }
        }
        assert_eq!(running.len(), MAX_CONCURRENT_READS_OF_USER);
        // All the other turns are taken.
        for number in 0..(MAX_CONCURRENT_READS - MAX_CONCURRENT_READS_OF_USER) {
            running.push(ask(&reads, user(100 + number as u8)).await.ok().expect("a turn"));
        }
        let mut others: Vec<Asked> = Vec::new();
        for number in 2..12 {
            others.push(ask(&reads, user(number)).await.err().expect("no turn is left"));
        }
        // One read of the flood ends, and its next one waits after the others.
        for other in &mut others {
            drop(running.remove(0));
            running.push(is_given(other).expect("it is their turn"));
            assert!(is_given(&mut flood[0]).is_none());
        }
        drop(running.remove(0));
        assert!(is_given(&mut flood[0]).is_some());
        drop((running, flood, others));
        assert!(is_empty(&reads));
    }

    #[tokio::test]
    async fn whoever_is_gone_holds_no_place() {
        let reads = Arc::new(Reads::default());
        let first = ask(&reads, user(1)).await.ok().expect("a turn");
        let second = ask(&reads, user(1)).await.ok().expect("a turn");
        let gone = ask(&reads, user(1)).await.err().expect("two of a user run");
        let mut waits = ask(&reads, user(1)).await.err().expect("two of a user run");
        let given_and_gone = ask(&reads, user(1)).await.err().expect("two of a user run");
        drop(gone);
        drop(first);
        let third = is_given(&mut waits).expect("it is next");
        // Its turn comes, and it goes before it knows.
        drop(second);
        drop(given_and_gone);
        drop(third);
        assert!(is_empty(&reads));
        for _ in 0..10 {
            assert_eq!(poll_once(&reads), Poll::Ready(()));
        }
        assert!(is_empty(&reads));
    }

    fn poll_once(reads: &Arc<Reads>) -> Poll<()> {
        match reads.wait(user(1)).now_or_never() {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }

    #[tokio::test]
    async fn too_many_are_refused() {
        let reads = Arc::new(Reads::default());
        let mut asked = Vec::new();
        for _ in 0..MAX_WAITING_READS + MAX_CONCURRENT_READS_OF_USER {
            asked.push(ask(&reads, user(1)).await);
        }
        assert!(matches!(reads.wait(user(2)).now_or_never(), Some(Err(TooManyReads))));
        drop(asked);
        assert!(is_empty(&reads));
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_waited_for() {
        let reads = Reads::default();
        reads.store_answers().await;
        reads.set_store_away();
        reads.set_store_away();
        assert!(reads.store_answers().now_or_never().is_none());
        reads.up.send_replace(true);
        reads.store_answers().await;
    }
}
