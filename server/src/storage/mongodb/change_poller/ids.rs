//! Ranges of ids that leave out those that this process made itself.

use std::sync::OnceLock;

use bson::oid::ObjectId;
use bson::{Document, doc};
use shared::MessageId;

/// In a span of more seconds than this the own ids are read, too, instead of being stepped over in each second.
const MAX_SKIPPED_SECONDS: u32 = 120;
/// Own ids may be of a moment that the clock has not reached: the generator never goes back.
const MAX_AHEAD: u32 = 2;

/// The five bytes after the seconds, by which a process's ids are known.
#[derive(Debug, Default)]
pub(super) struct OwnIds {
    bytes: OnceLock<[u8; 5]>,
}

impl OwnIds {
    /// Takes them from an id of this process.
    pub(super) fn set(&self, id: MessageId) {
        self.bytes.get_or_init(|| process(&id.bytes()));
    }

    /// The bytes, if this process has made an id.
    pub(super) fn bytes(&self) -> Option<[u8; 5]> {
        self.bytes.get().copied()
    }

    /// Whether this process made an id.
    pub(super) fn is_own(&self, id: &ObjectId) -> bool {
        self.bytes.get() == Some(&process(&id.bytes()))
    }

    /// Filters for the ids of a span of seconds, its end excluded. They leave out those of this process, except where these lie
    /// too far in the future of `now`.
    pub(super) fn ranges(&self, from: u32, to: u32, now: u32) -> Vec<Document> {
        if from >= to {
            return Vec::new();
        }
        let end = to.min(now.saturating_add(MAX_AHEAD)).max(from);
        let Some(own) = self.bytes.get().filter(|_| end - from <= MAX_SKIPPED_SECONDS) else {
            return vec![range(from, to)];
        };
        let mut ranges = Vec::new();
        let mut start = smallest(from);
        for second in from..end {
            let mut id = [0; 12];
            id[..4].copy_from_slice(&second.to_be_bytes());
            id[4..9].copy_from_slice(own);
            ranges.push(doc! { "_id": { "$gte": start, "$lt": ObjectId::from_bytes(id) } });
            id[9..].fill(0xff);
            start = ObjectId::from_bytes(id);
        }
        ranges.push(open(start, to));
        ranges
    }
}

/// All ids of a span of seconds, its end excluded.
pub(super) fn range(from: u32, to: u32) -> Document {
    open(smallest(from), to)
}

/// Leaves of ranges what lies after an id that was reached.
pub(super) fn advance(ranges: &mut Vec<Document>, last: ObjectId) {
    ranges.retain_mut(|range| {
        let Ok(bounds) = range.get_document_mut("_id") else {
            return false;
        };
        if bounds.get_object_id("$lt").is_ok_and(|end| end <= last) {
            return false;
        }
        if bounds.get_object_id("$gte").is_ok_and(|start| start <= last) {
            bounds.remove("$gte");
            bounds.insert("$gt", last);
        } else if bounds.get_object_id("$gt").is_ok_and(|start| start < last) {
            bounds.insert("$gt", last);
        }
        true
    });
}

fn open(start: ObjectId, to: u32) -> Document {
    match to {
        u32::MAX => doc! { "_id": { "$gte": start } },
        to => doc! { "_id": { "$gte": start, "$lt": smallest(to) } },
    }
}

fn smallest(second: u32) -> ObjectId {
    let mut id = [0; 12];
    id[..4].copy_from_slice(&second.to_be_bytes());
    ObjectId::from_bytes(id)
}

/// The bytes by which the process that made an id is known.
pub(super) fn process(id: &[u8; 12]) -> [u8; 5] {
    let mut bytes = [0; 5];
    bytes.copy_from_slice(&id[4..9]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(second: u32, process: u8, counter: u8) -> ObjectId {
        let mut bytes = [process; 12];
        bytes[..4].copy_from_slice(&second.to_be_bytes());
        bytes[9..].fill(counter);
        ObjectId::from_bytes(bytes)
    }

    fn finds(ranges: &[Document], id: ObjectId) -> bool {
        ranges.iter().any(|range| {
            let range = range.get_document("_id").unwrap();
            let end = range.get_object_id("$lt").ok();
            range.get_object_id("$gte").unwrap() <= id && end.is_none_or(|end| id < end)
        })
    }

    #[test]
    fn advance_past_what_was_read() {
        let own = OwnIds::default();
        own.set(MessageId::from_bytes(id(7, 5, 0).bytes()));
        let mut ranges = own.ranges(100, u32::MAX, 103);
        for last in [id(101, 4, 0), id(101, 4, 1), id(102, 6, 3)] {
            advance(&mut ranges, last);
            assert!(!ranges.is_empty());
            let greater = |range: &Document| {
                let range = range.get_document("_id").unwrap();
                let after = range.get_object_id("$gt").is_ok_and(|start| start == last);
                after || range.get_object_id("$gte").is_ok_and(|start| start > last)
            };
            assert!(ranges.iter().all(greater), "{last}: {ranges:?}");
        }
        let mut whole = vec![range(100, 101)];
        advance(&mut whole, id(100, 255, 255));
        assert_eq!(whole.len(), 1, "there may be more in that second");
        advance(&mut whole, id(101, 0, 0));
        assert!(whole.is_empty());
    }

    #[test]
    fn find_all_but_the_own() {
        let own = OwnIds::default();
        assert_eq!(own.ranges(100, 101, 200), [range(100, 101)]);
        own.set(MessageId::from_bytes(id(7, 5, 0).bytes()));
        let ranges = own.ranges(100, u32::MAX, 103);
        for second in [99, 100, 101, 102, 103, 104, 105, 4_000_000_000] {
            for process in [0, 4, 5, 6, 255] {
                for counter in [0, 1, 254] {
                    let own = process == 5 && second < 105;
                    let expected = second >= 100 && !own;
                    let id = id(second, process, counter);
                    assert_eq!(finds(&ranges, id), expected, "{second} {process} {counter}");
                }
            }
        }
    }
}
