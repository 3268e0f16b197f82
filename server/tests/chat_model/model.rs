//! The plain model: what was asked for and answered, and what follows from that. It knows no store, no queue and no task.
//!
//! What was under way when the server died may have been done or not, until something shows which.

use std::collections::{BTreeMap, BTreeSet};

use server::delivery::client::ConnectionId;
use server::domain::{MarkKind, Position};
use shared::conversation::MarkedUpTo;
use shared::events::Sent;
use shared::{ErrorCode, Message, MessageId, Settings, UserId};
use tokio::sync::oneshot;

use crate::ear::Answer;
use crate::script::{PEOPLE, Person};

/// What is wrong, for a person.
pub(crate) type Checked<T = ()> = Result<T, String>;

/// Fails with a sentence unless something holds.
macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}
pub(crate) use ensure;

/// What is known of a request.
pub(crate) enum Outcome<T> {
    Pending(oneshot::Receiver<Answer>),
    /// The server died before it answered.
    Unknown,
    Refused(ErrorCode),
    Done(T),
}

/// A message that somebody tried to send.
pub(crate) struct Attempt {
    pub(crate) sender: Person,
    /// None for somebody who does not exist.
    pub(crate) receiver: Option<Person>,
    /// Which no other message has, but what repeats this one.
    pub(crate) text: String,
    pub(crate) key: Option<u8>,
    pub(crate) connection: ConnectionId,
    /// Which message it became, and whether it had become that before.
    pub(crate) outcome: Outcome<(MessageId, bool)>,
}

/// A mark that somebody tried to make.
pub(crate) struct MarkAttempt {
    pub(crate) by: Person,
    pub(crate) peer: Person,
    pub(crate) kind: MarkKind,
    pub(crate) up_to: MessageId,
    /// Whether the message is of that conversation.
    pub(crate) is_theirs: bool,
    /// Whether the peer may see that it was read.
    pub(crate) is_shown: bool,
    pub(crate) outcome: Outcome<(Option<Position>, Option<Position>)>,
}

/// A message that is known to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) sender: Person,
    pub(crate) receiver: Person,
    pub(crate) text: String,
    pub(crate) place: Position,
}

/// Up to where something holds: at least, and what else is possible.
pub(crate) struct Mark {
    pub(crate) sure: Option<Position>,
    pub(crate) possible: BTreeSet<Position>,
}

/// All of it.
pub(crate) struct Model {
    pub(crate) ids: [UserId; PEOPLE],
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) marks: Vec<MarkAttempt>,
    pub(crate) stored: BTreeMap<MessageId, Stored>,
    pub(crate) settings: [Settings; PEOPLE],
    /// Whose read receipts were off at some time.
    pub(crate) has_hidden: [bool; PEOPLE],
}

impl Model {
    pub(crate) fn new(ids: [UserId; PEOPLE]) -> Self {
        Self {
            ids,
            attempts: Vec::new(),
            marks: Vec::new(),
            stored: BTreeMap::new(),
            settings: [Settings::default(); PEOPLE],
            has_hidden: [false; PEOPLE],
        }
    }

    pub(crate) fn person(&self, id: UserId) -> Checked<Person> {
        let place = self.ids.iter().position(|known| *known == id);
        place.map(Person).ok_or_else(|| format!("{id} is nobody here"))
    }

    pub(crate) fn place(&self, id: MessageId) -> Checked<Position> {
        let stored = self.stored.get(&id).map(|stored| stored.place);
        stored.ok_or_else(|| format!("nobody was told of the message {id}"))
    }

    /// The messages of two people that are known to be stored, in their order.
    pub(crate) fn between(&self, one: Person, other: Person) -> Vec<(MessageId, &Stored)> {
        let is_theirs = |stored: &Stored| {
            let pair = (stored.sender, stored.receiver);
            pair == (one, other) || pair == (other, one)
        };
        let mut messages: Vec<_> = self
            .stored
            .iter()
            .filter(|(_, stored)| is_theirs(stored))
            .map(|(id, stored)| (*id, stored))
            .collect();
        messages.sort_by_key(|(_, stored)| stored.place);
        messages
    }

    /// Whether two people have exchanged a message; none if only the death of a server knows.
    pub(crate) fn acquainted(&self, one: Person, other: Person) -> Option<bool> {
        let maybe = self.attempts.iter().any(|attempt| {
            let pair = (attempt.sender, attempt.receiver);
            let is_theirs = pair == (one, Some(other)) || pair == (other, Some(one));
            is_theirs && matches!(attempt.outcome, Outcome::Unknown)
        });
        match !self.between(one, other).is_empty() {
            false if maybe => None,
            known => Some(known),
        }
    }

    /// Whether two people may see what the other has read.
    pub(crate) fn shows_reading(&self, one: Person, other: Person) -> bool {
        one == other || [one, other].iter().all(|person| self.settings[person.0].read_receipts)
    }

    /// Up to where somebody has received or read what a peer wrote.
    pub(crate) fn mark(&self, by: Person, peer: Person, kind: MarkKind) -> Mark {
        let counts = |mark: &&MarkAttempt| {
            (mark.by, mark.peer) == (by, peer)
                && mark.is_theirs
                && (mark.kind == MarkKind::Read || kind == MarkKind::Delivered)
        };
        let mut found = Mark {
            sure: None,
            possible: BTreeSet::new(),
        };
        for mark in self.marks.iter().filter(counts) {
            let Some(place) = self.stored.get(&mark.up_to).map(|stored| stored.place) else {
                continue;
            };
            match mark.outcome {
                Outcome::Done(_) => found.sure = found.sure.max(Some(place)),
                Outcome::Pending(_) | Outcome::Unknown => {
                    found.possible.insert(place);
                }
                Outcome::Refused(_) => {}
            }
        }
        found
    }

    /// Takes a message as it was answered, heard or listed, and says whether it was new.
    pub(crate) fn learn(&mut self, message: &Message) -> Checked<bool> {
        let (Some(sender), Some(receiver)) = (message.sender, message.receiver) else {
            return Err(format!("{message:?} lacks its people"));
        };
        let stored = Stored {
            sender: self.person(sender)?,
            receiver: self.person(receiver)?,
            text: message.message.clone().unwrap_or_default(),
            place: Position::of(message),
        };
        if let Some(known) = self.stored.get(&message.id) {
            ensure!(*known == stored, "the message {stored:?} was {known:?} before");
            return Ok(false);
        }
        if let Some((other, _)) = self.stored.iter().find(|(_, known)| known.text == stored.text) {
            return Err(format!(
                "{} is stored twice, as {other} and {}",
                stored.text, message.id
            ));
        }
        let is_of = |attempt: &Attempt| {
            attempt.text == stored.text
                && (attempt.sender, attempt.receiver) == (stored.sender, Some(stored.receiver))
                && !matches!(attempt.outcome, Outcome::Refused(_))
        };
        ensure!(self.attempts.iter().any(is_of), "nobody sent {stored:?}");
        self.stored.insert(message.id, stored);
        Ok(true)
    }

    /// Takes what an attempt was answered; nothing if the server died.
    pub(crate) fn answered(&mut self, number: usize, answer: Option<Answer>) -> Checked {
        let Attempt {
            sender,
            receiver,
            text,
            key,
            ..
        } = &self.attempts[number];
        let (sender, receiver, text, key) = (*sender, *receiver, text.clone(), *key);
        let outcome = match answer {
            None => Outcome::Unknown,
            Some(Err(error)) => {
                let is_right = match error.code {
                    ErrorCode::UserNotFound => receiver.is_none(),
                    ErrorCode::IdempotencyConflict => self.attempts.iter().any(|other| {
                        (other.sender, other.key) == (sender, key)
                            && key.is_some()
                            && other.text != text
                            && !matches!(other.outcome, Outcome::Refused(_))
                    }),
                    _ => false,
                };
                ensure!(is_right, "{text} of {sender} was answered {error:?}");
                Outcome::Refused(error.code)
            }
            Some(Ok(answer)) => {
                let Sent { message, duplicate } =
                    serde_json::from_value::<Sent>(answer).map_err(|error| error.to_string())?;
                ensure!(
                    message.message.as_deref() == Some(&*text),
                    "{text} of {sender} was answered with {message:?}"
                );
                let is_new = self.learn(&message)?;
                let before = self
                    .attempts
                    .iter()
                    .any(|other| matches!(other.outcome, Outcome::Done((id, _)) if id == message.id));
                ensure!(
                    !duplicate || key.is_some(),
                    "{text} has no key, and is called a duplicate"
                );
                ensure!(duplicate || !before, "{text} is not called a duplicate");
                let may_be = !is_new
                    || self.attempts.iter().enumerate().any(|(other, attempt)| {
                        other != number
                            && attempt.text == text
                            && matches!(attempt.outcome, Outcome::Unknown | Outcome::Pending(_))
                    });
                ensure!(!duplicate || may_be, "{text} is called a duplicate");
                Outcome::Done((message.id, duplicate))
            }
        };
        self.attempts[number].outcome = outcome;
        Ok(())
    }

    /// What must hold of all attempts that are answered.
    pub(crate) fn check_attempts(&self) -> Checked {
        let mut last: BTreeMap<(Person, Person), (Position, &str)> = BTreeMap::new();
        let mut winners: BTreeMap<(Person, u8), &str> = BTreeMap::new();
        for attempt in &self.attempts {
            let Outcome::Done((id, duplicate)) = attempt.outcome else {
                continue;
            };
            let stored = &self.stored[&id];
            if let Some(key) = attempt.key {
                let winner = winners.entry((attempt.sender, key)).or_insert(&attempt.text);
                ensure!(
                    *winner == attempt.text,
                    "one key is of {winner} and of {}",
                    attempt.text
                );
            }
            let unknown = |other: &Attempt| other.text == attempt.text && matches!(other.outcome, Outcome::Unknown);
            if duplicate || self.attempts.iter().any(unknown) {
                continue;
            }
            let lane = (stored.sender, stored.receiver);
            if let Some((before, text)) = last.insert(lane, (stored.place, &stored.text)) {
                ensure!(
                    before < stored.place,
                    "{text} was sent before {}, and is listed after it",
                    stored.text
                );
            }
        }
        for attempt in &self.attempts {
            let Some(key) = attempt.key else { continue };
            if let (Outcome::Refused(ErrorCode::IdempotencyConflict), Some(winner)) =
                (&attempt.outcome, winners.get(&(attempt.sender, key)))
            {
                ensure!(*winner != attempt.text, "{winner} is in conflict with itself");
            }
        }
        Ok(())
    }

    /// Takes what a mark was answered; nothing if the server died.
    pub(crate) fn marked(&mut self, number: usize, answer: Option<Answer>) -> Checked {
        let MarkAttempt {
            by,
            peer,
            kind,
            up_to,
            is_theirs,
            ..
        } = self.marks[number];
        let outcome = match answer {
            None => Outcome::Unknown,
            Some(Err(error)) => {
                let is_right = error.code == ErrorCode::MessageNotFound && !is_theirs;
                ensure!(is_right, "a mark of {by} was answered {error:?}");
                Outcome::Refused(error.code)
            }
            Some(Ok(answer)) => {
                ensure!(is_theirs, "{by} marked a message of others");
                let answer: MarkedUpTo = serde_json::from_value(answer).map_err(|error| error.to_string())?;
                ensure!(
                    answer.peer_id == self.ids[peer.0],
                    "the answer is about another peer: {answer:?}"
                );
                let place = |id: Option<MessageId>| id.map(|id| self.place(id)).transpose();
                let (delivered, read) = (place(answer.delivered_up_to)?, place(answer.read_up_to)?);
                let asked = Some(self.place(up_to)?);
                ensure!(delivered >= asked, "{by} has received less than was marked: {answer:?}");
                ensure!(
                    kind == MarkKind::Delivered || read >= asked,
                    "{by} has read less than was marked: {answer:?}"
                );
                ensure!(delivered >= read, "{by} has read more than received: {answer:?}");
                let before = self.marks[..number]
                    .iter()
                    .filter(|mark| (mark.by, mark.peer) == (by, peer));
                for mark in before {
                    if let Outcome::Done((had, had_read)) = mark.outcome {
                        ensure!(
                            delivered >= had && read >= had_read,
                            "a mark of {by} went back: {answer:?}"
                        );
                    }
                }
                Outcome::Done((delivered, read))
            }
        };
        self.marks[number].outcome = outcome;
        Ok(())
    }

    /// Whether a watermark is where it can be.
    pub(crate) fn check_mark(
        &self,
        what: &str,
        by: Person,
        peer: Person,
        kind: MarkKind,
        actual: Option<MessageId>,
    ) -> Checked<Option<Position>> {
        let actual = actual.map(|id| self.place(id)).transpose()?;
        let Mark { sure, possible } = self.mark(by, peer, kind);
        let can_be = actual == sure || actual > sure && actual.is_some_and(|actual| possible.contains(&actual));
        ensure!(
            can_be,
            "{what}: {by} has {kind:?} of {peer} up to {actual:?}, and not {sure:?}"
        );
        Ok(actual)
    }
}
