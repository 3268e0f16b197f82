//! What waits to be written into inboxes, and what is held because another node writes it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use shared::{Message, MessageId, Timestamp, UserId};
use tokio::sync::oneshot;

use crate::domain::Position;
use crate::storage::mongodb::document::id_seconds;
use crate::storage::mongodb::inbox::touches::{Touches, touch};

/// Entries that may wait. Each takes 90 bytes beside others of its owner, and 450 alone: 43 MiB at most. What is being written
/// is as large as one command's entries.
const WAITING: usize = 100_000;
/// Entries that are held at most: 22 MiB. Beyond that they are written here as well.
const HELD: usize = 50_000;
/// Over how many seconds entries are held together; they are let go of together, too.
const TOGETHER: u32 = 20;
/// In how many parts they are held at most.
const PARTS: usize = 16;
/// Messages that are remembered because they may have been stored unheard, 20 bytes each. Beyond that, all messages since the oldest
/// are read. As many are remembered that were found.
const DOUBTS: usize = 65_536;

pub(super) struct State {
    pub(super) waiting: Touches,
    pub(super) entries: usize,
    /// What is being written.
    pub(super) writing: Touches,
    /// Who asked for whose inbox; these are written first.
    pub(super) asked: HashMap<UserId, Vec<oneshot::Sender<()>>>,
    /// What other nodes have stored and write themselves, the oldest first.
    pub(super) held: VecDeque<Held>,
    /// Since when there is, of what was held, something among what waits; and among that which waited when the writing of all began.
    pub(super) taken_over: Option<u32>,
    pub(super) writing_over: Option<u32>,
    /// Messages since this second, of the time in their ids, were left out.
    pub(super) left_out: Option<u32>,
    /// What was left out before, and is being projected.
    pub(super) making_up: Option<u32>,
    /// Messages of this process of which it is not known whether they are stored, in the order of their times.
    pub(super) doubts: BTreeSet<MessageId>,
    /// Those of them that were found and told.
    pub(super) told: HashSet<MessageId>,
    /// What this process was told is stored up to this moment is projected.
    pub(super) done: Timestamp,
    /// How often the writing of all that waited has begun, and which of them was the last one that ended with all written.
    pub(super) rounds: Rounds,
}

/// Counts how often all that waited was written.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::storage::mongodb) struct Rounds {
    /// How often that has begun.
    pub(in crate::storage::mongodb) begun: u64,
    /// The number of the last that ended, and left nothing out.
    pub(in crate::storage::mongodb) ended: u64,
}

/// What other nodes have stored within [`TOGETHER`].
pub(super) struct Held {
    pub(super) touches: Touches,
    pub(super) entries: usize,
    /// The seconds of the first and the last message, of the time in their ids.
    pub(super) oldest: u32,
    pub(super) newest: u32,
}

impl State {
    pub(super) fn new(done: Timestamp) -> Self {
        Self {
            waiting: HashMap::new(),
            entries: 0,
            writing: Touches::new(),
            asked: HashMap::new(),
            held: VecDeque::new(),
            taken_over: None,
            writing_over: None,
            left_out: None,
            making_up: None,
            doubts: BTreeSet::new(),
            told: HashSet::new(),
            done,
            rounds: Rounds::default(),
        }
    }

    /// Adds what a message means, unless too much waits.
    pub(super) fn add(&mut self, message: &Message) {
        let Some((sender, receiver)) = people(message) else {
            return;
        };
        if self.entries >= WAITING {
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
        if self.held.iter().map(|held| held.entries).sum::<usize>() >= HELD {
            return self.add(message);
        }
        let fits = |held: &Held| (held.oldest..=held.oldest.saturating_add(TOGETHER)).contains(&second);
        if self.held.len() < PARTS && !self.held.back().is_some_and(fits) {
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
                    } else if self.entries < WAITING {
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

    pub(super) fn doubt(&mut self, message: MessageId) {
        self.doubts.insert(message);
        if self.doubts.len() > DOUBTS
            && let Some(oldest) = self.doubts.pop_first()
        {
            self.leave_out(id_seconds(oldest));
        }
    }

    pub(super) fn found(&mut self, message: MessageId) -> bool {
        let is_untold = self.doubts.remove(&message);
        if is_untold {
            if self.told.len() >= DOUBTS {
                // Whoever sends one of them again now has it told once more.
                self.told.clear();
            }
            self.told.insert(message);
        }
        is_untold
    }

    /// Whether nothing was left out.
    pub(super) fn is_whole(&self) -> bool {
        self.left_out.is_none() && self.making_up.is_none()
    }
}

/// The earlier one of those that there are.
pub(super) fn earlier(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    one.into_iter().chain(other).min()
}

/// In whose inboxes a message is listed.
fn people(message: &Message) -> Option<(UserId, UserId)> {
    message.sender.zip(message.receiver)
}
