//! `subscribe_presence` and `unsubscribe_presence`.

use std::sync::Arc;

use shared::WireError;
use shared::presence::PresenceOf;

use super::named::{look, users};
use super::reply::{Nothing, Reply};
use super::request::Payload;
use super::session::Session;
use crate::auth::Named;
use crate::chat::presence::checked_count;
use crate::transport::context::Context;

/// Handles `subscribe_presence`.
pub fn subscribe(context: &Arc<Context>, reply: Reply, payload: Payload<'_>) {
    let shared = Arc::clone(context);
    match check(context, payload) {
        Ok(named) => reply.later(async move |session: Arc<Session>| {
            let connection = session.registration.id();
            let users = users(&shared, named).await?;
            shared.chat.follow(session.user, connection, users).await
        }),
        Err(error) => reply.error(error),
    }
}

/// Handles `unsubscribe_presence`. It keeps the order of requests, so that it undoes what was asked before.
pub fn unsubscribe(context: &Arc<Context>, reply: Reply, payload: Payload<'_>) {
    let shared = Arc::clone(context);
    match check(context, payload) {
        Ok(named) => reply.later(async move |session: Arc<Session>| {
            let users = users(&shared, named).await?;
            shared.chat.unfollow(session.registration.id(), &users);
            Ok(Nothing {})
        }),
        Err(error) => reply.error(error),
    }
}

fn check(context: &Context, payload: Payload<'_>) -> Result<Vec<Named>, WireError> {
    let request = payload.decode::<PresenceOf<String>>()?;
    checked_count(request.user_ids.len())?;
    request
        .user_ids
        .iter()
        .map(|text| look(context, "userIds", text))
        .collect()
}
