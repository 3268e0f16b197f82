//! Reading for many callers with a few commands: what is requested while one batch is read becomes the next one.
//!
//! The next batches overtake a batch that takes long: its connection may be lost without a word, and only its own callers
//! should wait for that.
//!
//! A lone request goes at once. When thousands of clients come back together, each of them needs one user and the state of a
//! few conversations, and so many single commands would keep mongod from everything else.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::storage::StoreError;
use crate::supervisor::Supervisor;

/// A batch takes no more requests when it has so many keys.
const MAX_BATCH: usize = 500;

/// Requests that wait; callers beyond that wait for room.
const MAX_WAITING: usize = 4_096;

/// Batches that are read at a time, if each takes long.
const MAX_CONCURRENT: usize = 8;

/// How long the next batch waits for the one before.
const OVERTAKE_DELAY: Duration = Duration::from_millis(100);

/// Keys to read, and where the values go.
struct Request<K, V> {
    keys: Vec<K>,
    reply: oneshot::Sender<Result<Vec<V>, StoreError>>,
}

/// The queue of requests. Its task ends when this is dropped.
pub(super) struct Batches<K, V> {
    queue: mpsc::Sender<Request<K, V>>,
    /// Watches the task; stopped before the task may end.
    parts: Supervisor,
}

impl<K: Copy + Send + 'static, V: Send + 'static> Batches<K, V> {
    /// Starts the task, by the name that logs and tests use. `read` reads a value for each key, in the order given.
    pub(super) fn start<F>(name: &'static str, parts: &Supervisor, read: impl Fn(Vec<K>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Vec<V>, StoreError>> + Send + 'static,
    {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let parts = parts.child();
        parts.spawn(name, run(waiting, read));
        Self { queue, parts }
    }

    /// The values of these keys, in the order given.
    pub(super) async fn read(&self, keys: Vec<K>) -> Result<Vec<V>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, found) = oneshot::channel();
        let request = Request { keys, reply };
        self.queue.send(request).await.map_err(|_| StoreError::closed())?;
        found.await.unwrap_or_else(|_| Err(StoreError::closed()))
    }
}

impl<K, V> Drop for Batches<K, V> {
    fn drop(&mut self) {
        self.parts.stop();
    }
}

async fn run<K, V, F>(mut waiting: mpsc::Receiver<Request<K, V>>, read: impl Fn(Vec<K>) -> F)
where
    K: Copy,
    F: Future<Output = Result<Vec<V>, StoreError>>,
{
    let mut reading = FuturesUnordered::new();
    let mut next = Instant::now();
    loop {
        let idle = reading.is_empty();
        let first = async {
            if !idle {
                tokio::time::sleep_until(next).await;
            }
            waiting.recv().await
        };
        let first = tokio::select! {
            Some(()) = reading.next(), if !idle => continue,
            first = first, if reading.len() < MAX_CONCURRENT => first,
        };
        let Some(first) = first else { break };
        let batch = next_batch(first, &mut waiting);
        if !batch.is_empty() {
            next = Instant::now() + OVERTAKE_DELAY;
            let keys = batch.iter().flat_map(|request| request.keys.iter().copied()).collect();
            let found = read(keys);
            reading.push(async move { reply_to_all(batch, found.await) });
        }
    }
    while reading.next().await.is_some() {}
}

/// The requests that wait, up to a batch.
fn next_batch<K, V>(first: Request<K, V>, waiting: &mut mpsc::Receiver<Request<K, V>>) -> Vec<Request<K, V>> {
    let mut count = first.keys.len();
    let mut batch = vec![first];
    while count < MAX_BATCH
        && let Ok(next) = waiting.try_recv()
    {
        count += next.keys.len();
        batch.push(next);
    }
    // A caller who no longer waits needs no answer.
    batch.retain(|request| !request.reply.is_closed());
    batch
}

fn reply_to_all<K, V>(batch: Vec<Request<K, V>>, found: Result<Vec<V>, StoreError>) {
    let mut values = found.map(Vec::into_iter);
    for Request { keys, reply } in batch {
        let part = values.as_mut().map(|values| values.by_ref().take(keys.len()).collect());
        // As above.
        let _ = reply.send(part.map_err(|error| error.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_hangs_is_overtaken() {
        let batches = Batches::start("test", &Supervisor::default(), async |keys: Vec<u32>| {
            if keys.contains(&0) {
                std::future::pending::<()>().await;
            }
            Ok(keys.into_iter().map(|key| key * 10).collect())
        });
        let hangs = batches.read(vec![0]);
        let others = async {
            // Not in the same batch.
            tokio::time::sleep(OVERTAKE_DELAY).await;
            for key in 1..10 {
                assert_eq!(
                    batches.read(vec![key, key + 1]).await,
                    Ok(vec![key * 10, key * 10 + 10])
                );
            }
        };
        tokio::select! {
            _ = hangs => panic!("it never ends"),
            () = others => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_becomes_one_batch() {
        let batches = Batches::start("test", &Supervisor::default(), async |keys: Vec<usize>| {
            tokio::time::sleep(OVERTAKE_DELAY / 2).await;
            Ok(vec![keys.len(); keys.len()])
        });
        let (lone, one, two) = tokio::join!(
            batches.read(vec![1]),
            async {
                tokio::task::yield_now().await;
                batches.read(vec![2, 3]).await
            },
            async {
                tokio::task::yield_now().await;
                batches.read(vec![4]).await
            }
        );
        assert_eq!((lone, one, two), (Ok(vec![1]), Ok(vec![3; 2]), Ok(vec![3])));
    }
}
