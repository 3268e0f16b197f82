//! Finding users by id, many with one query: what waits while one query runs is the next one.
//!
//! A lone look-up goes at once. When thousands of clients come back together, each of them asks for one user, and so
//! many single queries would keep mongod from everything else.

use std::collections::HashMap;

use bson::doc;
use bson::raw::RawDocumentBuf;
use mongodb::Collection;
use shared::{User, UserId};
use tokio::sync::{mpsc, oneshot};

use super::{READ, document, query};
use crate::store::StoreError;
use crate::supervisor::Supervisor;

/// Most users of one query.
const BATCH: usize = 500;

/// Look-ups that wait; callers beyond that wait for a place.
const WAITING: usize = 4_096;

type Asked = (UserId, oneshot::Sender<Result<Option<User>, StoreError>>);

/// The queue of look-ups. The task behind it ends when this is dropped.
pub(super) struct Lookup {
    queue: mpsc::Sender<Asked>,
    /// Watches the task; told before it may end.
    parts: Supervisor,
}

impl Lookup {
    /// Starts the task.
    pub(super) fn start(users: Collection<RawDocumentBuf>, parts: &Supervisor) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        let parts = parts.child();
        parts.spawn("user-lookup", answer(users, waiting));
        Self { queue, parts }
    }

    /// The user with this id.
    pub(super) async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let ended = || StoreError::Unavailable("it is closed".to_owned());
        let (reply, found) = oneshot::channel();
        self.queue.send((id, reply)).await.map_err(|_| ended())?;
        found.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.parts.stop();
    }
}

async fn answer(users: Collection<RawDocumentBuf>, mut waiting: mpsc::Receiver<Asked>) {
    let mut asked = Vec::new();
    while waiting.recv_many(&mut asked, BATCH).await > 0 {
        let found = find(&users, &asked).await;
        for (id, reply) in asked.drain(..) {
            // Whoever no longer waits needs no answer.
            let _ = reply.send(
                found
                    .as_ref()
                    .map(|found| found.get(&id).cloned())
                    .map_err(Clone::clone),
            );
        }
    }
}

async fn find(users: &Collection<RawDocumentBuf>, asked: &[Asked]) -> Result<HashMap<UserId, User>, StoreError> {
    let ids: Vec<_> = asked.iter().map(|(id, _)| document::user_key(*id)).collect();
    let find = users.find(doc! { "_id": { "$in": ids } }).max_time(READ);
    let found = query::all("reading users", READ, find, document::user).await?;
    Ok(found.into_iter().map(|user| (user.id, user)).collect())
}
