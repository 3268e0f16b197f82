//! Which spans of time are to be read, in which order, and what is known when each was.

use super::{SETTLED, SLICE, second};
use crate::storage::mongodb::window::HEARD;

/// How far back it looks for what is new, in milliseconds: most commits take less, and what took more is announced.
pub(super) const RECENT: i64 = 5_000;

// It looks once a second, and ids know whole seconds.
const _: () = assert!(RECENT >= HEARD + 2_000);

/// Something that is read as one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// From and to, in milliseconds; what is settled comes first.
    pub(super) spans: Vec<(i64, i64)>,
    /// From and to of the announcements that are read: of what is new also those that follow, since what was stored late was
    /// announced late, and is to be handed out before what was sent after it.
    pub(super) announced: Vec<(i64, i64)>,
    /// All before this is settled and read afterwards.
    pub(super) settled: i64,
    /// Up to where it has looked for what is new afterwards.
    pub(super) looked: i64,
}

/// What is to be read at the moment `now`, after everything before `settled` was read for good, and everything that could be
/// seen up to `looked` once. Usually that is one slice.
///
/// The last span ends far in the future: clocks differ.
pub(super) fn until(now: i64, settled: i64, looked: i64) -> Vec<Slice> {
    let end = second(now.saturating_sub(SETTLED)).max(settled);
    let recent = looked.min(now).saturating_sub(RECENT).max(end);
    if end - settled + (now - recent).max(0) <= SLICE + RECENT {
        let spans = vec![(settled, end), (recent, i64::MAX)];
        return vec![Slice {
            announced: spans.clone(),
            spans,
            settled: end,
            looked: now,
        }];
    }
    let pieces = |from: i64, to: i64| {
        let mut begin = from;
        std::iter::from_fn(move || {
            let piece = (begin < to).then(|| (begin, begin.saturating_add(SLICE).min(to)));
            begin = begin.saturating_add(SLICE);
            piece
        })
    };
    let mut slices: Vec<Slice> = pieces(settled, end)
        .map(|span| Slice {
            spans: vec![span],
            announced: vec![span],
            settled: span.1,
            looked,
        })
        .collect();
    // BackfillReader seconds, as ids have.
    slices.extend(pieces(second(recent), second(now)).map(|span| Slice {
        spans: vec![span],
        announced: vec![(span.0, i64::MAX)],
        settled: end,
        looked: span.1,
    }));
    let last = (second(now).max(second(recent)), i64::MAX);
    slices.push(Slice {
        spans: vec![last],
        announced: vec![last],
        settled: end,
        looked: now,
    });
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_one_slice() {
        let now = 1_000_000_400;
        let end = 1_000_000_000 - SETTLED;
        let spans = vec![(end - 1_000, end), (now - 1_000 - RECENT, i64::MAX)];
        let slice = Slice {
            announced: spans.clone(),
            spans,
            settled: end,
            looked: now,
        };
        assert_eq!(until(now, end - 1_000, now - 1_000), [slice]);
    }

    #[test]
    fn minutes_are_read_in_short_slices_without_a_gap() {
        let now = 1_000_000_400;
        for away in [3_000, 64_000, 66_000, 67_000, 600_000] {
            let settled = second(now - away - SETTLED);
            let slices = until(now, settled, now - away);
            let spans: Vec<(i64, i64)> = slices.iter().flat_map(|slice| slice.spans.clone()).collect();
            let (last, others) = spans.split_last().unwrap();
            assert_eq!((last.1, slices.last().unwrap().looked), (i64::MAX, now), "{away}");
            let mut read = settled;
            for (from, to) in others {
                // What is neither settled nor new was looked at before.
                let skipped = *from > read && read == second(now - SETTLED) && *from <= now - away - RECENT;
                assert!(*from == read || skipped, "{away}: {from} after {read}");
                assert!(to - from <= SLICE + RECENT, "{away}: {from} to {to}");
                read = *to;
            }
            assert!(last.0 <= read.max(now - away - RECENT), "{away}: {last:?} after {read}");
            let ends: Vec<i64> = slices.iter().map(|slice| slice.settled).collect();
            assert!(
                ends.is_sorted() && ends.last() == Some(&second(now - SETTLED)),
                "{away}"
            );
            for slice in &slices {
                assert!(slice.settled <= now - SETTLED);
                // Moved only by the span that ends there.
                let moves = slice.spans.iter().any(|(_, to)| *to == slice.settled);
                assert!(moves || slice.settled == second(now - SETTLED), "{away}");
            }
        }
    }
}
