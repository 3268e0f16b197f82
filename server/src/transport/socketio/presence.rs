//! `subscribe_presence` and `unsubscribe_presence`.

use std::sync::Arc;

use shared::presence::PresenceOf;
use shared::{InvalidId, UserId, WireError};

use super::reply::{Nothing, Reply};
use super::request::Payload;
use super::session::Session;
use crate::chat::presence::checked_count;
use crate::error;
use crate::transport::context::Context;

/// Handles `subscribe_presence`.
pub fn subscribe(context: &Arc<Context>, reply: Reply, payload: Payload<'_>) {
    let chat = Arc::clone(&context.chat);
    match check(payload) {
        Ok(users) => reply.later(async move |session: Arc<Session>| {
            let connection = session.registration.id();
            chat.follow(session.user, connection, users).await
        }),
        Err(error) => reply.error(error),
    }
}

/// Handles `unsubscribe_presence`. It keeps the order of requests, so that it undoes what was asked before.
pub fn unsubscribe(context: &Arc<Context>, reply: Reply, payload: Payload<'_>) {
    let chat = Arc::clone(&context.chat);
    match check(payload) {
        Ok(users) => reply.later(async move |session: Arc<Session>| {
            chat.unfollow(session.registration.id(), &users);
            Ok(Nothing {})
        }),
        Err(error) => reply.error(error),
    }
}

fn check(payload: Payload<'_>) -> Result<Vec<UserId>, WireError> {
    let request = payload.decode::<PresenceOf<String>>()?;
    checked_count(request.user_ids.len())?;
    let id = |text: &String| text.parse().map_err(|InvalidId| error::invalid_id("userIds", text));
    request.user_ids.iter().map(id).collect()
}
