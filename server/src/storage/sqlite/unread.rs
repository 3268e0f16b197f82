//! How much of a conversation is unread, and the flag in the inbox that says that there may be something.

use rusqlite::Connection;
use shared::UserId;

use super::pages::BEFORE_ALL;
use super::sequence;
use crate::domain::{Conversation, Marker, Position};

/// Who wrote the messages after a place, the newest first.
pub(super) const SENDERS: &str = "
    SELECT sender FROM messages
    WHERE conversation = (SELECT pk FROM conversations WHERE low = ?1 AND high = ?2)
        AND (created_at, id) > (?3, ?4)
    ORDER BY created_at DESC, id DESC LIMIT ?5";

pub(super) const ALL_READ: &str = "UPDATE inbox SET unread = 0 WHERE owner = ?1 AND peer = ?2 AND unread = 1";

/// The same, if the newest message of the conversation is the owner's own.
pub(super) const ANSWERED: &str = "
    UPDATE inbox SET unread = 0 WHERE owner = ?1 AND peer = ?2 AND unread = 1 AND ?1 = (
        SELECT sender FROM messages
        WHERE conversation = (SELECT pk FROM conversations WHERE low = min(?1, ?2) AND high = max(?1, ?2))
        ORDER BY created_at DESC, id DESC LIMIT 1)";

/// Messages of the peer that the user has not read, counted up to `most`. `own` is the user's watermark.
///
/// Read is what comes up to the watermark, what comes before a message of the user's own, and, where there is no watermark,
/// what is older than the first start. So the unread ones are the newest ones up to the first that is the user's own.
pub(super) fn unread(
    connection: &Connection,
    user: UserId,
    peer: UserId,
    own: Option<&Marker>,
    most: u32,
) -> rusqlite::Result<u32> {
    if user == peer {
        return Ok(0);
    }
    let people = Conversation::between(user, peer);
    let place = match own.and_then(|own| own.read) {
        Some(read) => Some(read.place),
        None => sequence::first_start(connection)?.map(Position::start_of),
    };
    let id = place.map(|place| place.id.bytes());
    let mut statement = connection.prepare_cached(SENDERS)?;
    let mut senders = statement.query((
        people.low().bytes(),
        people.high().bytes(),
        place.map_or(i64::MIN, |place| place.created_at.millis()),
        id.as_ref().map_or(BEFORE_ALL, |id| id),
        most,
    ))?;
    let mut count = 0;
    while let Some(row) = senders.next()?
        && row.get_ref(0)?.as_blob()? == peer.bytes()
    {
        count += 1;
    }
    Ok(count)
}

/// Clears the flag of a conversation in which a watermark has just moved, if nothing is unread any more, in the same
/// transaction.
///
/// It counts here, where no message can be committed meanwhile. A message that is not projected yet sets the flag again when
/// it is.
pub(super) fn clear_flag(connection: &Connection, own: &Marker) -> rusqlite::Result<()> {
    if unread(connection, own.user, own.peer, Some(own), 1)? == 0 {
        connection
            .prepare_cached(ALL_READ)?
            .execute((own.user.bytes(), own.peer.bytes()))?;
    }
    Ok(())
}
