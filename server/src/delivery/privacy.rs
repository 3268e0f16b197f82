//! Who may see that a user is there, and what a user has read: one rule for every way by which that is queried or sent.
//!
//! Presence and typing are for people who have exchanged a message with the user, and for nobody while the user is
//! invisible. To everybody else the user looks like one who never came. Users see themselves as they are, and so does
//! an administrator over HTTP, where none of this is asked.

use shared::{Settings, User, UserId};

use crate::storage::{Store, StoreError, UserStore};

/// A user as those may see them with whom the user has exchanged a message. Users of whom that is not known yet go
/// through [`as_seen`].
pub fn to_acquaintances(user: User, settings: Settings) -> User {
    if settings.invisible { absent(user) } else { user }
}

/// Users as `viewer` may see them, in the order given.
pub async fn as_seen(store: &dyn Store, viewer: UserId, users: Vec<User>) -> Result<Vec<User>, StoreError> {
    let others: Vec<UserId> = users.iter().map(|user| user.id).filter(|id| *id != viewer).collect();
    if others.is_empty() {
        return Ok(users);
    }
    let (known, settings) = tokio::try_join!(store.acquainted(viewer, &others), store.settings(&others))?;
    let mut settings = settings.into_iter();
    let seen = |user: User| {
        if user.id == viewer {
            return user;
        }
        let settings = settings.next().unwrap_or_default();
        if known.contains(&user.id) {
            to_acquaintances(user, settings)
        } else {
            absent(user)
        }
    };
    Ok(users.into_iter().map(seen).collect())
}

/// The place of the first of `others` who is a stranger to `viewer`: no message was exchanged, so nothing may be known.
pub async fn first_stranger(store: &dyn Store, viewer: UserId, others: &[UserId]) -> Result<Option<usize>, StoreError> {
    let known = store.acquainted(viewer, others).await?;
    let is_stranger = |other: &UserId| *other != viewer && !known.contains(other);
    Ok(others.iter().position(is_stranger))
}

/// Whether `receiver` may know that `typist` types.
pub async fn shows_typing(store: &dyn Store, typist: UserId, receiver: UserId) -> Result<bool, StoreError> {
    if typist == receiver {
        return Ok(true);
    }
    let (others, own) = ([receiver], [typist]);
    let (known, settings) = tokio::try_join!(store.acquainted(typist, &others), store.settings(&own))?;
    let is_invisible = settings.first().is_some_and(|settings| settings.invisible);
    Ok(known.contains(&receiver) && !is_invisible)
}

/// For each pair whether both have read receipts on, so that either may see what the other has read.
pub async fn read_receipts(store: &dyn UserStore, pairs: &[(UserId, UserId)]) -> Result<Vec<bool>, StoreError> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let people: Vec<UserId> = pairs.iter().flat_map(|(one, other)| [*one, *other]).collect();
    let settings = store.settings(&people).await?;
    let both = |pair: &[Settings]| pair.iter().all(|one| one.read_receipts);
    Ok(settings.chunks(2).map(both).collect())
}

/// What anybody may know of a user: nothing of when they were there.
fn absent(user: User) -> User {
    User {
        is_online: false,
        last_seen: None,
        ..user
    }
}
