//! `subscribe_presence` and `unsubscribe_presence`.

use std::sync::Arc;

use shared::presence::{PresenceOf, PresentNow};
use shared::{InvalidId, UserId, WireError, limits};

use super::Session;
use super::request::{Payload, Reply};
use crate::delivery::privacy;
use crate::error;
use crate::transport::http::extract::forbidden;

/// Handles `subscribe_presence`.
pub fn subscribe(reply: Reply, payload: Payload<'_>) {
    match check(payload) {
        Ok(users) => reply.later(async move |session: Arc<Session>| follow(&session, users).await),
        Err(error) => reply.error(error),
    }
}

/// Handles `unsubscribe_presence`. It waits its turn, so that it undoes what was asked before.
pub fn unsubscribe(reply: Reply, payload: Payload<'_>) {
    match check(payload) {
        Ok(users) => reply.later(async move |session: Arc<Session>| {
            session.app.watch.unfollow(session.connection, &users);
            Ok(Nothing {})
        }),
        Err(error) => reply.error(error),
    }
}

/// An answer that has no fields beside `ok`.
#[derive(serde::Serialize)]
pub struct Nothing {}

async fn follow(session: &Session, users: Vec<UserId>) -> Result<PresentNow, WireError> {
    let (app, me) = (&session.app, session.caller.user);
    let stranger = privacy::first_stranger(&*app.store, me, &users);
    if let Some(stranger) = app.read(me, stranger).await? {
        let message =
            format!("userIds: there is no conversation with {stranger}; only people one writes with can be followed");
        return Err(forbidden(&message));
    }
    let presence = app.read(me, app.watch.follow(session.connection, me, &users)).await?;
    let presence = presence.map_err(|cause| error::invalid_request(format!("userIds: {cause}")))?;
    Ok(PresentNow { presence })
}

fn check(payload: Payload<'_>) -> Result<Vec<UserId>, WireError> {
    let request = payload.decode::<PresenceOf<String>>()?;
    let count = request.user_ids.len();
    if count == 0 || count > limits::PRESENCE_SUBSCRIPTIONS {
        let most = limits::PRESENCE_SUBSCRIPTIONS;
        return Err(error::invalid_request(format!(
            "userIds has {count} ids; 1 to {most} are allowed"
        )));
    }
    let id = |text: &String| text.parse().map_err(|InvalidId| error::invalid_id("userIds", text));
    request.user_ids.iter().map(id).collect()
}
