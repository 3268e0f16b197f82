//! Marking messages as received or read: queue the mark to be stored, then answer, and notify the author of the messages.

use shared::conversation::MarkedUpTo;
use shared::{MessageId, UserId};

use super::Chat;
use super::error::Error;
use super::respond::Respond;
use crate::clock::now;
use crate::delivery::Dispatcher;
use crate::domain::{Mark, MarkKind, Marker};

mod outcomes;
mod queue;

pub use queue::{MarkOutcome, Receipts};

impl<R: Respond> Chat<R> {
    /// Takes a mark: `user` has received or read the messages of `peer` up to one of them. It is answered through `respond` once it
    /// is stored or refused.
    pub fn mark(&self, user: UserId, peer: UserId, kind: MarkKind, up_to: MessageId, respond: R) {
        let mark = Mark {
            user,
            peer,
            kind,
            up_to,
            at: now(),
        };
        if let Err((refused, respond)) = self.receipts.submit(mark, respond) {
            respond.fail(refused.into());
        }
    }
}

/// Answers a mark whose step has ended, unless it was answered before that the store is unavailable, and sends the receipt to
/// the author of the messages.
pub(super) fn finish<R: Respond>(dispatcher: &Dispatcher, marked: MarkOutcome<R>) {
    let MarkOutcome {
        mark,
        outcome,
        shown,
        in_flight,
        reply,
    } = marked;
    let marked = match outcome {
        Ok(marked) => marked,
        Err(failure) => {
            if let Some(reply) = reply {
                reply.fail(Error::NotMarked(failure));
            }
            return;
        }
    };
    if let Some(reply) = reply {
        reply.ok(answer(&marked.marker));
    }
    if !(marked.delivered_moved || marked.read_moved) {
        return;
    }
    #[cfg(feature = "failpoints")]
    if marked.read_moved {
        crate::failpoints::reset_unread(mark.user, mark.peer);
    }
    dispatcher.receipts(&marked.marker, marked.delivered_moved, shown);
    // The guard of the mark is still held, so the cursor of now is before it.
    dispatcher.marker_moved(mark.user, mark.peer);
    drop(in_flight);
    dispatcher.peers_marker_moved(mark.user, mark.peer);
}

/// The answer to a mark that was stored.
fn answer(marker: &Marker) -> MarkedUpTo {
    MarkedUpTo {
        peer_id: marker.peer,
        read_up_to: marker.read.map(|read| read.place.id),
        delivered_up_to: marker.delivered.map(|delivered| delivered.place.id),
    }
}
