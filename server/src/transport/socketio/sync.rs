//! `sync`: what changed since a cursor. `GET /chat/sync` answers the same page.

use shared::conversation::Inbox;
use shared::sync::{Sync, Synced};
use shared::{UserId, WireError, limits};

use super::conversations;
use super::request::{Payload, Reply};
use crate::app::App;
use crate::chat;
use crate::domain::Cursor;
use crate::error;
use crate::transport::http::page::checked_limit;

/// Handles the event.
pub fn handle(reply: Reply, payload: Payload<'_>) {
    match payload.decode::<Sync>() {
        Ok(request) => reply.later_then(
            async move |session| page(&session.app, session.caller.user, request).await,
            // What the connection hears from now on comes behind this answer.
            |session, synced: &Synced| session.caught_up(!synced.has_more),
        ),
        Err(error) => reply.error(error),
    }
}

/// What changed for a user, or without a cursor what there is.
pub async fn page(app: &App, user: UserId, request: Sync) -> Result<Synced, WireError> {
    let limit = checked_limit(request.limit)?.unwrap_or(limits::PAGE);
    let Some(since) = request.since.filter(|since| !since.is_empty()) else {
        return begin(app, user).await;
    };
    let since = Cursor::parse(&since).map_err(error::invalid_cursor)?;
    let missed = app.read(user, chat::missed(&*app.store, user, &since, limit)).await?;
    Ok(Synced {
        events: missed.events,
        next: missed.next.to_string(),
        has_more: missed.more,
        inbox: None,
    })
}

/// The cursor is taken first: what changes while the inbox is read lies behind it.
async fn begin(app: &App, user: UserId) -> Result<Synced, WireError> {
    let next = app.delivery_watermark.cursor().to_string();
    let inbox: Inbox = conversations::page(app, user, None, limits::DEFAULT_PAGE).await?;
    Ok(Synced {
        events: Vec::new(),
        next,
        has_more: false,
        inbox: Some(inbox),
    })
}
