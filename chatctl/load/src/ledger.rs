//! The accounts that show whether a message was lost, doubled or out of order: [`SendLedger`] is kept by a sender, [`ReceiveLedger`]
//! by the one receiver it writes to, and [`Tally`] compares both at the end.
//!
//! Every sending has a number of its own, a repetition after an error too, so that numbers show the order of sending.

use std::collections::VecDeque;

use serde::Serialize;

/// What became of one message, as its sender knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendOutcome {
    /// There was no answer yet.
    Open,
    /// The server said that it is stored or, where nothing is acknowledged, the receiver has it.
    Done,
    /// The server answered with an error.
    Refused,
}

/// What one user sent.
#[derive(Debug, Default)]
pub struct SendLedger {
    outcomes: Vec<SendOutcome>,
    /// When each was sent, from the oldest open one on.
    times: VecDeque<u64>,
    open: usize,
}

impl SendLedger {
    /// Notes a sending at a time and returns its number.
    pub fn add(&mut self, at: u64) -> u32 {
        self.outcomes.push(SendOutcome::Open);
        self.times.push_back(at);
        self.open += 1;
        (self.outcomes.len() - 1) as u32
    }

    /// Notes an answer. Returns when the message was sent; none if it was answered before or never sent.
    pub fn complete(&mut self, number: u32, outcome: SendOutcome) -> Option<u64> {
        let slot = self
            .outcomes
            .get_mut(number as usize)
            .filter(|slot| **slot == SendOutcome::Open)?;
        *slot = outcome;
        self.open -= 1;
        let oldest = self.outcomes.len() - self.times.len();
        let at = self.times[number as usize - oldest];
        let settled = self.outcomes[oldest..]
            .iter()
            .take_while(|outcome| **outcome != SendOutcome::Open)
            .count();
        self.times.drain(..settled);
        Some(at)
    }

    /// How many have no answer yet.
    pub fn open(&self) -> usize {
        self.open
    }
}

/// What one user heard from the one who writes to them.
#[derive(Debug, Default)]
pub struct ReceiveLedger {
    numbers: Vec<bool>,
    duplicated: u64,
    out_of_order: u64,
}

impl ReceiveLedger {
    /// Notes a delivery; false if there was one of this message before.
    pub fn add(&mut self, number: u32) -> bool {
        let number = number as usize;
        match self.numbers.get(number) {
            Some(true) => {
                self.duplicated += 1;
                return false;
            }
            // A later one came before it.
            Some(false) => self.out_of_order += 1,
            None => self.numbers.resize(number + 1, false),
        }
        self.numbers[number] = true;
        true
    }
}

/// What went wrong, all senders together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Acknowledged, but not delivered.
    pub lost: u64,
    /// Deliveries beyond the first of a message.
    pub duplicated: u64,
    /// Deliveries after that of a message which was sent later.
    pub out_of_order: u64,
    /// Sent, but neither acknowledged nor refused.
    pub unanswered: u64,
    /// Delivered although the server had answered with an error. That is no fault where the error left it open.
    pub refused_but_delivered: u64,
}

impl Tally {
    /// Adds what a sender and its receiver know. Where a server acknowledges nothing (`acks` is false), every message
    /// that was sent must be delivered.
    pub fn add(&mut self, sent: &SendLedger, heard: &ReceiveLedger, acks: bool) {
        for (number, outcome) in sent.outcomes.iter().enumerate() {
            let delivered = heard.numbers.get(number).copied().unwrap_or(false);
            match outcome {
                SendOutcome::Done | SendOutcome::Open if !acks => self.lost += u64::from(!delivered),
                SendOutcome::Done => self.lost += u64::from(!delivered),
                SendOutcome::Open => self.unanswered += 1,
                SendOutcome::Refused => self.refused_but_delivered += u64::from(delivered),
            }
        }
        self.duplicated += heard.duplicated;
        self.out_of_order += heard.out_of_order;
    }

    /// Whether every message arrived once, in order, and every request was answered.
    pub fn is_clean(&self) -> bool {
        let Self {
            lost,
            duplicated,
            out_of_order,
            unanswered,
            refused_but_delivered: _,
        } = self;
        lost + duplicated + out_of_order + unanswered == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as many messages as there are fates and delivers the numbers given.
    fn tally(outcomes: &[SendOutcome], delivered: &[u32], acks: bool) -> Tally {
        let (mut sent, mut heard) = (SendLedger::default(), ReceiveLedger::default());
        for (at, outcome) in outcomes.iter().enumerate() {
            let number = sent.add(at as u64);
            if *outcome != SendOutcome::Open {
                assert_eq!(sent.complete(number, *outcome), Some(at as u64));
            }
        }
        for number in delivered {
            heard.add(*number);
        }
        let mut tally = Tally::default();
        tally.add(&sent, &heard, acks);
        tally
    }

    #[test]
    fn a_clean_run_is_clean() {
        let clean = tally(&[SendOutcome::Done; 4], &[0, 1, 2, 3], true);
        assert_eq!(clean, Tally::default());
        assert!(clean.is_clean());
        assert!(tally(&[SendOutcome::Open; 2], &[0, 1], false).is_clean());
    }

    #[test]
    fn a_dropped_message_is_lost() {
        for (dropped, delivered) in [[1, 2], [0, 2], [0, 1]].iter().enumerate() {
            let tally = tally(&[SendOutcome::Done; 3], delivered, true);
            assert_eq!(tally.lost, 1, "message {dropped}");
            assert!(!tally.is_clean());
        }
        assert_eq!(tally(&[SendOutcome::Open; 3], &[0, 2], false).lost, 1);
        assert_eq!(tally(&[SendOutcome::Done; 3], &[], true).lost, 3);
    }

    #[test]
    fn a_doubled_message_is_a_duplicate() {
        let tally = tally(&[SendOutcome::Done; 3], &[0, 1, 1, 2, 0], true);
        assert_eq!((tally.duplicated, tally.out_of_order, tally.lost), (2, 0, 0));
        assert!(!tally.is_clean());
    }

    #[test]
    fn a_late_message_is_out_of_order_and_not_lost() {
        let tally = tally(&[SendOutcome::Done; 4], &[0, 2, 1, 3], true);
        assert_eq!((tally.out_of_order, tally.duplicated, tally.lost), (1, 0, 0));
        assert!(!tally.is_clean());
    }

    #[test]
    fn no_answer_is_not_clean_and_a_refusal_is() {
        let open = tally(&[SendOutcome::Done, SendOutcome::Open], &[0, 1], true);
        assert_eq!((open.unanswered, open.lost), (1, 0));
        assert!(!open.is_clean());
        let refused = tally(&[SendOutcome::Refused, SendOutcome::Done], &[1], true);
        assert!(refused.is_clean());
        assert_eq!(tally(&[SendOutcome::Refused], &[0], true).refused_but_delivered, 1);
    }

    #[test]
    fn answers_find_their_time_in_any_order() {
        let mut sent = SendLedger::default();
        for at in [10, 20, 30] {
            sent.add(at);
        }
        assert_eq!(sent.complete(1, SendOutcome::Done), Some(20));
        assert_eq!(sent.complete(0, SendOutcome::Done), Some(10));
        assert_eq!(sent.add(40), 3);
        assert_eq!(
            (sent.complete(0, SendOutcome::Done), sent.complete(9, SendOutcome::Done)),
            (None, None)
        );
        assert_eq!(sent.open(), 2);
        assert_eq!(sent.complete(3, SendOutcome::Refused), Some(40));
        assert_eq!(sent.complete(2, SendOutcome::Done), Some(30));
        assert_eq!((sent.open(), sent.times.len()), (0, 0));
    }
}
