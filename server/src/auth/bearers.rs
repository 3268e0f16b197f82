//! From what a token says to a user of the chat, who is created if that is wanted.

use shared::{User, UserId};

use super::user_ids::UserIds;
use super::{AuthError, Caller, ClaimedUser, LOOKUP_TIMEOUT, Profile, Verified, exists, known};
use crate::clock;
use crate::domain::{self, AvatarUrl, DisplayName, Identity, NewUser, Username};
use crate::storage::{Store, StoreError};

/// The id in the tokens of operators' tools, which is never a user's.
const RESERVED: UserId = UserId::from_bytes([0; 12]);

/// Finds the bearer of a good token, and creates one who does not exist if `provision` says so.
pub(super) async fn admit(
    ids: &UserIds,
    provision: bool,
    store: &dyn Store,
    verified: &Verified,
) -> Result<Caller, AuthError> {
    match find(ids, store, verified).await {
        Err(AuthError::UnknownUser) if provision => {
            create(store, verified).await?;
            find(ids, store, verified).await
        }
        found => found,
    }
}

/// Finds the bearer of a good token.
pub(super) async fn find(ids: &UserIds, store: &dyn Store, verified: &Verified) -> Result<Caller, AuthError> {
    let external = match &verified.user {
        ClaimedUser::Id(user) => return known(store, caller(*user, verified)).await,
        ClaimedUser::External(id) => id,
    };
    let user = ids.claimed(store, external).await?.ok_or(AuthError::UnknownUser)?;
    match known(store, caller(user, verified)).await {
        Err(AuthError::UnknownUser) => {
            // The user of this id was remembered and is gone; the id may be another user's now.
            ids.forget(external);
            let user = ids.claimed(store, external).await?.ok_or(AuthError::UnknownUser)?;
            known(store, caller(user, verified)).await
        }
        found => found,
    }
}

/// Who this token makes of a user.
pub(super) fn caller(user: UserId, verified: &Verified) -> Caller {
    Caller {
        user,
        admin: verified.admin,
        issued_at: verified.issued_at,
        expires_at: verified.expires_at,
    }
}

/// Creates the user whom a token names. Of several callers, at this process and at others, one creates it.
async fn create(store: &dyn Store, verified: &Verified) -> Result<(), AuthError> {
    let identity = match &verified.user {
        ClaimedUser::Id(RESERVED) => return Err(AuthError::UnknownUser),
        ClaimedUser::Id(id) => Identity::Id(*id),
        ClaimedUser::External(id) => Identity::External(id.clone()),
    };
    // Whoever sends the id of such a user would mean the other one, or it stands for nobody.
    if let Some(id) = identity.looks_like()
        && (id == RESERVED || exists(store, id).await?)
    {
        return Err(AuthError::UnknownUser);
    }
    let name = verified.profile.name.as_deref().unwrap_or_default();
    let new = NewUser {
        identity,
        username: Username::from_text(name),
        profile: shown(&verified.profile),
    };
    let created = store.find_or_create(&[new], clock::now()).await?;
    for (user, is_new) in created {
        tracing::debug!(user = %user.id, is_new, "auth: the user of a token is created");
    }
    Ok(())
}

/// Changes what is shown of a user to what a token says. If that fails, the next connection does it.
pub(super) async fn update(store: &dyn Store, user: UserId, profile: &Profile) {
    let said = shown(profile);
    if said == domain::Profile::default() {
        return;
    }
    let updating = async {
        let Some(user) = store.user(user).await? else {
            return Ok(());
        };
        match changes(said, &user) {
            None => Ok(()),
            Some(changes) => store.set_profile(user.id, &changes).await,
        }
    };
    // Whoever connects does not wait for long for what matters little.
    let updated = tokio::time::timeout(LOOKUP_TIMEOUT, updating).await;
    let updated: Result<(), StoreError> = updated.unwrap_or_else(|_| Err(StoreError::no_answer_within(LOOKUP_TIMEOUT)));
    if let Err(error) = updated {
        tracing::debug!(%user, %error, "auth: what a token shows of its user was not stored");
    }
}

/// What a token says of a person, as far as it can be shown.
fn shown(profile: &Profile) -> domain::Profile {
    domain::Profile {
        display_name: profile.name.as_deref().and_then(DisplayName::from_text),
        avatar_url: profile.picture.clone().and_then(|url| AvatarUrl::new(url).ok()),
    }
}

/// What of it is not stored already.
fn changes(said: domain::Profile, user: &User) -> Option<domain::Profile> {
    let changes = domain::Profile {
        display_name: said
            .display_name
            .filter(|name| user.display_name.as_deref() != Some(name.as_str())),
        avatar_url: said
            .avatar_url
            .filter(|url| user.avatar_url.as_deref() != Some(url.as_str())),
    };
    Some(changes).filter(|changes| *changes != domain::Profile::default())
}
