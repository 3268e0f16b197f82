//! What waits to be written into inboxes, and what is held because another node writes it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use shared::{Message, MessageId, Timestamp, UserId};
use tokio::sync::oneshot;

use crate::domain::Position;
use crate::storage::mongodb::document::id_seconds;
use crate::storage::mongodb::inbox::touches::{Touches, touch};

/// Entries that may wait. Each takes 90 bytes beside others of its owner, and 450 alone: 43 MiB at most. What is being
/// written is as large as one command's entries.
const MAX_WAITING: usize = 100_000;
/// Entries that are held at most: 22 MiB. More are written here as well.
const MAX_HELD: usize = 50_000;
/// Over how many seconds entries are held together; they are dropped together, too.
const MAX_SPAN: u32 = 20;
/// In how many parts they are held at most.
const MAX_PARTS: usize = 16;
/// Messages of unknown outcome that are remembered, 20 bytes each. With more, all messages since the oldest are read. As
/// many are remembered that were found.
const MAX_UNKNOWN: usize = 65_536;

pub(super) struct Pending {
    pub(super) waiting: Touches,
    pub(super) entries: usize,
    /// What is being written.
    pub(super) writing: Touches,
    /// Callers who wait for an inbox, by owner; these are written first.
    pub(super) requested: HashMap<UserId, Vec<oneshot::Sender<()>>>,
    /// What other nodes have stored and write themselves, the oldest first.
    pub(super) held: VecDeque<Held>,
    /// Since when something that was held is among what waits; and since when it is among what waited when the writing of
    /// all began.
    pub(super) taken_over: Option<u32>,
    pub(super) writing_over: Option<u32>,
    /// Messages since this second, of the time in their ids, were left out.
    pub(super) left_out: Option<u32>,
    /// What was left out before, and is being projected.
    pub(super) backfilling: Option<u32>,
    /// Messages of this process of unknown outcome, in the order of their times.
    pub(super) unknown: BTreeSet<MessageId>,
    /// Those of them that were found and delivered.
    pub(super) delivered: HashSet<MessageId>,
    /// Every message whose write was acknowledged before this moment is in the inboxes.
    pub(super) done: Timestamp,
    /// How often the writing of all that waited has begun, and which of these rounds was the last one that wrote everything.
    pub(super) rounds: Rounds,
}

/// Counts the rounds in which all that waited was written.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::storage::mongodb) struct Rounds {
    /// How many have begun.
    pub(in crate::storage::mongodb) begun: u64,
    /// The number of the last that ended with everything written.
    pub(in crate::storage::mongodb) ended: u64,
}

/// What other nodes have stored within [`MAX_SPAN`].
pub(super) struct Held {
    pub(super) touches: Touches,
    pub(super) entries: usize,
    /// The seconds of the first and the last message, of the time in their ids.
    pub(super) oldest: u32,
    pub(super) newest: u32,
}

impl Pending {
    pub(super) fn new(done: Timestamp) -> Self {
        Self {
            waiting: HashMap::new(),
            entries: 0,
            writing: Touches::new(),
            requested: HashMap::new(),
            held: VecDeque::new(),
            taken_over: None,
            writing_over: None,
            left_out: None,
            backfilling: None,
            unknown: BTreeSet::new(),
            delivered: HashSet::new(),
            done,
            rounds: Rounds::default(),
        }
    }

    /// Adds what a message means, unless too much waits.
    pub(super) fn add(&mut self, message: &Message) {
        let Some((sender, receiver)) = people(message) else {
            return;
        };
        if self.entries >= MAX_WAITING {
            self.leave_out(id_seconds(message.id));
            return;
        }
        self.entries += touch(&mut self.waiting, sender, receiver, Position::of(message));
    }

    pub(super) fn leave_out(&mut self, since: u32) {
        let first = self.left_out.get_or_insert(since);
        *first = since.min(*first);
    }

    pub(super) fn hold(&mut self, message: &Message) {
        let (Some((sender, receiver)), second) = (people(message), id_seconds(message.id)) else {
            return;
        };
        if self.held.iter().map(|held| held.entries).sum::<usize>() >= MAX_HELD {
            return self.add(message);
        }
        let fits = |held: &Held| (held.oldest..=held.oldest.saturating_add(MAX_SPAN)).contains(&second);
        if self.held.len() < MAX_PARTS && !self.held.back().is_some_and(fits) {
            self.held.push_back(Held {
                touches: Touches::new(),
                entries: 0,
                oldest: second,
                newest: second,
            });
        }
        if let Some(held) = self.held.back_mut() {
            held.entries += touch(&mut held.touches, sender, receiver, Position::of(message));
            held.oldest = second.min(held.oldest);
            held.newest = second.max(held.newest);
        }
    }

    /// Has what is held written here: that of one owner, or all.
    pub(super) fn take_over(&mut self, owner: Option<UserId>) {
        let mut left_out = None;
        for held in &mut self.held {
            let taken = match owner {
                Some(owner) => held.touches.remove_entry(&owner).into_iter().collect(),
                None => std::mem::take(&mut held.touches),
            };
            for (owner, entries) in taken {
                held.entries -= entries.len();
                self.taken_over = earlier(self.taken_over, Some(held.oldest));
                let waiting = self.waiting.entry(owner).or_default();
                for (peer, entry) in entries {
                    if let Some(known) = waiting.get_mut(&peer) {
                        *known = known.merge(entry);
                    } else if self.entries < MAX_WAITING {
                        waiting.insert(peer, entry);
                        self.entries += 1;
                    } else {
                        left_out.get_or_insert(held.oldest);
                    }
                }
            }
        }
        self.held.retain(|held| held.entries > 0);
        if let Some(since) = left_out {
            self.leave_out(since);
        }
    }

    pub(super) fn record_unknown_outcome(&mut self, message: MessageId) {
        self.unknown.insert(message);
        if self.unknown.len() > MAX_UNKNOWN
            && let Some(oldest) = self.unknown.pop_first()
        {
            self.leave_out(id_seconds(oldest));
        }
    }

    pub(super) fn claim_found(&mut self, message: MessageId) -> bool {
        let is_unknown = self.unknown.remove(&message);
        if is_unknown {
            if self.delivered.len() >= MAX_UNKNOWN {
                // If one of them is sent again now, it is delivered once more.
                self.delivered.clear();
            }
            self.delivered.insert(message);
        }
        is_unknown
    }

    /// Whether nothing was left out.
    pub(super) fn has_everything(&self) -> bool {
        self.left_out.is_none() && self.backfilling.is_none()
    }
}

/// The earlier of those that there are.
pub(super) fn earlier(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    one.into_iter().chain(other).min()
}

/// In whose inboxes a message is listed.
fn people(message: &Message) -> Option<(UserId, UserId)> {
    message.sender.zip(message.receiver)
}
