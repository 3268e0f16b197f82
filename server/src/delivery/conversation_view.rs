//! A conversation as one of the two people sees it, with what that one may see of the other.

use std::collections::HashMap;

use shared::conversation::Peer;
use shared::{Conversation, Settings, User, UserId};

use super::privacy;
use crate::storage::{Store, StoreError, Summary, size};

/// How long a conversation is at most as JSON, in bytes.
pub fn max_length(conversation: &Conversation) -> usize {
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
pub async fn read(store: &dyn Store, pairs: &[(UserId, UserId)]) -> Result<Vec<Conversation>, StoreError> {
    complete(store, pairs, store.summaries(pairs)).await
}

/// Adds to summaries what the viewer may see of the other one.
pub async fn complete(
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
            fail::fail_point!("delivery::unread", |_| crate::failpoints::counter(viewer, peer));
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
        external_id: user.external_id,
    }
}
