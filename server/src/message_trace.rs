//! What happened to recent messages, for `GET /admin/trace/{id}`: a ring of fixed size that no message waits for.
//!
//! Recording is one addition to a counter and some stores into a place of the ring: no lock, no allocation. What is recorded is
//! 12 bytes of the message's id, a time and a number; never a text. The newest records are kept until the ring has gone round, and
//! shown for [`TTL_MS`].

use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use shared::trace::TraceEvent;
use shared::{MessageId, Timestamp};

use crate::clock;

/// Places of the ring, each of 40 bytes: 2.5 MiB. A message takes 2 and one for each connection that is sent it.
const PLACES: usize = 1 << 16;

/// How long a record is shown.
const TTL_MS: i64 = 60 * 60 * 1_000;

/// The codes of events, by their place here.
const EVENTS: [TraceEvent; 10] = [
    TraceEvent::Received,
    TraceEvent::Refused,
    TraceEvent::Repeated,
    TraceEvent::Committed,
    TraceEvent::NotCommitted,
    TraceEvent::Sent,
    TraceEvent::SentToSender,
    TraceEvent::Dropped,
    TraceEvent::NotConnected,
    TraceEvent::NobodyHere,
];

/// One place of the ring.
#[derive(Debug, Default)]
struct Place {
    /// The number of the record that is here, from 1; 0 while it is written.
    number: AtomicU64,
    /// The id's first eight bytes, and its last four with the event.
    id: [AtomicU64; 2],
    at: AtomicU64,
    detail: AtomicU64,
}

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Of which message.
    pub message: MessageId,
    /// What happened.
    pub event: TraceEvent,
    /// When.
    pub at: Timestamp,
    /// A connection's number, or the fingerprint of a `clientMessageId`; 0 if there is none.
    pub detail: u64,
}

/// What happened to recent messages.
#[derive(Debug)]
pub struct MessageTrace {
    places: Box<[Place]>,
    /// How many records there were.
    count: AtomicU64,
}

impl Default for MessageTrace {
    fn default() -> Self {
        Self {
            places: (0..PLACES).map(|_| Place::default()).collect(),
            count: AtomicU64::new(0),
        }
    }
}

impl MessageTrace {
    /// Records what happened just now.
    pub fn record(&self, message: MessageId, event: TraceEvent, detail: u64) {
        self.record_at(message, event, clock::now(), detail);
    }

    /// Records what happened at a time that is known already.
    pub fn record_at(&self, message: MessageId, event: TraceEvent, at: Timestamp, detail: u64) {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let place = &self.places[number as usize % PLACES];
        let [first, last] = halves(message);
        // Two writers meet in one place only if one of them stands still while the ring goes round once: then a record is wrong,
        // which is no harm to any message.
        place.number.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        place.id[0].store(first, Ordering::Relaxed);
        place.id[1].store(last << 32 | event as u64, Ordering::Relaxed);
        place.at.store(at.millis() as u64, Ordering::Relaxed);
        place.detail.store(detail, Ordering::Relaxed);
        place.number.store(number + 1, Ordering::Release);
    }

    /// The records of a message, oldest first, at most `limit`, and whether there are more.
    pub fn of(&self, message: MessageId, limit: usize) -> (Vec<Record>, bool) {
        let mut found: Vec<(u64, Record)> = self.records().filter(|(_, record)| record.message == message).collect();
        found.sort_unstable_by_key(|(number, _)| *number);
        let more = found.len() > limit;
        (found.into_iter().take(limit).map(|(_, record)| record).collect(), more)
    }

    /// The message that came last with this `clientMessageId`.
    pub fn by_client_id(&self, client_message_id: &str) -> Option<MessageId> {
        let wanted = fingerprint(client_message_id);
        let received = |record: &Record| matches!(record.event, TraceEvent::Received | TraceEvent::Repeated);
        let found = self
            .records()
            .filter(|(_, record)| received(record) && record.detail == wanted);
        found
            .max_by_key(|(number, _)| *number)
            .map(|(_, record)| record.message)
    }

    /// When the oldest record was made, if there were more before it.
    pub fn remembers_since(&self) -> Option<Timestamp> {
        let has_forgotten = self.count.load(Ordering::Relaxed) > PLACES as u64;
        let oldest = clock::now().millis() - TTL_MS;
        let since = || self.records().map(|(_, record)| record.at).min();
        has_forgotten
            .then(since)
            .flatten()
            .map(|at| at.max(Timestamp::from_millis(oldest)))
    }

    fn records(&self) -> impl Iterator<Item = (u64, Record)> + '_ {
        let oldest = clock::now().millis() - TTL_MS;
        self.places
            .iter()
            .filter_map(Place::read)
            .filter(move |(_, record)| record.at.millis() >= oldest)
    }
}

impl Place {
    /// What is here; none while it is empty or being written.
    fn read(&self) -> Option<(u64, Record)> {
        let number = self.number.load(Ordering::Acquire);
        let id = [self.id[0].load(Ordering::Relaxed), self.id[1].load(Ordering::Relaxed)];
        let (at, detail) = (self.at.load(Ordering::Relaxed), self.detail.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        if number == 0 || self.number.load(Ordering::Relaxed) != number {
            return None;
        }
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&id[0].to_be_bytes());
        bytes[8..].copy_from_slice(&((id[1] >> 32) as u32).to_be_bytes());
        let record = Record {
            message: MessageId::from_bytes(bytes),
            event: *EVENTS.get((id[1] & 0xff) as usize)?,
            at: Timestamp::from_millis(at as i64),
            detail,
        };
        Some((number, record))
    }
}

/// An id as two numbers, of its first eight bytes and of its last four.
fn halves(id: MessageId) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = id.bytes();
    [
        u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        u64::from(u32::from_be_bytes([i, j, k, l])),
    ]
}

/// By what a `clientMessageId` is found; never 0.
pub fn fingerprint(client_message_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(client_message_id.as_bytes());
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    fn id(number: u32) -> MessageId {
        let mut bytes = [7; 12];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        MessageId::from_bytes(bytes)
    }

    #[test]
    fn every_event_has_the_code_of_its_place() {
        for (code, event) in EVENTS.iter().enumerate() {
            assert_eq!(*event as usize, code, "{event:?}");
        }
    }

    #[test]
    fn records_of_one_message_are_found_in_order() {
        let trace = MessageTrace::default();
        trace.record(id(1), TraceEvent::Received, fingerprint("mine"));
        trace.record(id(2), TraceEvent::Received, 0);
        trace.record(id(1), TraceEvent::Committed, 0);
        trace.record(id(1), TraceEvent::Sent, 42);
        let (records, more) = trace.of(id(1), 10);
        let events: Vec<_> = records.iter().map(|record| (record.event, record.detail)).collect();
        let expected = [
            (TraceEvent::Received, fingerprint("mine")),
            (TraceEvent::Committed, 0),
            (TraceEvent::Sent, 42),
        ];
        assert_eq!((events.as_slice(), more), (expected.as_slice(), false));
        assert_eq!(trace.of(id(1), 2).0.len(), 2);
        assert!(trace.of(id(1), 2).1);
        assert_eq!(
            (trace.by_client_id("mine"), trace.by_client_id("other")),
            (Some(id(1)), None)
        );
        assert_eq!(trace.remembers_since(), None);
    }

    #[test]
    fn what_is_old_is_forgotten_and_that_is_told() {
        let trace = MessageTrace::default();
        let old = Timestamp::from_millis(clock::now().millis() - TTL_MS - 1);
        trace.record_at(id(1), TraceEvent::Received, old, 0);
        assert!(trace.of(id(1), 10).0.is_empty());
        trace.record(id(2), TraceEvent::Received, 0);
        for number in 0..PLACES as u32 {
            trace.record(id(1_000 + number), TraceEvent::Received, 0);
        }
        assert!(trace.of(id(2), 10).0.is_empty() && trace.remembers_since().is_some());
        assert_eq!(trace.records().count(), PLACES);
    }

    #[test]
    fn readers_see_whole_records_while_others_write() {
        let trace = Arc::new(MessageTrace::default());
        let writers = (0..4_u32).map(|writer| {
            let trace = Arc::clone(&trace);
            thread::spawn(move || {
                for number in 0..50_000 {
                    trace.record(
                        id(writer * 1_000_000 + number),
                        TraceEvent::Sent,
                        u64::from(writer * 1_000_000 + number),
                    );
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        for _ in 0..20 {
            for (_, record) in trace.records() {
                assert_eq!(record.message, id(record.detail as u32));
            }
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    }
}
