//! What messages mean to inboxes: entries by owner and peer.

use std::collections::HashMap;

use shared::UserId;

use super::entry::{Entry, Incoming};
use crate::domain::Position;

/// Entries by owner and peer.
pub(super) type Touches = HashMap<UserId, HashMap<UserId, Entry>>;

/// Adds what a message means to the inboxes of its two people, and returns how many entries are new.
pub(super) fn touch(touches: &mut Touches, sender: UserId, receiver: UserId, last: Position) -> usize {
    let mut added = 0;
    let mut add = |owner, peer, incoming| {
        let incoming = Some(if incoming { Incoming::Last(last) } else { Incoming::None });
        let new = Entry { last, incoming };
        let entries = touches.entry(owner).or_default();
        entries
            .entry(peer)
            .and_modify(|old| *old = old.merge(new))
            .or_insert_with(|| {
                added += 1;
                new
            });
    };
    add(sender, receiver, false);
    if sender != receiver {
        add(receiver, sender, true);
    }
    added
}
