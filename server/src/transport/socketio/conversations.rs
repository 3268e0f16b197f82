//! `conversations`: a page of the inbox. `GET /chat/conversations` answers the same page.

use std::time::Duration;

use shared::conversation::{Inbox, ListConversations};
use shared::{UserId, WireError, limits};
use tokio::time::Instant;

use super::request::{Payload, Reply};
use crate::app::App;
use crate::chat::inbox::{self, InboxPage};
use crate::error;
use crate::transport::http::page::checked_limit;

/// How long a request waits for the inboxes of an old database: a small one is done by then.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// Handles the event.
pub fn handle(reply: Reply, payload: Payload<'_>) {
    match payload.decode::<ListConversations>() {
        Ok(request) => reply.later(async move |session| {
            let limit = checked_limit(request.limit)?.unwrap_or(limits::DEFAULT_PAGE);
            page(&session.app, session.caller.user, request.cursor.as_deref(), limit).await
        }),
        Err(error) => reply.error(error),
    }
}

/// A page of a user's conversations. Waiting for the inboxes of an old database takes nobody's turn to read.
pub async fn page(app: &App, user: UserId, cursor: Option<&str>, limit: usize) -> Result<Inbox, WireError> {
    let after = cursor.map(InboxPage::parse).transpose();
    let after = after.map_err(|cause| error::invalid_request(format!("cursor: {cause}")))?;
    let end = Instant::now() + PATIENCE;
    while !app.store.projection().ready {
        if Instant::now() >= end {
            return Err(error::inbox_building(app.store.projection()));
        }
        tokio::time::sleep(LOOK).await;
    }
    app.read(user, inbox::page(&*app.store, user, after, limit)).await
}
