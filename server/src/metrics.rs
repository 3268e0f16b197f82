//! What the process counts of its work, for `GET /metrics`.
//!
//! A counter is one relaxed atomic addition and a histogram two: no lock, no allocation, and no label is looked up, because
//! each value of a label has its place. They are of the process, as every Prometheus client has them, so that no part has to be
//! handed them. No clock is read for a message: times are measured by the batch, and of one batch in [`TIMED_BATCHES`].
//! What can be computed (what waits, who is connected) is not counted; [`crate::transport::http::metrics`] reads it for a scrape.
//!
//! The library (`prometheus-client`) writes the page. Its histograms take a lock for each observation, so they are not used.

use std::fmt;

use shared::ErrorCode;

mod counter;
mod histogram;
mod limits;
mod page;
pub mod process;

pub use counter::{Counter, Counters, Gauge};
pub use histogram::{Histogram, Spread};
pub use limits::{Limit, LimitHits};
pub use page::{Format, Page, write};

/// One batch of so many is timed: what is stored alone is a batch, too, and would read a clock for each message.
pub const TIMED_BATCHES: u64 = 8;

/// How many error codes there are.
const CODES: usize = ErrorCode::ALL.len();

/// What a failure of the database is; their places are those of the counters.
pub const STORE_ERRORS: [&str; 5] = ["unavailable", "timeout", "failed", "foreign_index", "validator"];

/// What this process has counted.
pub static METRICS: Metrics = Metrics::new();

/// All that is counted.
#[derive(Debug)]
pub struct Metrics {
    /// Messages that were stored, of those whose senders were answered so.
    pub stored: Counter,
    /// Messages that had been stored before.
    pub duplicates: Counter,
    /// Messages that were refused or failed, by code.
    pub sends_refused: ByCode,
    /// Events of other kinds that were refused or failed, by code.
    pub events_refused: ByCode,
    /// Requests over HTTP that were refused or failed, by code.
    pub requests_refused: ByCode,
    /// Connections that were let in.
    pub handshakes: Counter,
    /// Connections that were not, by code.
    pub handshakes_refused: ByCode,
    /// Limits that were hit.
    pub limits: LimitHits,
    /// Failures of the database, in the order of [`STORE_ERRORS`].
    pub store_errors: Counters<{ STORE_ERRORS.len() }>,
    /// Heartbeats of the lease that were stored.
    pub heartbeats: Counter,
    /// Heartbeats that could not be.
    pub heartbeats_failed: Counter,
    /// When the last one was stored, in milliseconds since 1970.
    pub heartbeat_at: Gauge,
    /// Up to when what other programs wrote was read, in milliseconds since 1970; 0 where nobody else writes.
    pub polled_up_to: Gauge,
    /// Requests whose work panicked.
    pub panics: Counter,
    /// Messages of each batch.
    pub batch: Histogram,
    /// How long the store took for a batch.
    pub commit: Histogram,
    /// From the commit of a batch until the last of it was in the send buffers of its connections.
    pub delivery: Histogram,
    /// How long a client that came back was sent what it had missed.
    pub catch_up: Histogram,
}

impl Metrics {
    const fn new() -> Self {
        Self {
            stored: Counter::new(),
            duplicates: Counter::new(),
            sends_refused: ByCode::new(),
            events_refused: ByCode::new(),
            requests_refused: ByCode::new(),
            handshakes: Counter::new(),
            handshakes_refused: ByCode::new(),
            limits: LimitHits::new(),
            store_errors: Counters::new(),
            heartbeats: Counter::new(),
            heartbeats_failed: Counter::new(),
            heartbeat_at: Gauge::new(),
            polled_up_to: Gauge::new(),
            panics: Counter::new(),
            batch: Histogram::of_sizes(),
            commit: Histogram::of_times(),
            delivery: Histogram::of_times(),
            catch_up: Histogram::of_times(),
        }
    }

    /// Writes the families of what is counted.
    ///
    /// # Errors
    /// One could not be written.
    pub fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let outcomes = [("stored", &self.stored), ("duplicate", &self.duplicates)];
        let outcomes = outcomes.map(|(outcome, counter)| (outcome, counter.get()));
        page.counters(
            "chat_sends",
            "Messages that clients sent, by what they were answered: stored, duplicate, or a code of an error",
            "outcome",
            outcomes.into_iter().chain(self.sends_refused.get()),
        )?;
        page.counters(
            "chat_event_errors",
            "Other events of clients that were answered with an error, by its code",
            "code",
            self.events_refused.get(),
        )?;
        page.counters(
            "chat_http_errors",
            "HTTP requests that were answered with an error, by its code",
            "code",
            self.requests_refused.get(),
        )?;
        page.counter("chat_handshakes", "Connections that were let in", self.handshakes.get())?;
        page.counters(
            "chat_handshakes_refused",
            "Connections that were refused, by the code of the error",
            "code",
            self.handshakes_refused.get(),
        )?;
        page.counters(
            "chat_limit_hits",
            "What users and addresses did too often, by the setting that limits it",
            "limit",
            self.limits.get(),
        )?;
        page.counters(
            "chat_store_errors",
            "Failures that the database or its driver reported, also those after which it was tried again",
            "kind",
            STORE_ERRORS.into_iter().zip(self.store_errors.get()),
        )?;
        let heartbeats = [("stored", &self.heartbeats), ("failed", &self.heartbeats_failed)];
        page.counters(
            "chat_heartbeats",
            "Renewals of the lease that keeps presence true, by what became of them",
            "outcome",
            heartbeats.map(|(outcome, counter)| (outcome, counter.get())),
        )?;
        page.seconds(
            "chat_last_heartbeat_timestamp",
            "When the lease was last renewed, in seconds since 1970",
            self.heartbeat_at.get() as f64 / 1_000.0,
        )?;
        page.counter(
            "chat_request_panics",
            "Requests whose work panicked: a fault of the server, of which the log says more",
            self.panics.get(),
        )?;
        page.sizes(
            "chat_batch_messages",
            "Messages that were committed together",
            &self.batch,
        )?;
        page.times(
            "chat_commit",
            "How long the database took for a batch of messages, of one batch in 8",
            &self.commit,
        )?;
        page.times(
            "chat_delivery",
            "From the commit of a batch until all its messages were in the send buffers of their receivers, of one batch in 8",
            &self.delivery,
        )?;
        page.times(
            "chat_catch_up",
            "How long it took to send a client that came back what it had missed",
            &self.catch_up,
        )
    }
}

/// A counter for each error code.
#[derive(Debug)]
pub struct ByCode(Counters<CODES>);

impl ByCode {
    const fn new() -> Self {
        Self(Counters::new())
    }

    /// One more with this code.
    pub fn count(&self, code: ErrorCode) {
        // The codes stand in `ALL` in the order of their values.
        self.0.count(code as usize);
    }

    fn get(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let codes = ErrorCode::ALL.iter().map(|code| code.as_str());
        codes.zip(self.0.get())
    }
}

/// Says of every [`TIMED_BATCHES`]th batch that it is to be timed, beginning with the first.
#[derive(Debug, Default)]
pub struct Sampler(u64);

impl Sampler {
    /// Whether this one is to be timed.
    pub fn is_due(&mut self) -> bool {
        let due = self.0.is_multiple_of(TIMED_BATCHES);
        self.0 = self.0.wrapping_add(1);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_a_place_of_its_own() {
        let counted = ByCode::new();
        for (place, code) in ErrorCode::ALL.iter().enumerate() {
            (0..=place).for_each(|_| counted.count(*code));
        }
        for (place, (name, count)) in counted.get().enumerate() {
            assert_eq!((name, count), (ErrorCode::ALL[place].as_str(), place as u64 + 1));
        }
    }

    #[test]
    fn the_first_batch_is_timed_and_then_one_in_eight() {
        let mut sampler = Sampler::default();
        let timed: Vec<usize> = (0..20).filter(|_| sampler.is_due()).collect();
        assert_eq!(timed, [0, 8, 16]);
    }
}
