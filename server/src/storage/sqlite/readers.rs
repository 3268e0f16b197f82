//! The connections that read beside the writer: a small pool, each read on a thread where it may block.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::data_dir::DataDir;
use super::schema;
use crate::storage::StoreError;

/// Reads that run at once. More would only wait for the same disk and processors.
const MAX_CONNECTIONS: u32 = 4;

/// How long closing waits for reads that are under way.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The pool. Callers get a connection in the order in which they ask for one.
pub(super) struct Readers {
    permits: Arc<Semaphore>,
    /// The connections that no permit holder has. Locked to take one out or to put it back.
    idle: Arc<Mutex<Vec<Reader>>>,
}

/// A connection, which keeps the directory claimed until it is closed, also if that is after the pool is.
struct Reader {
    /// Closed first.
    connection: Connection,
    _directory: Arc<DataDir>,
}

impl Readers {
    /// Opens all connections.
    pub(super) fn open(directory: &Arc<DataDir>) -> Result<Self, StoreError> {
        let database = directory.database();
        let open = |_| {
            Ok(Reader {
                connection: schema::open_reader(&database)?,
                _directory: Arc::clone(directory),
            })
        };
        let connections: Result<Vec<_>, StoreError> = (0..MAX_CONNECTIONS).map(open).collect();
        Ok(Self {
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS as usize)),
            idle: Arc::new(Mutex::new(connections?)),
        })
    }

    /// Runs one read. It should be short, or many short ones, so that no snapshot is held for long.
    pub(super) async fn run<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(|_| StoreError::closed())?;
        let lease = Lease::take(&self.idle, permit).ok_or_else(StoreError::closed)?;
        match tokio::task::spawn_blocking(move || read(&lease)).await {
            Ok(result) => Ok(result?),
            Err(error) => Err(StoreError::Failed(format!("a read panicked: {error}"))),
        }
    }

    /// Lets the reads under way end and closes the connections; later reads fail.
    pub(super) async fn close(&self) {
        // After the deadline a read keeps its connection and closes it when it ends; nothing is lost by that.
        let all = tokio::time::timeout(CLOSE_TIMEOUT, self.permits.acquire_many(MAX_CONNECTIONS)).await;
        self.permits.close();
        drop(all);
        self.idle.lock().clear();
    }
}

/// A connection out of the pool; it goes back however the read ends.
struct Lease {
    reader: Option<Reader>,
    idle: Arc<Mutex<Vec<Reader>>>,
    permit: OwnedSemaphorePermit,
}

impl Lease {
    fn take(idle: &Arc<Mutex<Vec<Reader>>>, permit: OwnedSemaphorePermit) -> Option<Self> {
        let reader = idle.lock().pop()?;
        Some(Self {
            reader: Some(reader),
            idle: Arc::clone(idle),
            permit,
        })
    }
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.reader.as_ref().expect("only drop takes it out").connection
    }
}

impl Drop for Lease {
    /// Puts the connection back before the permit is given up with this lease.
    fn drop(&mut self) {
        if !self.permit.semaphore().is_closed() {
            self.idle.lock().extend(self.reader.take());
        }
    }
}
