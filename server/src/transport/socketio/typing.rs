//! `typing`: passed on at once to a receiver who may see it.

use std::sync::Arc;

use shared::presence::SetTyping;

use super::named::{look, users};
use super::reply::{Nothing, Reply};
use super::request::Payload;
use super::session::Session;
use crate::transport::context::Context;

/// Handles the event.
pub fn handle(context: &Arc<Context>, reply: Reply, payload: Payload<'_>) {
    let request = match payload.decode::<SetTyping<String>>() {
        Ok(request) => request,
        Err(error) => return reply.error(error),
    };
    let named = match look(context, "receiverId", &request.receiver_id) {
        Ok(named) => named,
        Err(error) => return reply.error(error),
    };
    let context = Arc::clone(context);
    reply.later(async move |session: Arc<Session>| {
        for receiver in users(&context, vec![named]).await? {
            let typing = context.chat.set_typing(session.user, receiver, request.is_typing);
            typing.await?;
        }
        Ok(Nothing {})
    });
}
