//! `refresh_token`: a connection goes on with another token of its user.

use std::sync::Arc;

use shared::session::{RefreshToken, Refreshed};

use super::handshake::plain;
use super::reply::Reply;
use super::request::Payload;
use super::session::Session;
use crate::auth;
use crate::chat;
use crate::transport::context::Context;

/// Handles the event.
pub fn handle(context: &Arc<Context>, reply: Reply, payload: Payload<'_>) {
    let request = match payload.decode::<RefreshToken>() {
        Ok(request) => request,
        Err(error) => return reply.error(error),
    };
    let context = Arc::clone(context);
    reply.later(async move |session: Arc<Session>| refresh(&context, &session, request).await);
}

async fn refresh(
    context: &Context,
    session: &Session,
    RefreshToken { token }: RefreshToken,
) -> Result<Refreshed, chat::Error> {
    let access = &context.chat.access;
    let changes = access.changes();
    let look = auth::authenticate(&context.verifier, &*context.store, Some(plain(&token)));
    let caller = session.link.client().try_token(&context.registry, look).await?;
    if caller.user != session.user {
        let message = "token: it is of another user; disconnect, and connect with it";
        return Err(chat::Error::Forbidden(message.to_owned()));
    }
    let expires_at = session.client.refresh(caller);
    // As where a connection is let in.
    if access.changes() != changes {
        access.enforce(session.user).await?;
    }
    Ok(Refreshed { expires_at })
}
