//! Users, their presence and their settings, and the probes that tell whether the database works.

use bson::oid::ObjectId;
use rusqlite::{Connection, OptionalExtension, Row};
use shared::{ExternalId, Settings, SettingsChange, Timestamp, User, UserId};

use super::sequence;
use crate::domain::{AvatarUrl, Change, DisplayName, Identity, NewUser, Profile, Username};
use crate::storage::PresenceChange;

const NEW: &str = "
    INSERT INTO users (id, username, is_online) VALUES (?1, ?2, FALSE)
    ON CONFLICT (username) DO NOTHING";

pub(super) const BY_ID: &str = "
    SELECT id, username, is_online, last_seen, external_id, display_name, avatar_url FROM users WHERE id = ?1";

pub(super) const BY_NAME: &str = "
    SELECT id, username, is_online, last_seen, external_id, display_name, avatar_url FROM users WHERE username = ?1";

pub(super) const BY_EXTERNAL_ID: &str = "SELECT id FROM users WHERE external_id = ?1";

const NEW_OF_IDENTITY: &str = "
    INSERT INTO users (id, username, is_online, external_id, display_name, avatar_url) VALUES (?1, ?2, FALSE, ?3, ?4, ?5)
    ON CONFLICT (username) DO NOTHING";

pub(super) const SET_EXTERNAL_ID: &str = "
    UPDATE users SET external_id = ?2
    WHERE id = ?1 AND external_id IS NULL AND NOT EXISTS (SELECT 1 FROM users WHERE external_id = ?2)";

pub(super) const SET_PROFILE: &str = "
    UPDATE users SET display_name = coalesce(?2, display_name), avatar_url = coalesce(?3, avatar_url) WHERE id = ?1";

pub(super) const LIST: &str = "
    SELECT id, username, is_online, last_seen, external_id, display_name, avatar_url FROM users WHERE id > ?1 ORDER BY id LIMIT ?2";

pub(super) const SETTINGS: &str = "SELECT read_receipts, invisible, settings_change FROM users WHERE id = ?1";

pub(super) const CHANGED_SETTINGS: &str = "
    SELECT read_receipts, invisible, settings_change FROM users WHERE id = ?1 AND settings_change > ?2";

pub(super) const CHANGE_SETTINGS: &str = "
    UPDATE users SET read_receipts = ?2, invisible = ?3, settings_change = ?4 WHERE id = ?1";

pub(super) const PRESENCE: &str = "UPDATE users SET is_online = ?2, last_seen = ?3 WHERE id = ?1";

const ALL_OFFLINE: &str = "
    UPDATE users SET is_online = FALSE, last_seen = coalesce(?1, last_seen) WHERE is_online";

/// Creates or finds a user for each name, in order, and says whether it was created.
pub(super) fn create(
    connection: &Connection,
    names: &[Username],
    at: Timestamp,
) -> rusqlite::Result<Vec<(User, bool)>> {
    let mut insert = connection.prepare_cached(NEW)?;
    let mut find = connection.prepare_cached(BY_NAME)?;
    names
        .iter()
        .map(|name| {
            let created = insert.execute((new_id(at).bytes(), name.as_str()))? == 1;
            Ok((find.query_row([name.as_str()], user_from_row)?, created))
        })
        .collect()
}

/// Finds or creates a user for each identity, in order, and says whether it was created.
pub(super) fn find_or_create(
    connection: &Connection,
    users: &[NewUser],
    at: Timestamp,
) -> rusqlite::Result<Vec<(User, bool)>> {
    let mut insert = connection.prepare_cached(NEW_OF_IDENTITY)?;
    let mut create = |user: &NewUser| {
        let id = user.id(new_id(at));
        // The last name holds all of the id; whoever took that on purpose makes this fail.
        for username in user.username.alternatives(id) {
            let created = user.created(id, &username);
            let external_id = created.external_id.as_ref().map(ExternalId::as_str);
            let row = (
                id.bytes(),
                username.as_str(),
                external_id,
                &created.display_name,
                &created.avatar_url,
            );
            if insert.execute(row)? == 1 {
                return Ok(created);
            }
        }
        Err(rusqlite::Error::StatementChangedRows(0))
    };
    let find = |user: &NewUser| match &user.identity {
        Identity::Id(id) => by_id(connection, *id),
        Identity::External(id) => match by_external_id(connection, id)? {
            Some(id) => by_id(connection, id),
            None => Ok(None),
        },
    };
    let find_or_create = |user: &NewUser| match find(user)? {
        Some(found) => Ok((found, false)),
        None => Ok((create(user)?, true)),
    };
    users.iter().map(find_or_create).collect()
}

/// The id of the user with this external id.
pub(super) fn by_external_id(connection: &Connection, id: &ExternalId) -> rusqlite::Result<Option<UserId>> {
    connection
        .prepare_cached(BY_EXTERNAL_ID)?
        .query_row([id.as_str()], |row| Ok(UserId::from_bytes(row.get(0)?)))
        .optional()
}

/// Gives a user who has none an external id that nobody has, and returns the user.
pub(super) fn set_external_id(
    connection: &Connection,
    user: UserId,
    id: &ExternalId,
) -> rusqlite::Result<Option<User>> {
    connection
        .prepare_cached(SET_EXTERNAL_ID)?
        .execute((user.bytes(), id.as_str()))?;
    by_id(connection, user)
}

/// Changes what is shown of a user, as far as it is known.
pub(super) fn set_profile(connection: &Connection, user: UserId, profile: &Profile) -> rusqlite::Result<()> {
    let name = profile.display_name.as_ref().map(DisplayName::as_str);
    let picture = profile.avatar_url.as_ref().map(AvatarUrl::as_str);
    connection
        .prepare_cached(SET_PROFILE)?
        .execute((user.bytes(), name, picture))?;
    Ok(())
}

/// An id of the moment `at`, different from every other, and greater than those made before.
fn new_id(at: Timestamp) -> UserId {
    let mut bytes = ObjectId::new().bytes();
    let seconds = at.millis().div_euclid(1_000).clamp(0, u32::MAX.into()) as u32;
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    UserId::from_bytes(bytes)
}

/// The user with this id.
pub(super) fn by_id(connection: &Connection, id: UserId) -> rusqlite::Result<Option<User>> {
    connection
        .prepare_cached(BY_ID)?
        .query_row([id.bytes()], user_from_row)
        .optional()
}

/// The user with this name.
pub(super) fn by_name(connection: &Connection, name: &str) -> rusqlite::Result<Option<User>> {
    connection
        .prepare_cached(BY_NAME)?
        .query_row([name], user_from_row)
        .optional()
}

/// Up to `limit` users after `after`, in the order of their ids.
pub(super) fn list(connection: &Connection, after: Option<UserId>, limit: usize) -> rusqlite::Result<Vec<User>> {
    let after = after.map(UserId::bytes);
    // No id is as short as this, so all come after it.
    let after = after.as_ref().map_or(&[][..], |id| id);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection
        .prepare_cached(LIST)?
        .query_map((after, limit), user_from_row)?
        .collect()
}

/// The settings of a user, if there is one.
pub(super) fn settings(connection: &Connection, user: UserId) -> rusqlite::Result<Option<Settings>> {
    connection
        .prepare_cached(SETTINGS)?
        .query_row([user.bytes()], settings_from_row)
        .optional()
}

/// The settings of a user and the number of their change, if that is greater than `point`.
pub(super) fn changed_settings(
    connection: &Connection,
    user: UserId,
    point: i64,
) -> rusqlite::Result<Option<(i64, Change)>> {
    connection
        .prepare_cached(CHANGED_SETTINGS)?
        .query_row((user.bytes(), point), |row| {
            Ok((row.get(2)?, Change::Settings(settings_from_row(row)?)))
        })
        .optional()
}

/// Changes settings, if there is such a user. Returns them with the greatest number that any change has now; what
/// changes nothing takes no number.
pub(super) fn change_settings(
    connection: &Connection,
    user: UserId,
    change: SettingsChange,
) -> rusqlite::Result<(Option<Settings>, i64)> {
    let newest = sequence::last(connection)?;
    let Some(before) = settings(connection, user)? else {
        return Ok((None, newest));
    };
    let after = change.apply(before);
    if after == before {
        return Ok((Some(after), newest));
    }
    let number = newest + 1;
    connection.prepare_cached(CHANGE_SETTINGS)?.execute((
        user.bytes(),
        after.read_receipts,
        after.invisible,
        number,
    ))?;
    sequence::record(connection, number)?;
    let version = version(number);
    Ok((Some(Settings { version, ..after }), number))
}

fn settings_from_row(row: &Row<'_>) -> rusqlite::Result<Settings> {
    Ok(Settings {
        read_receipts: row.get(0)?,
        invisible: row.get(1)?,
        version: version(row.get::<_, Option<i64>>(2)?.unwrap_or_default()),
    })
}

/// The number of their change is the version of settings.
fn version(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Applies changes in order; unknown users match no row.
pub(super) fn set_presence(connection: &Connection, changes: &[PresenceChange]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(PRESENCE)?;
    for change in changes {
        statement.execute((change.user.bytes(), change.online, change.at.millis()))?;
    }
    Ok(())
}

/// Takes everyone offline, last seen at `now`, or when they were last seen.
pub(super) fn all_offline(connection: &Connection, now: Option<Timestamp>) -> rusqlite::Result<()> {
    connection.execute(ALL_OFFLINE, [now.map(Timestamp::millis)])?;
    Ok(())
}

/// Writes something, so that a full or read-only disk shows.
pub(super) fn probe_write(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE probe SET count = count + 1")?
        .execute([])?;
    Ok(())
}

/// Reads something.
pub(super) fn probe_read(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached("SELECT count FROM probe")?
        .query_row([], |_| Ok(()))
}

fn user_from_row(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: UserId::from_bytes(row.get(0)?),
        username: row.get(1)?,
        is_online: row.get(2)?,
        last_seen: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_millis),
        external_id: row.get::<_, Option<String>>(4)?.and_then(|id| ExternalId::new(id).ok()),
        display_name: row.get(5)?,
        avatar_url: row.get(6)?,
    })
}
