//! Whose tokens are revoked, and who is banned: columns of the users.

use rusqlite::{Connection, OptionalExtension, Row};
use shared::{Timestamp, UserId};

use crate::domain::{Access, Ban};

pub(super) const ACCESS: &str = "
    SELECT revoked_before, banned_at, banned_until, ban_reason FROM users WHERE id = ?1";

pub(super) const REVOKE: &str = "
    UPDATE users SET revoked_before = max(coalesce(revoked_before, ?2), ?2) WHERE id = ?1";

pub(super) const SET_BAN: &str = "
    UPDATE users SET banned_at = ?2, banned_until = ?3, ban_reason = ?4 WHERE id = ?1";

/// How it stands with a user, if there is one.
pub(super) fn of(connection: &Connection, user: UserId) -> rusqlite::Result<Option<Access>> {
    connection
        .prepare_cached(ACCESS)?
        .query_row([user.bytes()], from_row)
        .optional()
}

/// Revokes, if there is such a user.
pub(super) fn revoke(connection: &Connection, user: UserId, before: Timestamp) -> rusqlite::Result<Option<Access>> {
    connection
        .prepare_cached(REVOKE)?
        .execute((user.bytes(), before.millis()))?;
    of(connection, user)
}

/// Bans a user or lifts the ban, if there is such a user.
pub(super) fn set_ban(connection: &Connection, user: UserId, ban: Option<&Ban>) -> rusqlite::Result<Option<Access>> {
    let at = ban.map(|ban| ban.at.millis());
    let until = ban.and_then(|ban| ban.until).map(Timestamp::millis);
    let reason = ban.and_then(|ban| ban.reason.as_deref());
    connection
        .prepare_cached(SET_BAN)?
        .execute((user.bytes(), at, until, reason))?;
    of(connection, user)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Access> {
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis));
    let ban = match time(1)? {
        Some(at) => Some(Ban {
            at,
            until: time(2)?,
            reason: row.get(3)?,
        }),
        None => None,
    };
    Ok(Access {
        revoked_before: time(0)?,
        ban,
    })
}
