//! `mark_delivered` and `mark_read`: check, and queue to be stored. The answer comes from [`crate::delivery`].

use shared::conversation::{MarkUpTo, MarkedUpTo};
use shared::{InvalidId, WireError};

use super::request::{Payload, Reply};
use crate::clock::now;
use crate::domain::{Mark, MarkKind, Marker};
use crate::error;

/// Handles `mark_delivered`.
pub fn delivered(reply: Reply, payload: Payload<'_>) {
    handle(reply, payload, MarkKind::Delivered);
}

/// Handles `mark_read`.
pub fn read(reply: Reply, payload: Payload<'_>) {
    handle(reply, payload, MarkKind::Read);
}

fn handle(reply: Reply, payload: Payload<'_>, kind: MarkKind) {
    let mark = match check(&reply, payload, kind) {
        Ok(mark) => mark,
        Err(error) => return reply.error(error),
    };
    let app = std::sync::Arc::clone(&reply.session.app);
    if let Err((refused, reply)) = app.receipts.submit(mark, reply) {
        reply.error(error::refused(refused));
    }
}

fn check(reply: &Reply, payload: Payload<'_>, kind: MarkKind) -> Result<Mark, WireError> {
    let request = payload.decode::<MarkUpTo<String, String>>()?;
    let peer = request.peer_id.parse();
    let up_to = request.up_to.parse();
    Ok(Mark {
        user: reply.session.caller.user,
        peer: peer.map_err(|InvalidId| error::invalid_id("peerId", &request.peer_id))?,
        kind,
        up_to: up_to.map_err(|InvalidId| error::invalid_id("upTo", &request.up_to))?,
        at: now(),
    })
}

/// The answer to a mark that was stored.
pub fn answer(marker: &Marker) -> MarkedUpTo {
    MarkedUpTo {
        peer_id: marker.peer,
        read_up_to: marker.read.map(|read| read.place.id),
        delivered_up_to: marker.delivered.map(|delivered| delivered.place.id),
    }
}
