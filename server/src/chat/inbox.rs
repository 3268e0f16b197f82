//! A user's conversations, with what the user may see of the other one.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::conversation::{Inbox, Peer};
use shared::{Conversation, MessageId, Settings, Timestamp, User, UserId, limits};

use crate::delivery::privacy;
use crate::domain::Position;
use crate::storage::{InboxEntry, Store, StoreError, Summary, size};

/// A text that is no cursor of the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("pass the `next` of an earlier page")]
pub struct InvalidPage;

/// Where a page of the inbox begins: behind a conversation whose newest message is listed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxPage(Position);

impl InboxPage {
    /// Reads what [`write`](Self::write) wrote.
    pub fn parse(text: &str) -> Result<Self, InvalidPage> {
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
const AT_ONCE: usize = limits::DEFAULT_PAGE;

/// A page of a user's inbox, the newest conversation first. It ends before the one with which it would be too long.
pub async fn page(
    store: &dyn Store,
    user: UserId,
    after: Option<InboxPage>,
    limit: usize,
) -> Result<Inbox, StoreError> {
    let listing = async {
        // One more than asked for tells whether there is a next page.
        let entries = store
            .inbox(user, after.map(|InboxPage(place)| place), limit + 1)
            .await?;
        let most = entries.len().min(limit);
        let mut conversations: Vec<Conversation> = Vec::with_capacity(most);
        let mut held = 0;
        while held == conversations.len() && held < most {
            // The first of them, then the rest: two rounds at most.
            let next = &entries[held..if held == 0 { most.min(AT_ONCE) } else { most }];
            let pairs: Vec<(UserId, UserId)> = next.iter().map(|entry| (user, entry.peer)).collect();
            conversations.extend(complete(store, &pairs, store.listed(user, next)).await?);
            held = size::that_fit(conversations.iter().map(length), most);
        }
        conversations.truncate(held);
        let last = held.checked_sub(1).map(|last| InboxPage::write(&entries[last]));
        Ok((conversations, last.filter(|_| held < entries.len())))
    };
    let ((conversations, next), total_unread) = tokio::try_join!(listing, store.total_unread(user, limits::UNREAD))?;
    Ok(Inbox {
        conversations,
        next,
        total_unread,
    })
}

/// How long a conversation is at most as JSON, in bytes.
pub fn length(conversation: &Conversation) -> usize {
    /// All but the newest message and the name.
    const FIELDS: usize = 512;
    let message = conversation.last_message.as_ref().map_or(0, size::message_bytes);
    let name = conversation
        .peer
        .as_ref()
        .map_or(0, |peer| size::text_bytes(&peer.username));
    FIELDS + message + name
}

/// Conversations as the first of each pair sees that with the second, in the order given.
pub async fn conversations(store: &dyn Store, pairs: &[(UserId, UserId)]) -> Result<Vec<Conversation>, StoreError> {
    complete(store, pairs, store.summaries(pairs)).await
}

/// Adds to summaries what the viewer may see of the other one.
async fn complete(
    store: &dyn Store,
    pairs: &[(UserId, UserId)],
    summaries: impl Future<Output = Result<Vec<Summary>, StoreError>>,
) -> Result<Vec<Conversation>, StoreError> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let mut people: Vec<UserId> = pairs.iter().flat_map(|(viewer, peer)| [*viewer, *peer]).collect();
    people.sort_unstable();
    people.dedup();
    let (summaries, found) = tokio::try_join!(summaries, store.people(&people))?;
    let known: HashMap<UserId, (Option<User>, Settings)> = people.into_iter().zip(found).collect();
    let conversation = |(pair, summary): (&(UserId, UserId), Summary)| {
        let (viewer, peer) = *pair;
        let allows = |one: UserId| known.get(&one).is_none_or(|(_, settings)| settings.read_receipts);
        let receipts = viewer == peer || (allows(viewer) && allows(peer));
        let (user, settings) = known.get(&peer).cloned().unwrap_or_default();
        let id = |watermark: crate::domain::Watermark| watermark.place.id;
        let unread = || {
            fail::fail_point!("chat::unread", |_| crate::failpoints::counter(viewer, peer));
            summary.unread
        };
        Conversation {
            peer_id: peer,
            peer: user.map(|user| seen(user, settings, viewer)),
            last_message: summary.last,
            unread: unread(),
            read_up_to: summary.own.and_then(|own| own.read).map(id),
            delivered_up_to: summary.own.and_then(|own| own.delivered).map(id),
            peer_read_up_to: summary.peers.and_then(|peers| peers.read).filter(|_| receipts).map(id),
            peer_delivered_up_to: summary.peers.and_then(|peers| peers.delivered).map(id),
        }
    };
    Ok(pairs.iter().zip(summaries).map(conversation).collect())
}

fn seen(user: User, settings: Settings, viewer: UserId) -> Peer {
    // A conversation is listed because a message was exchanged.
    let user = if user.id == viewer {
        user
    } else {
        privacy::to_acquaintances(user, settings)
    };
    Peer {
        username: user.username,
        is_online: user.is_online,
        last_seen: user.last_seen,
    }
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
