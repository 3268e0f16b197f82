//! `mark_delivered` and `mark_read`: decode, and hand on. [`crate::chat`] answers once the mark is stored.

use std::sync::Arc;

use shared::conversation::MarkUpTo;
use shared::{InvalidId, MessageId, UserId, WireError};

use super::reply::Reply;
use super::request::Payload;
use crate::domain::MarkKind;
use crate::error;
use crate::transport::context::Context;

/// Handles `mark_delivered`.
pub fn delivered(context: &Arc<Context>, reply: Reply, payload: Payload<'_>) {
    handle(context, reply, payload, MarkKind::Delivered);
}

/// Handles `mark_read`.
pub fn read(context: &Arc<Context>, reply: Reply, payload: Payload<'_>) {
    handle(context, reply, payload, MarkKind::Read);
}

fn handle(context: &Context, reply: Reply, payload: Payload<'_>, kind: MarkKind) {
    let (peer, up_to) = match decode(payload) {
        Ok(named) => named,
        Err(error) => return reply.error(error),
    };
    let user = reply.session.user;
    context.chat.mark(user, peer, kind, up_to, reply);
}

fn decode(payload: Payload<'_>) -> Result<(UserId, MessageId), WireError> {
    let request = payload.decode::<MarkUpTo<String, String>>()?;
    let peer = request.peer_id.parse();
    let up_to = request.up_to.parse();
    Ok((
        peer.map_err(|InvalidId| error::invalid_id("peerId", &request.peer_id))?,
        up_to.map_err(|InvalidId| error::invalid_id("upTo", &request.up_to))?,
    ))
}
