//! What is counted and timed while the run goes on, for the line at the terminal and the report.

use std::collections::BTreeMap;
use std::time::Duration;

use chatctl_load::stats::Latencies;
use serde::Serialize;

/// How much happened.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    /// Messages that were meant to be sent.
    pub(crate) messages: u64,
    /// Messages that were acknowledged, each counted once.
    pub(crate) acknowledged: u64,
    /// Sendings of a message that had not been acknowledged.
    pub(crate) retried: u64,
    /// Sendings of a message that had.
    pub(crate) resent: u64,
    /// Acknowledgements with `duplicate: true`.
    pub(crate) duplicates: u64,
    /// Acknowledged marks.
    pub(crate) marks: u64,
    /// Acknowledged changes of settings.
    pub(crate) settings: u64,
    /// Connections, the first of each device included.
    pub(crate) connects: u64,
    /// Tries to connect that failed.
    pub(crate) connects_failed: u64,
    /// Connections that the devices cut off.
    pub(crate) cuts: u64,
    /// Cuts after which a device went on from what it had saved.
    pub(crate) crashes: u64,
    /// Connections that ended otherwise.
    pub(crate) disconnects: u64,
    /// Connections that were given up because something was not answered in time.
    pub(crate) timeouts: u64,
    /// Times that a device had caught up.
    pub(crate) catch_ups: u64,
    /// Answers to `sync`.
    pub(crate) pages: u64,
    /// Messages heard, by all devices.
    pub(crate) heard: u64,
    /// Those of them that the device had already.
    pub(crate) twice: u64,
    /// Error answers by their code.
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Counts {
    /// Counts an error answer.
    pub(crate) fn error(&mut self, code: &str) {
        *self.errors.entry(code.to_owned()).or_default() += 1;
    }
}

/// One second of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Second {
    /// Messages acknowledged in it.
    pub(crate) acknowledged: u64,
    /// Devices that had caught up, the fewest of any moment in it that was looked at.
    pub(crate) connected: usize,
    /// Of the acknowledgements that came in it: what half of them did not exceed since the first sending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ms: Option<f64>,
    /// What 99 % did not exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<f64>,
    /// The longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_ms: Option<f64>,
}

/// Everything counted and timed. Times are microseconds since the run began.
#[derive(Debug, Default)]
pub(crate) struct Measurements {
    /// How much happened.
    pub(crate) counts: Counts,
    /// From the first sending to the acknowledgement.
    pub(crate) ack: Latencies,
    /// From the first sending to the delivery at a device that had caught up.
    pub(crate) delivery: Latencies,
    /// From the begin of a connection until the device had caught up.
    pub(crate) catch_up: Latencies,
    /// Why a device could not connect, the last time that one couldn't.
    pub(crate) trouble: Option<String>,
    seconds: Vec<Second>,
    /// The latencies of the second that is going on.
    current: Vec<u64>,
    last_ack: u64,
    longest_pause: u64,
}

impl Measurements {
    /// The traffic begins: what came before is no pause.
    pub(crate) fn begin(&mut self, now: u64) {
        self.last_ack = now;
    }

    /// The first acknowledgement of a message, and how long after its first sending.
    pub(crate) fn acknowledged(&mut self, now: u64, after: u64) {
        self.advance_to(now);
        self.counts.acknowledged += 1;
        self.ack.record(Duration::from_micros(after));
        self.current.push(after);
        if let Some(second) = self.seconds.last_mut() {
            second.acknowledged += 1;
        }
        self.end_pause(now);
    }

    /// The traffic ends, or an acknowledgement ends a pause.
    pub(crate) fn end_pause(&mut self, now: u64) {
        self.longest_pause = self.longest_pause.max(now.saturating_sub(self.last_ack));
        self.last_ack = now;
    }

    /// How many devices have caught up now.
    pub(crate) fn connected(&mut self, now: u64, devices: usize) {
        self.advance_to(now);
        if let Some(second) = self.seconds.last_mut() {
            second.connected = second.connected.min(devices);
        }
    }

    /// Completes the seconds that are over.
    fn advance_to(&mut self, now: u64) {
        let second = usize::try_from(now / 1_000_000).unwrap_or(usize::MAX);
        while self.seconds.len() <= second {
            self.complete();
            let connected = usize::MAX;
            self.seconds.push(Second {
                connected,
                ..Second::default()
            });
        }
    }

    fn complete(&mut self) {
        let mut latencies = std::mem::take(&mut self.current);
        let Some(second) = self.seconds.last_mut() else {
            return;
        };
        latencies.sort_unstable();
        let at = |share: f64| {
            let rank = (latencies.len() as f64 * share).ceil() as usize;
            latencies.get(rank.max(1) - 1).map(|micros| *micros as f64 / 1_000.0)
        };
        (second.p50_ms, second.p99_ms, second.max_ms) = (at(0.5), at(0.99), at(1.0));
    }

    /// The seconds, the last one included.
    pub(crate) fn seconds(&mut self) -> Vec<Second> {
        self.complete();
        let mut seconds = self.seconds.clone();
        // A second at which nobody looked had as many as the one before.
        let mut before = 0;
        for second in &mut seconds {
            if second.connected == usize::MAX {
                second.connected = before;
            }
            before = second.connected;
        }
        seconds
    }

    /// The longest time without an acknowledgement.
    pub(crate) fn longest_pause(&self) -> Duration {
        Duration::from_micros(self.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_hold_what_happened_in_them() {
        let mut measurements = Measurements::default();
        measurements.begin(100_000);
        for (at, after) in [
            (200_000, 1_000),
            (300_000, 3_000),
            (400_000, 2_000),
            (2_900_000, 50_000),
        ] {
            measurements.acknowledged(at, after);
        }
        measurements.connected(2_950_000, 9);
        measurements.connected(2_960_000, 7);
        let seconds = measurements.seconds();
        let acknowledged: Vec<u64> = seconds.iter().map(|second| second.acknowledged).collect();
        assert_eq!(acknowledged, [3, 0, 1]);
        assert_eq!((seconds[0].p50_ms, seconds[0].max_ms), (Some(2.0), Some(3.0)));
        assert_eq!((seconds[1].p50_ms, seconds[1].connected), (None, 0));
        assert_eq!((seconds[2].p99_ms, seconds[2].connected), (Some(50.0), 7));
        assert_eq!(measurements.longest_pause(), Duration::from_millis(2_500));
    }
}
