//! Whether the store does its work, asked for everybody at once: to find out costs it a write, and anybody may ask the
//! server as often as they like.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::storage::{Store, StoreError};

/// The store is asked at most this often.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long an answer of the store is waited for. Its own bound is shorter.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// How long it is remembered that the store was away.
const AWAY_TTL: Duration = Duration::from_secs(10);

/// What the store answered last, or is being asked now.
#[derive(Default)]
pub struct StoreCheck {
    /// Held to read the round or to begin the next one.
    round: Mutex<Option<Round>>,
}

/// The store is asked once.
struct Round {
    begun: Instant,
    /// Whether the round before this one had just found the store away.
    was_away: bool,
    found: Shared<BoxFuture<'static, bool>>,
}

impl StoreCheck {
    /// Whether the store did its work when it was asked last, which is at most a second ago or now.
    ///
    /// While the store is away no request waits: the store is queried again, and counts as away meanwhile. So requests don't
    /// pile up at a store that hangs.
    pub async fn reachable(&self, store: &Arc<dyn Store>) -> bool {
        let (found, was_away) = self.round(store);
        if was_away {
            return found.now_or_never().unwrap_or(false);
        }
        found.await
    }

    /// What this round finds, and whether the one before had just found the store away.
    fn round(&self, store: &Arc<dyn Store>) -> (Shared<BoxFuture<'static, bool>>, bool) {
        let mut round = self.round.lock();
        let mut found = None;
        if let Some(last) = &*round {
            found = last.found.clone().now_or_never();
            if found.is_none() || last.begun.elapsed() < CHECK_INTERVAL {
                return (last.found.clone(), last.was_away);
            }
        }
        let last = round.as_ref().map(|last| last.begun.elapsed());
        let next = Round {
            begun: Instant::now(),
            was_away: found == Some(false) && last.is_some_and(|ago| ago < AWAY_TTL),
            found: ask(Arc::clone(store), found),
        };
        let next = round.insert(next);
        (next.found.clone(), next.was_away)
    }
}

/// Asks the store in a task, which a requester can't end by going away. It ends when the round is dropped.
fn ask(store: Arc<dyn Store>, before: Option<bool>) -> Shared<BoxFuture<'static, bool>> {
    let asked = AbortOnDropHandle::new(tokio::spawn(async move {
        let answer = tokio::time::timeout(PING_TIMEOUT, store.ping()).await;
        let answer = answer.unwrap_or_else(|_| Err(StoreError::no_answer_within(PING_TIMEOUT)));
        // Once for each change, not for each of those who ask.
        match (&answer, before) {
            (Err(error), Some(true) | None) => tracing::warn!(%error, "not ready: the store can't be reached"),
            (Ok(()), Some(false)) => tracing::info!("the store can be reached again"),
            _ => {}
        }
        answer.is_ok()
    }));
    // A panic was logged where it happened.
    asked.map(|found| found.unwrap_or(false)).boxed().shared()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sqlite::EmbeddedStore;

    fn store() -> (tempfile::TempDir, Arc<dyn Store>) {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path()).unwrap();
        (folder, Arc::new(store))
    }

    #[tokio::test]
    async fn those_who_ask_share_one_round() {
        let (_folder, store) = store();
        let check = StoreCheck::default();
        let begun = |check: &StoreCheck| check.round.lock().as_ref().map(|round| round.begun);
        let (first, _) = check.round(&store);
        let round = begun(&check);
        // The one who began it goes away.
        drop(first);
        for _ in 0..100 {
            assert!(check.reachable(&store).await);
            assert_eq!(begun(&check), round);
        }
        // A second later it is asked again.
        tokio::time::pause();
        tokio::time::advance(CHECK_INTERVAL).await;
        let _ = check.round(&store);
        assert_ne!(begun(&check), round);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_store_that_is_known_to_be_away() {
        let (_folder, store) = store();
        store.close(crate::clock::now()).await.unwrap();
        let check = StoreCheck::default();
        assert!(!check.reachable(&store).await);
        tokio::time::pause();
        tokio::time::advance(CHECK_INTERVAL).await;
        let (_, was_away) = check.round(&store);
        assert!(was_away);
        // Answered at once, from what is known, while it is asked again.
        assert_eq!(check.reachable(&store).now_or_never(), Some(false));
        tokio::time::advance(AWAY_TTL).await;
    }
}
