//! What was said and is not acknowledged yet, in order.
//!
//! Only the first message is ever on its way. That keeps the order when one has to be repeated, and it means that at
//! most one message's fate is unknown when the connection breaks: [`Outbox::uncertain`].

use std::collections::VecDeque;

use shared::UserId;
use shared::events::SendMessage;
use uuid::Uuid;

/// More than this is not taken; the front end waits or says so.
const MAX_DRAFTS: usize = 1_000;

/// A message of ours that the server has not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    /// Names it across repetitions, so that it is stored once.
    pub(crate) client_message_id: String,
    /// Whom it is for.
    pub(crate) receiver: UserId,
    /// What it says.
    pub(crate) text: String,
}

/// The messages that wait; the first may be on its way.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    drafts: VecDeque<Draft>,
    /// The first one was sent at least once, so it may be stored already.
    uncertain: bool,
    /// The first one was sent on this connection and not answered.
    in_flight: bool,
    /// So many, from the first on, are shown as waiting.
    shown: usize,
}

impl Outbox {
    /// Adds a message at the end. Its id grows with time: that costs the server's index least.
    pub(crate) fn push(&mut self, receiver: UserId, text: String) {
        self.drafts.push_back(Draft {
            client_message_id: Uuid::now_v7().to_string(),
            receiver,
            text,
        });
    }

    /// How many wait, the one on its way included.
    pub(crate) fn len(&self) -> usize {
        self.drafts.len()
    }

    /// Whether another one is taken.
    pub(crate) fn has_room(&self) -> bool {
        self.drafts.len() < MAX_DRAFTS
    }

    /// The texts that are not shown as waiting yet, and are from now on.
    pub(crate) fn show(&mut self) -> Vec<String> {
        let shown = std::mem::replace(&mut self.shown, self.drafts.len());
        self.drafts.range(shown..).map(|draft| draft.text.clone()).collect()
    }

    /// Whether the first one may be stored without our knowing.
    pub(crate) fn uncertain(&self) -> bool {
        self.uncertain
    }

    /// The first one, to be sent now; none while it is on its way.
    pub(crate) fn next(&mut self) -> Option<SendMessage> {
        if self.in_flight {
            return None;
        }
        let draft = self.drafts.front()?;
        self.in_flight = true;
        self.uncertain = true;
        Some(SendMessage {
            receiver_id: draft.receiver,
            message: draft.text.clone(),
            client_message_id: Some(draft.client_message_id.clone()),
        })
    }

    /// Whether this is the id of the one on its way.
    pub(crate) fn awaits(&self, client_message_id: &str) -> bool {
        self.in_flight
            && self
                .drafts
                .front()
                .is_some_and(|draft| draft.client_message_id == client_message_id)
    }

    /// No answer will come to the one on its way: the connection broke, or the answer was to try again.
    pub(crate) fn unanswered(&mut self) {
        self.in_flight = false;
    }

    /// The first one is done with, stored or refused.
    pub(crate) fn remove_first(&mut self) -> Option<Draft> {
        self.in_flight = false;
        self.uncertain = false;
        self.shown = self.shown.saturating_sub(1);
        self.drafts.pop_front()
    }

    /// Everything that was not acknowledged.
    pub(crate) fn into_drafts(self) -> Vec<Draft> {
        self.drafts.into()
    }
}
