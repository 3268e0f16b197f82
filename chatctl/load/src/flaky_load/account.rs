//! What one user has sent, and what the other has heard of it: whether anything was lost, or would be shown twice.

use shared::MessageId;
use uuid::Uuid;

/// How far a message has come, as its sender knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be sent, for the first time or again.
    Waiting,
    /// Sent on the present connection.
    OnTheWay,
    /// The server said that it has it.
    Acknowledged,
}

#[derive(Debug)]
struct Sent {
    id: Uuid,
    planned: u64,
    state: State,
}

/// What one user has sent, or means to.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    messages: Vec<Sent>,
    /// All before are acknowledged.
    first_open: usize,
    /// How many are acknowledged.
    pub(super) acknowledged: u64,
}

impl Outbox {
    /// Adds a message that should be sent at this moment.
    pub(super) fn add(&mut self, planned: u64) {
        self.messages.push(Sent {
            id: Uuid::now_v7(),
            planned,
            state: State::Waiting,
        });
    }

    /// The next message to send, which is on its way then: its number, its id and when it should have been sent.
    pub(super) fn next(&mut self) -> Option<(u32, Uuid, u64)> {
        let open = self.messages.iter_mut().enumerate().skip(self.first_open);
        let (number, sent) = open.filter(|(_, sent)| sent.state == State::Waiting).take(1).next()?;
        sent.state = State::OnTheWay;
        Some((number as u32, sent.id, sent.planned))
    }

    /// The server has it. False if it was never asked, or said so before.
    pub(super) fn acknowledge(&mut self, number: u32) -> bool {
        let Some(sent) = self.messages.get_mut(number as usize) else {
            return false;
        };
        if sent.state == State::Acknowledged {
            return false;
        }
        sent.state = State::Acknowledged;
        self.acknowledged += 1;
        let open = self.messages[self.first_open..].iter();
        self.first_open += open.take_while(|sent| sent.state == State::Acknowledged).count();
        true
    }

    /// The server refused it: to be sent again.
    pub(super) fn refuse(&mut self, number: u32) {
        if let Some(sent) = self.messages.get_mut(number as usize)
            && sent.state == State::OnTheWay
        {
            sent.state = State::Waiting;
        }
    }

    /// The connection has ended: what was on its way is sent again.
    pub(super) fn disconnected(&mut self) {
        for sent in &mut self.messages[self.first_open..] {
            if sent.state == State::OnTheWay {
                sent.state = State::Waiting;
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// How many have no answer yet.
    pub(super) fn open(&self) -> u64 {
        self.messages.len() as u64 - self.acknowledged
    }
}

/// What one user has heard of the other.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// By the sender's numbers: the id under which each came.
    heard: Vec<Option<MessageId>>,
    /// Where looking for what is missing begins: what is missing before was given up.
    looked_from: usize,
    /// Messages, each counted once.
    pub(super) delivered: u64,
    /// Messages that came again under another id, so that they would be shown twice.
    pub(super) duplicated: u64,
    /// Messages that came again under the same id, which is no harm.
    pub(super) repeated: u64,
}

impl Inbox {
    /// Notes that a message came. Whether it is the first time.
    pub(super) fn add(&mut self, number: u32, id: MessageId) -> bool {
        let number = number as usize;
        if self.heard.len() <= number {
            self.heard.resize(number + 1, None);
        }
        match self.heard[number] {
            None => {
                self.heard[number] = Some(id);
                self.delivered += 1;
                return true;
            }
            Some(first) if first == id => self.repeated += 1,
            Some(_) => self.duplicated += 1,
        }
        false
    }

    fn has(&self, number: usize) -> bool {
        self.heard.get(number).is_some_and(Option::is_some)
    }

    /// What was acknowledged to the sender and has not come; what an earlier call named is not named again.
    pub(super) fn missing(&mut self, outbox: &Outbox) -> Vec<u32> {
        let acknowledged = outbox.messages.iter().enumerate().skip(self.looked_from);
        let acknowledged = acknowledged.filter(|(_, sent)| sent.state == State::Acknowledged);
        let missing = acknowledged.filter(|(number, _)| !self.has(*number));
        let missing = missing.map(|(number, _)| number as u32).collect();
        self.looked_from = outbox.first_open;
        missing
    }

    /// Takes what has come out of a list of what is missing.
    pub(super) fn strike(&self, missing: &mut Vec<u32>) {
        missing.retain(|number| !self.has(*number as usize));
    }

    /// How many were acknowledged and have never come.
    pub(super) fn lost(&self, outbox: &Outbox) -> u64 {
        let acknowledged = outbox.messages.iter().enumerate();
        let lost = acknowledged.filter(|(number, sent)| sent.state == State::Acknowledged && !self.has(*number));
        lost.count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> MessageId {
        MessageId::from_bytes([number; 12])
    }

    #[test]
    fn what_has_no_answer_is_sent_again_under_the_same_id() {
        let mut outbox = Outbox::default();
        for planned in [10, 20, 30] {
            outbox.add(planned);
        }
        let first: Vec<_> = std::iter::from_fn(|| outbox.next()).collect();
        assert_eq!(first.len(), 3);
        assert!(outbox.acknowledge(1) && !outbox.acknowledge(1) && !outbox.acknowledge(9));
        outbox.disconnected();
        let again: Vec<_> = std::iter::from_fn(|| outbox.next()).collect();
        assert_eq!(again, [first[0], first[2]]);
        outbox.refuse(0);
        assert_eq!((outbox.next(), outbox.next()), (Some(first[0]), None));
        assert!(outbox.acknowledge(0) && outbox.acknowledge(2));
        assert_eq!((outbox.open(), outbox.len()), (0, 3));
    }

    #[test]
    fn another_id_is_a_duplicate_and_the_same_one_is_not() {
        let mut inbox = Inbox::default();
        assert!(inbox.add(1, id(1)) && !inbox.add(1, id(1)) && !inbox.add(1, id(2)));
        assert_eq!((inbox.delivered, inbox.repeated, inbox.duplicated), (1, 1, 1));
    }

    #[test]
    fn what_is_missing_is_named_once_and_stays_lost() {
        let (mut outbox, mut inbox) = (Outbox::default(), Inbox::default());
        for planned in 0..4 {
            outbox.add(planned);
        }
        while outbox.next().is_some() {}
        for number in 0..3 {
            outbox.acknowledge(number);
        }
        inbox.add(0, id(0));
        let mut missing = inbox.missing(&outbox);
        assert_eq!(missing, [1, 2]);
        inbox.add(2, id(2));
        inbox.strike(&mut missing);
        assert_eq!(missing, [1]);
        assert!(inbox.missing(&outbox).is_empty(), "the last one has no answer");
        outbox.acknowledge(3);
        assert_eq!(inbox.missing(&outbox), [3]);
        assert_eq!(inbox.lost(&outbox), 2);
    }
}
