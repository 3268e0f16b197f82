//! Which spans of time are to be read, in which order, and what is known when each was.

use super::{MAX_SLICE, SETTLE_DELAY, second};
use crate::storage::mongodb::window::MAX_PROMPT_AGE;

/// How far back each poll reads what is new, in milliseconds: most commits take less, and what took more is announced.
pub(super) const LOOKBACK: i64 = 5_000;

// It polls once a second, and ids hold whole seconds.
const _: () = assert!(LOOKBACK >= MAX_PROMPT_AGE + 2_000);

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
    /// Up to where it has read what is new afterwards.
    pub(super) polled: i64,
}

/// What is to be read at the moment `now`, after everything before `settled` was read for good, and everything that could be
/// seen up to `polled` once. Usually that is one slice.
///
/// The last span ends far in the future: clocks differ.
pub(super) fn until(now: i64, settled: i64, polled: i64) -> Vec<Slice> {
    let end = second(now.saturating_sub(SETTLE_DELAY)).max(settled);
    let recent = polled.min(now).saturating_sub(LOOKBACK).max(end);
    if end - settled + (now - recent).max(0) <= MAX_SLICE + LOOKBACK {
        let spans = vec![(settled, end), (recent, i64::MAX)];
        return vec![Slice {
            announced: spans.clone(),
            spans,
            settled: end,
            polled: now,
        }];
    }
    let pieces = |from: i64, to: i64| {
        let mut begin = from;
        std::iter::from_fn(move || {
            let piece = (begin < to).then(|| (begin, begin.saturating_add(MAX_SLICE).min(to)));
            begin = begin.saturating_add(MAX_SLICE);
            piece
        })
    };
    let mut slices: Vec<Slice> = pieces(settled, end)
        .map(|span| Slice {
            spans: vec![span],
            announced: vec![span],
            settled: span.1,
            polled,
        })
        .collect();
    // Whole seconds, as ids have.
    slices.extend(pieces(second(recent), second(now)).map(|span| Slice {
        spans: vec![span],
        announced: vec![(span.0, i64::MAX)],
        settled: end,
        polled: span.1,
    }));
    let last = (second(now).max(second(recent)), i64::MAX);
    slices.push(Slice {
        spans: vec![last],
        announced: vec![last],
        settled: end,
        polled: now,
    });
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_one_slice() {
        let now = 1_000_000_400;
        let end = 1_000_000_000 - SETTLE_DELAY;
        let spans = vec![(end - 1_000, end), (now - 1_000 - LOOKBACK, i64::MAX)];
        let slice = Slice {
            announced: spans.clone(),
            spans,
            settled: end,
            polled: now,
        };
        assert_eq!(until(now, end - 1_000, now - 1_000), [slice]);
    }

    #[test]
    fn minutes_are_read_in_short_slices_without_a_gap() {
        let now = 1_000_000_400;
        for away in [3_000, 64_000, 66_000, 67_000, 600_000] {
            let settled = second(now - away - SETTLE_DELAY);
            let slices = until(now, settled, now - away);
            let spans: Vec<(i64, i64)> = slices.iter().flat_map(|slice| slice.spans.clone()).collect();
            let (last, others) = spans.split_last().unwrap();
            assert_eq!((last.1, slices.last().unwrap().polled), (i64::MAX, now), "{away}");
            let mut read = settled;
            for (from, to) in others {
                // What is neither settled nor new was read before.
                let skipped = *from > read && read == second(now - SETTLE_DELAY) && *from <= now - away - LOOKBACK;
                assert!(*from == read || skipped, "{away}: {from} after {read}");
                assert!(to - from <= MAX_SLICE + LOOKBACK, "{away}: {from} to {to}");
                read = *to;
            }
            assert!(
                last.0 <= read.max(now - away - LOOKBACK),
                "{away}: {last:?} after {read}"
            );
            let ends: Vec<i64> = slices.iter().map(|slice| slice.settled).collect();
            assert!(
                ends.is_sorted() && ends.last() == Some(&second(now - SETTLE_DELAY)),
                "{away}"
            );
            for slice in &slices {
                assert!(slice.settled <= now - SETTLE_DELAY);
                // Moved only by the span that ends there.
                let moves = slice.spans.iter().any(|(_, to)| *to == slice.settled);
                assert!(moves || slice.settled == second(now - SETTLE_DELAY), "{away}");
            }
        }
    }
}
