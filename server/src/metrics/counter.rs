//! Counters: one relaxed atomic addition each, with no lock and nothing to look up.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often something happened since the start of the process.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Zero.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// It happened once more.
    pub fn count(&self) {
        self.add(1);
    }

    /// It happened so many times more.
    pub fn add(&self, times: u64) {
        self.0.fetch_add(times, Ordering::Relaxed);
    }

    /// How often it happened.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One counter for each of `N` values of a label. Its place among them names a value, so that counting looks nothing up.
#[derive(Debug)]
pub struct Counters<const N: usize>([Counter; N]);

impl<const N: usize> Counters<N> {
    /// All zero.
    pub const fn new() -> Self {
        Self([const { Counter::new() }; N])
    }

    /// What has this place happened once more. A place that is none counts nothing.
    pub fn count(&self, place: usize) {
        if let Some(counter) = self.0.get(place) {
            counter.count();
        }
    }

    /// How often each happened, in the order of the places.
    pub fn get(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(Counter::get)
    }
}

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// A number that goes up and down, or that is set: the last one that was set is read.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Zero.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// It is this now.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What it is.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
