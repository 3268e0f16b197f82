//! `update_settings`. `PATCH /users/me/settings` does the same.

use std::sync::Arc;
use std::time::Duration;

use shared::presence::CurrentSettings;
use shared::{ErrorCode, SettingsChange, UserId, WireError, events};
use socketioxide::socket::Sid;

use super::Session;
use super::request::{Payload, Reply};
use crate::app::App;
use crate::chat::now;
use crate::error;
use crate::store::StoreError;

/// How long a change is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Handles the event.
pub fn handle(reply: Reply, payload: Payload<'_>) {
    match payload.decode::<SettingsChange>() {
        Ok(change) => reply.later(async move |session: Arc<Session>| {
            update(&session.app, session.caller.user, change, Some(session.connection)).await
        }),
        Err(error) => reply.error(error),
    }
}

/// Changes a user's settings and tells the user's connections other than `origin`. A change of nothing only asks.
///
/// Whoever asks may go away, and is told after [`PATIENCE`] that the store is unavailable. The change goes on in a task
/// of its own that ends when the store answers: until then no cursor goes past it, and what was changed late is told
/// all the same.
pub async fn update(
    app: &Arc<App>,
    user: UserId,
    change: SettingsChange,
    origin: Option<Sid>,
) -> Result<CurrentSettings, WireError> {
    if change == SettingsChange::default() {
        return current(app, user).await;
    }
    let changing = tokio::spawn(store(Arc::clone(app), user, change, origin));
    match tokio::time::timeout(PATIENCE, changing).await {
        Ok(Ok(changed)) => changed,
        Ok(Err(failed)) => Err(error::store_error(StoreError::Failed(failed.to_string()))),
        Err(_) => Err(error::store_error(StoreError::Unavailable(format!(
            "no answer within {PATIENCE:?}"
        )))),
    }
}

async fn store(
    app: Arc<App>,
    user: UserId,
    change: SettingsChange,
    origin: Option<Sid>,
) -> Result<CurrentSettings, WireError> {
    let ticket = app.horizon.begin();
    let changed = app.store.change_settings(user, change, now()).await;
    let settings = changed
        .map_err(error::store_error)?
        .ok_or_else(|| WireError::new(ErrorCode::UserNotFound, "the token's user does not exist"))?;
    app.outlet.tell(user, events::SETTINGS_UPDATED, &settings, origin);
    drop(ticket);
    app.watch.look(user);
    Ok(CurrentSettings { settings })
}

/// A user's settings.
pub async fn current(app: &App, user: UserId) -> Result<CurrentSettings, WireError> {
    let settings = app.store.settings(&[user]).await.map_err(error::store_error)?;
    let settings = settings.first().copied().unwrap_or_default();
    Ok(CurrentSettings { settings })
}
