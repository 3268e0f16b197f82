//! What `feed` and `inbox` hold for which messages: the statements that bring messages into them.
//!
//! Each step has two halves. The first reads on a connection of its own and does most of the work; the second is some
//! short jobs for the writer. Only one thread takes steps, so nothing that the first half saw of these two tables can
//! be changed by another step before the second.

use std::collections::HashMap;

use rusqlite::Connection;
use shared::{MessageId, Timestamp, UserId};

use super::runs::{self, Run, segment};
use super::{markers, projected, unread};
use crate::domain::Position;

pub(super) const AFTER: &str = "
    SELECT m.seq, m.id, m.created_at, m.sender, c.low, c.high
    FROM messages m CROSS JOIN conversations c ON c.pk = m.conversation
    WHERE m.seq > ?1 ORDER BY m.seq LIMIT ?2";

const NEW_IN_FEED: &str = "
    INSERT INTO feed (segment, user, first, numbers) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (segment, user, first) DO UPDATE SET numbers = excluded.numbers
    WHERE length(excluded.numbers) > length(numbers)";

const NEW_IN_INBOX: &str = "
    INSERT INTO inbox (owner, peer, last_at, last_id, unread) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (owner, peer) DO UPDATE SET
        last_id = iif((excluded.last_at, excluded.last_id) > (last_at, last_id), excluded.last_id, last_id),
        last_at = max(last_at, excluded.last_at),
        unread = max(unread, excluded.unread)
    WHERE (excluded.last_at, excluded.last_id) > (last_at, last_id) OR excluded.unread > unread";

/// Most rows of inboxes in one transaction. They lie anywhere, so each can dirty pages of its own.
const MAX_INBOX_PART: usize = 512;

/// Most runs of the feed in one transaction.
const MAX_FEED_PART: usize = 1_024;

/// Some messages that follow each other, as they are to be in `feed` and `inbox`; in the order of the keys there, so
/// that neighbours are written together.
#[derive(Default)]
pub(super) struct Batch {
    /// How many messages it stands for.
    pub(super) messages: u64,
    /// The number of the last of them.
    pub(super) last: i64,
    feed: Vec<Run>,
    inbox: Vec<((UserId, UserId), Latest)>,
}

/// What a batch says of one conversation in one inbox.
struct Latest {
    place: Position,
    /// Whether a message is the peer's.
    of_peer: bool,
    /// Whether one is the owner's own, which counts as having read what comes before it.
    of_owner: bool,
    /// Whether anything in the conversation is unread.
    unread: bool,
}

impl Batch {
    /// Reads up to `most` messages after a number.
    pub(super) fn read(connection: &Connection, after: i64, most: usize) -> rusqlite::Result<Self> {
        let snapshot = connection.unchecked_transaction()?;
        let mut batch = Self::default();
        let mut latest_by_key = HashMap::new();
        let mut feed = Vec::new();
        let mut statement = snapshot.prepare_cached(AFTER)?;
        let mut rows = statement.query((after, i64::try_from(most).unwrap_or(i64::MAX)))?;
        while let Some(row) = rows.next()? {
            batch.messages += 1;
            batch.last = row.get(0)?;
            let place = Position {
                created_at: Timestamp::from_millis(row.get(2)?),
                id: MessageId::from_bytes(row.get(1)?),
            };
            let sender = UserId::from_bytes(row.get(3)?);
            let (low, high) = (UserId::from_bytes(row.get(4)?), UserId::from_bytes(row.get(5)?));
            let receiver = if sender == low { high } else { low };
            add_latest(&mut latest_by_key, (sender, receiver), place, false);
            feed.push((segment(batch.last), sender, batch.last));
            if receiver != sender {
                add_latest(&mut latest_by_key, (receiver, sender), place, true);
                feed.push((segment(batch.last), receiver, batch.last));
            }
        }
        feed.sort_unstable();
        batch.feed = Run::all(&feed);
        batch.inbox = latest_by_key.into_iter().collect();
        batch.inbox.sort_unstable_by_key(|(key, _)| *key);
        for ((owner, peer), latest) in &mut batch.inbox {
            if latest.of_peer {
                let own = markers::marker(&snapshot, *owner, *peer)?;
                latest.unread = unread::unread(&snapshot, *owner, *peer, own.as_ref(), 1)? > 0;
            }
        }
        Ok(batch)
    }

    /// Leaves out of the feed what is there already.
    pub(super) fn retain_missing(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for run in &mut self.feed {
            let there = runs::numbers(connection, run.segment, run.user)?;
            run.numbers.retain(|number| there.binary_search(number).is_err());
        }
        self.feed.retain(|run| !run.numbers.is_empty());
        Ok(())
    }

    /// The number of parts in which it is written.
    pub(super) fn parts(&self) -> usize {
        self.inbox.len().div_ceil(MAX_INBOX_PART) + self.feed.len().div_ceil(MAX_FEED_PART)
    }

    /// Writes one part. Rows may be written before `projected` advances: inboxes tolerate it, and feed reads stop at
    /// `projected`.
    pub(super) fn write_part(&self, connection: &Connection, part: usize) -> rusqlite::Result<()> {
        let mut chunks = self.inbox.chunks(MAX_INBOX_PART);
        let parts = chunks.len();
        if let Some(rows) = chunks.nth(part) {
            let mut statement = connection.prepare_cached(NEW_IN_INBOX)?;
            let mut answered = connection.prepare_cached(unread::ANSWERED)?;
            for ((owner, peer), latest) in rows {
                statement.execute((
                    owner.bytes(),
                    peer.bytes(),
                    latest.place.created_at.millis(),
                    latest.place.id.bytes(),
                    latest.unread,
                ))?;
                if latest.of_owner && !latest.unread {
                    answered.execute((owner.bytes(), peer.bytes()))?;
                }
            }
        } else if let Some(runs) = self.feed.chunks(MAX_FEED_PART).nth(part - parts) {
            let mut statement = connection.prepare_cached(NEW_IN_FEED)?;
            for run in runs {
                statement.execute((run.segment, run.user.bytes(), run.numbers[0], run.pack()))?;
            }
        }
        Ok(())
    }

    /// Advances `projected`, after all parts, unless it is greater already.
    pub(super) fn finish(&self, connection: &Connection) -> rusqlite::Result<()> {
        projected::advance(connection, self.last)
    }
}

fn add_latest(inbox: &mut HashMap<(UserId, UserId), Latest>, key: (UserId, UserId), place: Position, of_peer: bool) {
    let latest = inbox.entry(key).or_insert(Latest {
        place,
        of_peer: false,
        of_owner: false,
        unread: false,
    });
    latest.place = latest.place.max(place);
    match of_peer {
        true => latest.of_peer = true,
        false => latest.of_owner = true,
    }
}
