//! `update_settings`. `PATCH /users/me/settings` does the same.

use std::sync::Arc;

use shared::SettingsChange;

use super::reply::Reply;
use super::request::Payload;
use super::session::Session;
use crate::transport::context::Context;

/// Handles the event.
pub fn handle(context: &Arc<Context>, reply: Reply, payload: Payload<'_>) {
    let chat = Arc::clone(&context.chat);
    match payload.decode::<SettingsChange>() {
        Ok(change) => reply.later_to_the_end(async move |session: Arc<Session>| {
            let connection = session.registration.id();
            chat.change_settings(session.user, change, Some(connection)).await
        }),
        Err(error) => reply.error(error),
    }
}
