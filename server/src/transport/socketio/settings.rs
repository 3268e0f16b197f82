//! `update_settings`. `PATCH /users/me/settings` does the same.

use std::sync::Arc;

use shared::presence::CurrentSettings;
use shared::{ErrorCode, Settings, SettingsChange, UserId, WireError, events};
use socketioxide::socket::Sid;

use super::Session;
use super::request::{Payload, Reply};
use crate::app::App;
use crate::error;

/// Handles the event.
pub fn handle(reply: Reply, payload: Payload<'_>) {
    match payload.decode::<SettingsChange>() {
        Ok(change) => reply.later_to_the_end(async move |session: Arc<Session>| {
            update(&session.app, session.caller.user, change, Some(session.connection)).await
        }),
        Err(error) => reply.error(error),
    }
}

/// Changes a user's settings and tells the user's connections; `origin` has the answer, unless it was told that the store is away. A change of nothing only asks.
pub async fn update(
    app: &Arc<App>,
    user: UserId,
    change: SettingsChange,
    origin: Option<Sid>,
) -> Result<CurrentSettings, WireError> {
    if change == SettingsChange::default() {
        return current(app, user).await;
    }
    let (dispatcher, watch) = (app.dispatcher.clone(), Arc::clone(&app.watch));
    let told = move |settings: &Settings, is_answered: bool| {
        dispatcher.tell(user, events::SETTINGS_UPDATED, settings, origin.filter(|_| is_answered));
        watch.look(user);
    };
    let changed = app.settings.change(user, change, app.admit()?, told).await;
    let settings = changed
        .map_err(error::store_error)?
        .ok_or_else(|| WireError::new(ErrorCode::UserNotFound, "the token's user does not exist"))?;
    Ok(CurrentSettings { settings })
}

/// A user's settings.
pub async fn current(app: &App, user: UserId) -> Result<CurrentSettings, WireError> {
    let settings = app.read(user, app.store.settings(&[user])).await?;
    let settings = settings.first().copied().unwrap_or_default();
    Ok(CurrentSettings { settings })
}
