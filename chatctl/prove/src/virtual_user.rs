//! A user: what all of the user's devices share. A message that one device sent and got no answer to is sent again by
//! whichever is connected.

use std::collections::VecDeque;

use parking_lot::Mutex;
use shared::{Settings, UserId};
use uuid::Uuid;

use super::document::{Document, MessageText};
use super::plan::{MarkStep, SendStep};
use super::record::{Acknowledged, Contradiction, Marked, Sending, UserRecord};

/// How long a change of settings that was not answered may still take, in microseconds. Servers give up sooner, and another
/// server knows nothing of it.
const SETTINGS_TIMEOUT_MICROS: u64 = 40_000_000;

/// A user of the run.
#[derive(Debug)]
pub(super) struct VirtualUser {
    /// Which of the users.
    pub(super) number: usize,
    /// The id.
    pub(super) id: UserId,
    /// A token that outlives the run.
    pub(super) token: String,
    /// Locked for moments by the user's devices, and by the coordinator.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sent: Vec<Outgoing>,
    /// What is to be sent again.
    again: VecDeque<Again>,
    marks: Vec<Marked>,
    marks_again: VecDeque<(usize, u64)>,
    settings: Settings,
    /// A change of settings whose outcome is not known.
    changing: Option<Change>,
    /// Until when one that was not answered may take the place of another.
    unsure_until: u64,
    /// Messages and marks that are neither acknowledged nor refused.
    open: usize,
}

#[derive(Debug)]
struct Outgoing {
    record: Sending,
    at: u64,
    letters: usize,
    /// Whether it is sent again after it was acknowledged.
    again: bool,
}

#[derive(Debug, Clone, Copy)]
struct Again {
    index: usize,
    /// Not before this time.
    due: u64,
}

#[derive(Debug, Clone, Copy)]
struct Change {
    invisible: bool,
    /// Not to be asked for again before this time; never while a device waits for the answer.
    due: u64,
}

/// A sending of a message.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// Which of the user's messages.
    pub(super) index: usize,
    /// For whom.
    pub(super) receiver: UserId,
    /// Its `clientMessageId`.
    pub(super) key: Uuid,
    /// Its text.
    pub(super) text: String,
    /// Whether it was never sent before.
    pub(super) first: bool,
    /// Whether it is acknowledged already.
    pub(super) acked: bool,
}

impl VirtualUser {
    pub(super) fn new(number: usize, id: UserId, token: String) -> Self {
        Self {
            number,
            id,
            token,
            state: Mutex::default(),
        }
    }

    /// A new message.
    pub(super) fn compose(&self, send: SendStep, receiver: UserId, now: u64) -> Attempt {
        let mut state = self.state.lock();
        let record = Sending {
            key: Uuid::now_v7(),
            receiver,
            acked: None,
            acknowledged_order: None,
            contradiction: None,
            refused: None,
        };
        state.open += 1;
        state.sent.push(Outgoing {
            record,
            at: now,
            letters: send.letters,
            again: send.again,
        });
        state.attempt(state.sent.len() - 1, true)
    }

    /// What is to be sent again now.
    pub(super) fn repeat(&self, now: u64) -> Option<Attempt> {
        let mut state = self.state.lock();
        let position = state.again.iter().position(|again| again.due <= now)?;
        let again = state.again.remove(position)?;
        Some(state.attempt(again.index, false))
    }

    /// A sending that was not answered, or with an error after which the same can succeed at a time.
    pub(super) fn send_again(&self, index: usize, due: u64) {
        let mut state = self.state.lock();
        // What is acknowledged was sent again only to see what happens.
        if state.sent[index].record.acked.is_none() {
            state.again.push_back(Again { index, due });
        }
    }

    /// An acknowledgement. Returns when the message was first sent if this is the first one.
    pub(super) fn acknowledged(
        &self,
        index: usize,
        document: Document,
        duplicate: bool,
        acknowledged_order: Option<Acknowledged>,
    ) -> Option<u64> {
        let mut state = self.state.lock();
        let outgoing = &mut state.sent[index];
        let record = &mut outgoing.record;
        if let Some(before) = record.acked {
            if before.position.id != document.position.id {
                record.contradiction = Some(Contradiction::Other(document.position.id));
            } else if !duplicate {
                record.contradiction = Some(Contradiction::NewTwice);
            }
            return None;
        }
        record.acked = Some(document);
        record.acknowledged_order = acknowledged_order.filter(|_| !duplicate);
        let at = outgoing.at;
        if std::mem::take(&mut outgoing.again) {
            state.again.push_back(Again { index, due: 0 });
        }
        state.open -= 1;
        Some(at)
    }

    /// An error after which the same can't succeed.
    pub(super) fn refused(&self, index: usize, code: &str) {
        let mut state = self.state.lock();
        let record = &mut state.sent[index].record;
        // Refused after it was acknowledged, it is no less wrong.
        let was_open = record.acked.is_none() && record.refused.is_none();
        record.refused = Some(code.to_owned());
        state.open -= usize::from(was_open);
    }

    /// A new mark; returns its number.
    pub(super) fn mark(&self, mark: MarkStep, peer: UserId, up_to: shared::MessageId) -> usize {
        let mut state = self.state.lock();
        state.open += 1;
        state.marks.push(Marked {
            peer,
            read: mark.read,
            up_to,
            answer: None,
            refused: None,
        });
        state.marks.len() - 1
    }

    /// A mark that is to be repeated now.
    pub(super) fn repeat_mark(&self, now: u64) -> Option<(usize, Marked)> {
        let mut state = self.state.lock();
        let position = state.marks_again.iter().position(|(_, due)| *due <= now)?;
        let (index, _) = state.marks_again.remove(position)?;
        Some((index, state.marks[index].clone()))
    }

    /// What a mark says.
    pub(super) fn marked(&self, index: usize) -> Marked {
        self.state.lock().marks[index].clone()
    }

    /// A mark that was not answered, or not yet taken.
    pub(super) fn mark_again(&self, index: usize, due: u64) {
        self.state.lock().marks_again.push_back((index, due));
    }

    /// The answer to a mark, or the code of the error that ends it.
    pub(super) fn mark_answered(&self, index: usize, answer: Result<shared::conversation::MarkedUpTo, &str>) {
        let mut state = self.state.lock();
        match answer {
            Ok(answer) => state.marks[index].answer = Some(answer),
            Err(code) => state.marks[index].refused = Some(code.to_owned()),
        }
        state.open -= 1;
    }

    /// Begins a change of settings, on whichever device; false while another is not done, or could be done late. So their order
    /// is known.
    pub(super) fn change(&self, invisible: bool, now: u64) -> bool {
        let mut state = self.state.lock();
        let free = state.changing.is_none() && now >= state.unsure_until;
        if free {
            state.changing = Some(Change {
                invisible,
                due: u64::MAX,
            });
            state.open += 1;
        }
        free
    }

    /// The change that is not done and is to be asked for again now, by the device that is told of it.
    pub(super) fn repeat_change(&self, now: u64) -> Option<bool> {
        let mut state = self.state.lock();
        let change = state.changing.as_mut().filter(|change| change.due <= now)?;
        change.due = u64::MAX;
        Some(change.invisible)
    }

    /// The change was not answered, or not with what it came to: it can be asked for again at a time.
    pub(super) fn change_again(&self, due: u64, now: u64) {
        let mut state = self.state.lock();
        state.unsure_until = now + SETTINGS_TIMEOUT_MICROS;
        if let Some(change) = &mut state.changing {
            change.due = due;
        }
    }

    /// The change is done: these are the settings now, or still, if it was refused.
    pub(super) fn changed(&self, settings: Option<Settings>) {
        let mut state = self.state.lock();
        state.settings = settings.unwrap_or(state.settings);
        if state.changing.take().is_some() {
            state.open -= 1;
        }
    }

    /// Whether the user is invisible; `None` if that is not known.
    pub(super) fn is_invisible(&self) -> Option<bool> {
        let state = self.state.lock();
        state.changing.is_none().then_some(state.settings.invisible)
    }

    /// Messages, marks and changes without a final answer.
    pub(super) fn open(&self) -> usize {
        self.state.lock().open
    }

    /// All of it, for the audit; the devices are added by whoever has them.
    pub(super) fn record(&self) -> UserRecord {
        let mut state = self.state.lock();
        UserRecord {
            id: self.id,
            sent: state.sent.drain(..).map(|outgoing| outgoing.record).collect(),
            marks: std::mem::take(&mut state.marks),
            settings: state.changing.is_none().then_some(state.settings),
            devices: Vec::new(),
        }
    }
}

impl State {
    fn attempt(&self, index: usize, first: bool) -> Attempt {
        let Outgoing {
            record, at, letters, ..
        } = &self.sent[index];
        Attempt {
            index,
            receiver: record.receiver,
            key: record.key,
            text: MessageText {
                key: record.key,
                at: *at,
            }
            .write(*letters),
            first,
            acked: record.acked.is_some(),
        }
    }
}
