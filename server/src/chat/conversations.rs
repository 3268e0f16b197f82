//! A user's inbox: their conversations, the newest first, in pages.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::conversation::Inbox;
use shared::{Conversation, MessageId, Timestamp, UserId, limits};
use tokio::time::Instant;

use super::Chat;
use super::error::Error;
use crate::delivery::conversation_view;
use crate::domain::Position;
use crate::storage::{InboxEntry, Projection, Store, StoreError, size};

/// How long a request waits for the inboxes of an old database: a small one is done by then.
const BUILD_TIMEOUT: Duration = Duration::from_secs(2);

/// How often it looks meanwhile whether they are done.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;

impl<R> Chat<R> {
    /// A page of a user's conversations, after `cursor` if there is one. It waits for the inboxes of an old database, and takes no
    /// turn to read meanwhile.
    ///
    /// # Errors
    /// The cursor can't be used, the inboxes are not built yet, or reading failed.
    pub async fn conversations(&self, user: UserId, cursor: Option<&str>, limit: usize) -> Result<Inbox, Error> {
        let after = cursor.map(InboxPage::parse).transpose();
        let after = after.map_err(|cause| Error::Invalid(format!("cursor: {cause}")))?;
        self.until_built().await?;
        self.read(user, page(&*self.reader.store, user, after, limit)).await
    }

    /// Conversations of a user with these peers.
    ///
    /// # Errors
    /// Reading failed.
    pub async fn conversations_with(
        &self,
        pairs: &[(UserId, UserId)],
        user: UserId,
    ) -> Result<Vec<Conversation>, Error> {
        self.read(user, conversation_view::read(&*self.reader.store, pairs))
            .await
    }

    /// How far the inboxes are built.
    pub fn projection(&self) -> Projection {
        self.reader.store.projection()
    }

    /// Begins to build all inboxes anew, in the background.
    ///
    /// # Errors
    /// The server is stopping, or the store failed.
    pub async fn rebuild(&self) -> Result<(), Error> {
        let _admitted = self.admission.admit()?;
        Ok(self.reader.store.rebuild().await?)
    }

    async fn until_built(&self) -> Result<(), Error> {
        let end = Instant::now() + BUILD_TIMEOUT;
        while !self.projection().ready {
            if Instant::now() >= end {
                return Err(Error::InboxBuilding(self.projection()));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }
}

/// A text that is no cursor of the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("pass the `next` of an earlier page")]
struct InvalidPage;

/// Where a page of the inbox begins: after a conversation whose newest message is listed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InboxPage(Position);

impl InboxPage {
    /// Reads what [`write`](Self::write) wrote.
    fn parse(text: &str) -> Result<Self, InvalidPage> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidPage)?;
        let (at, id) = bytes.split_first_chunk().ok_or(InvalidPage)?;
        Ok(Self(Position {
            created_at: Timestamp::from_millis(i64::from_be_bytes(*at)),
            id: MessageId::from_bytes(id.try_into().map_err(|_| InvalidPage)?),
        }))
    }

    fn write(entry: &InboxEntry) -> String {
        let at = entry.last.created_at.millis().to_be_bytes();
        URL_SAFE_NO_PAD.encode([at.as_slice(), &entry.last.id.bytes()].concat())
    }
}

/// Conversations that are read at once for a page, before it is known how long they are.
const FIRST_BATCH: usize = limits::DEFAULT_PAGE;

/// A page of a user's inbox, the newest conversation first. It ends before the one with which it would be too long.
async fn page(store: &dyn Store, user: UserId, after: Option<InboxPage>, limit: usize) -> Result<Inbox, StoreError> {
    let listing = async {
        // One more than asked for shows whether there is a next page.
        let entries = store
            .inbox(user, after.map(|InboxPage(place)| place), limit + 1)
            .await?;
        let most = entries.len().min(limit);
        let mut conversations: Vec<Conversation> = Vec::with_capacity(most);
        let mut held = 0;
        while held == conversations.len() && held < most {
            // The first of them, then the rest: two rounds at most.
            let next = &entries[held..if held == 0 { most.min(FIRST_BATCH) } else { most }];
            let pairs: Vec<(UserId, UserId)> = next.iter().map(|entry| (user, entry.peer)).collect();
            conversations.extend(conversation_view::complete(store, &pairs, store.listed(user, next)).await?);
            held = size::that_fit(conversations.iter().map(conversation_view::max_length), most);
        }
        conversations.truncate(held);
        let last = held.checked_sub(1).map(|last| InboxPage::write(&entries[last]));
        Ok((conversations, last.filter(|_| held < entries.len())))
    };
    let ((conversations, next), total_unread) =
        tokio::try_join!(listing, store.total_unread(user, limits::MAX_UNREAD))?;
    Ok(Inbox {
        conversations,
        next,
        total_unread,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_read_what_they_write() {
        let entry = InboxEntry {
            peer: UserId::from_bytes([1; 12]),
            last: Position {
                created_at: Position::UNDATED,
                id: MessageId::from_bytes([7; 12]),
            },
        };
        assert_eq!(InboxPage::parse(&InboxPage::write(&entry)), Ok(InboxPage(entry.last)));
        for wrong in ["", "AAAA", "%", &"A".repeat(28)] {
            assert_eq!(InboxPage::parse(wrong), Err(InvalidPage), "{wrong}");
        }
    }
}
