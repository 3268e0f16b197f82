//! `mark_delivered` and `mark_read`: decode, and hand on. [`crate::chat`] answers once the mark is stored.

use std::sync::Arc;

use shared::conversation::MarkUpTo;
use shared::{InvalidId, MessageId, WireError};

use super::named::{look, with_user};
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

fn handle(context: &Arc<Context>, reply: Reply, payload: Payload<'_>, kind: MarkKind) {
    let (peer, up_to) = match decode(context, payload) {
        Ok(named) => named,
        Err(error) => return reply.error(error),
    };
    with_user(context, reply, ("peerId", &peer), move |context, reply, peer| {
        let user = reply.session.user;
        context.chat.mark(user, peer, kind, up_to, reply);
    });
}

fn decode(context: &Context, payload: Payload<'_>) -> Result<(String, MessageId), WireError> {
    let request = payload.decode::<MarkUpTo<String, String>>()?;
    look(context, "peerId", &request.peer_id)?;
    let up_to = request.up_to.parse();
    let up_to = up_to.map_err(|InvalidId| error::invalid_id("upTo", &request.up_to))?;
    Ok((request.peer_id, up_to))
}
