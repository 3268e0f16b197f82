//! Reading for many with a few commands: what is asked for while one batch is read is the next one.
//!
//! A lone question goes at once. When thousands of clients come back together, each of them asks for one user and the
//! state of a few conversations, and so many single commands would keep mongod from everything else.

use tokio::sync::{mpsc, oneshot};

use crate::store::StoreError;
use crate::supervisor::Supervisor;

/// A batch takes no more questions when it has so many keys.
const BATCH: usize = 500;

/// Questions that wait; callers beyond that wait for a place.
const WAITING: usize = 4_096;

/// What is asked for, and where the answer goes.
struct Asked<K, V> {
    keys: Vec<K>,
    reply: oneshot::Sender<Result<Vec<V>, StoreError>>,
}

/// The queue of questions. The task behind it ends when this is dropped.
pub(super) struct Batches<K, V> {
    queue: mpsc::Sender<Asked<K, V>>,
    /// Watches the task; told before it may end.
    parts: Supervisor,
}

impl<K: Copy + Send + 'static, V: Send + 'static> Batches<K, V> {
    /// Starts the task, by the name that logs and tests know it by. `read` reads a value for each key, in the order given.
    pub(super) fn start<F>(name: &'static str, parts: &Supervisor, read: impl Fn(Vec<K>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Vec<V>, StoreError>> + Send + 'static,
    {
        let (queue, waiting) = mpsc::channel(WAITING);
        let parts = parts.child();
        parts.spawn(name, answer(waiting, read));
        Self { queue, parts }
    }

    /// The values of these keys, in the order given.
    pub(super) async fn read(&self, keys: Vec<K>) -> Result<Vec<V>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let ended = || StoreError::Unavailable("it is closed".to_owned());
        let (reply, found) = oneshot::channel();
        let asked = Asked { keys, reply };
        self.queue.send(asked).await.map_err(|_| ended())?;
        found.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl<K, V> Drop for Batches<K, V> {
    fn drop(&mut self) {
        self.parts.stop();
    }
}

async fn answer<K, V, F>(mut waiting: mpsc::Receiver<Asked<K, V>>, read: impl Fn(Vec<K>) -> F)
where
    K: Copy,
    F: Future<Output = Result<Vec<V>, StoreError>>,
{
    while let Some(first) = waiting.recv().await {
        let mut count = first.keys.len();
        let mut batch = vec![first];
        while count < BATCH
            && let Ok(next) = waiting.try_recv()
        {
            count += next.keys.len();
            batch.push(next);
        }
        // Whoever no longer waits needs no answer.
        batch.retain(|asked| !asked.reply.is_closed());
        let keys: Vec<K> = batch.iter().flat_map(|asked| asked.keys.iter().copied()).collect();
        if keys.is_empty() {
            continue;
        }
        let mut values = read(keys).await.map(Vec::into_iter);
        for Asked { keys, reply } in batch {
            let part = values.as_mut().map(|values| values.by_ref().take(keys.len()).collect());
            let _ = reply.send(part.map_err(|error| error.clone()));
        }
    }
}
