//! `conversations`: a page of the inbox. `GET /chat/conversations` answers the same page.

use std::sync::Arc;

use shared::conversation::ListConversations;
use shared::limits;

use super::reply::Reply;
use super::request::Payload;
use crate::chat::checked_limit;
use crate::transport::context::Context;

/// Handles the event.
pub fn handle(context: &Arc<Context>, reply: Reply, payload: Payload<'_>) {
    let chat = Arc::clone(&context.chat);
    match payload.decode::<ListConversations>() {
        Ok(request) => reply.later(async move |session| {
            let limit = checked_limit(request.limit)?.unwrap_or(limits::DEFAULT_PAGE);
            chat.conversations(session.user, request.cursor.as_deref(), limit).await
        }),
        Err(error) => reply.error(error),
    }
}
