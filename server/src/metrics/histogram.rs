//! Histograms: an observation is two relaxed atomic additions, with no lock and no allocation.
//!
//! The library's own takes a lock for each; hence this one, which the library writes out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Most bounds of a histogram.
const MAX_BOUNDS: usize = 23;

/// How values are spread: how many were up to each bound, and their sum.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// So many of what is observed are one of what is shown.
    scale: u64,
    /// One for each bound, and after them one for what is beyond the last.
    counts: [AtomicU64; MAX_BOUNDS + 1],
    sum: AtomicU64,
}

/// A histogram as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// The upper bound of each bucket, the last one infinite, and how many were in it and in none before it.
    pub buckets: Vec<(f64, u64)>,
    /// Of all values.
    pub sum: f64,
    /// How many values there were.
    pub count: u64,
}

/// Bounds of times from 0.1 ms to 60 s, in microseconds.
const TIMES: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 20_000_000, 60_000_000,
];

/// Bounds of the messages of a batch.
const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

impl Histogram {
    /// Of times, shown in seconds.
    pub const fn of_times() -> Self {
        Self::new(TIMES, 1_000_000)
    }

    /// Of the messages of a batch.
    pub const fn of_sizes() -> Self {
        Self::new(SIZES, 1)
    }

    const fn new(bounds: &'static [u64], scale: u64) -> Self {
        assert!(bounds.len() <= MAX_BOUNDS, "too many bounds");
        Self {
            bounds,
            scale,
            counts: [const { AtomicU64::new(0) }; MAX_BOUNDS + 1],
            sum: AtomicU64::new(0),
        }
    }

    /// Observes how long something took.
    pub fn observe_time(&self, took: Duration) {
        self.observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Observes a value.
    pub fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What was observed. An observation that is under way may be in one number and not yet in another.
    pub fn get(&self) -> Spread {
        let scale = self.scale as f64;
        let bounds = self.bounds.iter().map(|bound| *bound as f64 / scale);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        Spread {
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
            sum: self.sum.load(Ordering::Relaxed) as f64 / scale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let sizes = Histogram::of_sizes();
        for value in [0, 1, 2, 3, 512, 513] {
            sizes.observe(value);
        }
        let Spread { buckets, sum, count } = sizes.get();
        let filled: Vec<(f64, u64)> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(1.0, 2), (2.0, 1), (4.0, 1), (512.0, 1), (f64::INFINITY, 1)]);
        assert_eq!((sum, count), (1031.0, 6));
    }

    #[test]
    fn times_are_shown_in_seconds() {
        let times = Histogram::of_times();
        times.observe_time(Duration::from_millis(1));
        times.observe_time(Duration::from_secs(90));
        let Spread { buckets, sum, count } = times.get();
        assert!(buckets.contains(&(0.001, 1)) && buckets.contains(&(f64::INFINITY, 1)));
        assert_eq!((sum, count), (90.001, 2));
    }
}
