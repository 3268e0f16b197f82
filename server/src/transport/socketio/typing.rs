//! `typing`: passed on at once to a receiver who may see it.

use std::sync::Arc;

use shared::InvalidId;
use shared::presence::SetTyping;

use super::reply::{Nothing, Reply};
use super::request::Payload;
use super::session::Session;
use crate::error;
use crate::transport::context::Context;

/// Handles the event.
pub fn handle(context: &Arc<Context>, reply: Reply, payload: Payload<'_>) {
    let request = match payload.decode::<SetTyping<String>>() {
        Ok(request) => request,
        Err(error) => return reply.error(error),
    };
    let Ok(receiver) = request.receiver_id.parse().map_err(|InvalidId| ()) else {
        return reply.error(error::invalid_id("receiverId", &request.receiver_id));
    };
    let chat = Arc::clone(&context.chat);
    reply.later(async move |session: Arc<Session>| {
        chat.set_typing(session.user, receiver, request.is_typing).await?;
        Ok(Nothing {})
    });
}
