//! `sync`: what changed since a cursor. `GET /chat/sync` answers the same page.

use std::sync::Arc;

use shared::sync::{SyncRequest, Synced};

use super::reply::Reply;
use super::request::Payload;
use super::session::Session;
use crate::transport::context::Context;

/// Handles the event.
pub fn handle(context: &Arc<Context>, reply: Reply, payload: Payload<'_>) {
    let chat = Arc::clone(&context.chat);
    match payload.decode::<SyncRequest>() {
        Ok(request) => reply.later_then(
            async move |session: Arc<Session>| chat.sync(session.user, request).await,
            // What the connection receives from now on comes after this answer.
            |session, synced: &Synced| session.registration.set_caught_up(!synced.has_more),
        ),
        Err(error) => reply.error(error),
    }
}
