//! Runs: the numbers of the messages of one segment that concern a user, packed into a row of the feed.
//!
//! Each number takes two bytes, its place in the segment. A step of the projection writes one run for each user and
//! segment, however many messages it stands for; a user's runs can overlap if a step was repeated.

use rusqlite::Connection;
use shared::UserId;

/// Bits of a number that distinguish the messages of one segment of the feed: 16,384 messages.
const SEGMENT_BITS: u32 = 14;

pub(super) const OF_USER: &str = "SELECT numbers FROM feed WHERE segment = ?1 AND user = ?2";

/// The segment of the feed that a number belongs to.
pub(super) const fn segment(number: i64) -> i64 {
    number >> SEGMENT_BITS
}

/// The key of a row of the feed: segment, user, the first number of the run.
pub(super) type FeedKey = (i64, UserId, i64);

/// A row of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) segment: i64,
    pub(super) user: UserId,
    /// In their order; never empty.
    pub(super) numbers: Vec<i64>,
}

impl Run {
    /// The runs of these numbers of users, which must be in the order of segments, users and numbers.
    pub(super) fn all(numbers: &[(i64, UserId, i64)]) -> Vec<Self> {
        let same = |one: &FeedKey, other: &FeedKey| (one.0, one.1) == (other.0, other.1);
        numbers
            .chunk_by(same)
            .map(|run| Self {
                segment: run[0].0,
                user: run[0].1,
                numbers: run.iter().map(|(_, _, number)| *number).collect(),
            })
            .collect()
    }

    /// As it is stored.
    pub(super) fn pack(&self) -> Vec<u8> {
        let begin = self.segment << SEGMENT_BITS;
        let place = |number: &i64| u16::try_from(number - begin).unwrap_or(u16::MAX).to_be_bytes();
        self.numbers.iter().flat_map(place).collect()
    }
}

/// The numbers of a stored run. A number that is not of the segment is left out.
pub(super) fn unpack(segment: i64, packed: &[u8]) -> impl Iterator<Item = i64> {
    let number = move |place: &[u8; 2]| (segment << SEGMENT_BITS) + i64::from(u16::from_be_bytes(*place));
    let (places, _) = packed.as_chunks();
    places
        .iter()
        .map(number)
        .filter(move |number| self::segment(*number) == segment)
}

/// The numbers of a segment that the feed of a user holds, in their order.
pub(super) fn numbers(connection: &Connection, segment: i64, user: UserId) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(OF_USER)?;
    let mut rows = statement.query((segment, user.bytes()))?;
    let mut numbers = Vec::new();
    while let Some(row) = rows.next()? {
        numbers.extend(unpack(segment, row.get_ref(0)?.as_blob()?));
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_hold_what_they_were_made_of() {
        let [ada, bob] = [1, 2].map(|byte| UserId::from_bytes([byte; 12]));
        let numbers = [
            (0, ada, 1),
            (0, ada, 16_383),
            (0, bob, 7),
            (1, ada, 16_384),
            (1, ada, 16_390),
        ];
        assert!(numbers.iter().all(|(of, _, number)| segment(*number) == *of));
        let runs = Run::all(&numbers);
        assert_eq!(runs.len(), 3);
        for run in runs {
            assert_eq!(unpack(run.segment, &run.pack()).collect::<Vec<_>>(), run.numbers);
        }
        assert_eq!(unpack(3, &[0xff, 0xff, 1]).count(), 0);
    }
}
