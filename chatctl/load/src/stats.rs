//! What is counted while a load runs, one [`Stats`] per thread, added up at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies above this many microseconds (ten minutes) are recorded as this.
const MAX_LATENCY_MICROS: u64 = 600_000_000;

/// Durations to three digits, from a microsecond to ten minutes.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, MAX_LATENCY_MICROS, 3).expect("the bounds are sound"))
    }
}

impl Latencies {
    /// Adds one.
    pub fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(MAX_LATENCY_MICROS);
        self.0.saturating_record(micros.max(1));
    }

    /// Adds one, in nanoseconds.
    pub fn record_nanos(&mut self, nanos: u64) {
        self.record(Duration::from_nanos(nanos));
    }

    /// Adds all of another.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// The duration that a share of them, 0 to 1, did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(share))
    }

    /// The numbers for a report; none without any latency.
    pub fn summary(&self) -> Option<Summary> {
        let ms = |share| self.0.value_at_quantile(share) as f64 / 1_000.0;
        (!self.0.is_empty()).then(|| Summary {
            count: self.0.len(),
            mean_ms: self.0.mean() / 1_000.0,
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: self.0.max() as f64 / 1_000.0,
            curve: self.curve(),
        })
    }

    /// Points of the percentile curve, closer together towards its end, up to the last that a latency supports.
    fn curve(&self) -> Vec<(f64, f64)> {
        // Each step of 32 divides by ten the share of messages that took longer.
        let shares = (0..=192).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / 32.0));
        let last = 1.0 - 1.0 / self.0.len() as f64;
        shares
            .take_while(|share| *share <= last)
            .map(|share| (share, self.0.value_at_quantile(share) as f64 / 1_000.0))
            .collect()
    }
}

/// Latencies in a report.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// How many there were.
    pub count: u64,
    /// Their mean, in milliseconds.
    pub mean_ms: f64,
    /// What half of them did not exceed.
    pub p50_ms: f64,
    /// What 90 % did not exceed.
    pub p90_ms: f64,
    /// What 99 % did not exceed.
    pub p99_ms: f64,
    /// What 99.9 % did not exceed.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Pairs of a share, 0 to 1, and the milliseconds that it did not exceed.
    pub curve: Vec<(f64, f64)>,
}

/// What happened inside the window that is measured.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Messages acknowledged inside the window.
    pub acknowledged: u64,
    /// Messages delivered inside the window.
    pub delivered: u64,
    /// From sending to the acknowledgement, for messages sent inside the window.
    pub ack: Latencies,
    /// From sending to the delivery, for messages sent inside the window.
    pub delivery: Latencies,
    /// From sending until the receiver was told how the conversation stands with the message, for messages sent inside the
    /// window.
    pub told: Latencies,
    /// How much later than planned this program itself sent, in an open loop.
    pub lag: Latencies,
}

impl Measured {
    /// Adds all of another.
    pub fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.delivered += other.delivered;
        self.ack.add(&other.ack);
        self.delivery.add(&other.delivery);
        self.told.add(&other.told);
        self.lag.add(&other.lag);
    }
}

/// Counters of the whole run, with warm-up and drain.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Sendings, repetitions included.
    pub sent: u64,
    /// Answered as done.
    pub acknowledged: u64,
    /// Answered with an error.
    pub refused: u64,
    /// Sendings that repeat a refused one.
    pub retried: u64,
    /// Messages that reached their receiver, each counted once.
    pub delivered: u64,
    /// Of those, messages that their receiver's conversation was not told with (`conversation_updated`).
    pub untold: u64,
    /// Events that were meant for somebody else, or came from outside of this run.
    pub foreign: u64,
    /// Answers to what had been answered before, or never asked.
    pub surplus_answers: u64,
    /// Error answers by their code, and connections that broke (`disconnected`).
    pub errors: BTreeMap<String, u64>,
}

impl Counters {
    /// Adds all of another.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.retried += other.retried;
        self.delivered += other.delivered;
        self.untold += other.untold;
        self.foreign += other.foreign;
        self.surplus_answers += other.surplus_answers;
        for (code, count) in &other.errors {
            self.error(code, *count);
        }
    }

    /// Counts errors of a code.
    pub fn error(&mut self, code: &str, count: u64) {
        match self.errors.get_mut(code) {
            Some(sum) => *sum += count,
            None => {
                self.errors.insert(code.to_owned(), count);
            }
        }
    }
}

/// All that one thread counts.
#[derive(Debug, Default)]
pub struct Stats {
    /// Of the whole run.
    pub counters: Counters,
    /// Of the window that is measured.
    pub measured: Measured,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_hold_three_digits() {
        let mut latencies = Latencies::default();
        assert!(latencies.summary().is_none());
        for ms in 1..=1_000 {
            latencies.record(Duration::from_millis(ms));
        }
        let summary = latencies.summary().unwrap();
        let close = |value: f64, expected: f64| (value - expected).abs() <= expected * 0.002;
        assert_eq!(summary.count, 1_000);
        assert!(
            close(summary.p50_ms, 500.0) && close(summary.p99_ms, 990.0),
            "{summary:?}"
        );
        assert!(
            close(summary.p999_ms, 999.0) && close(summary.max_ms, 1_000.0),
            "{summary:?}"
        );
        let (share, ms) = *summary.curve.last().unwrap();
        assert!(share <= 0.999 && close(ms, 999.0), "{share} {ms}");
    }

    #[test]
    fn endless_latencies_are_kept() {
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_secs(86_400));
        assert!(latencies.quantile(1.0) >= Duration::from_secs(599));
    }
}
