//! Whether the other end of a connection still lives, whatever the library below notices of its end.
//!
//! A connection on which nothing is heard for a moment is asked something: an event that no server knows. It is refused
//! at once, without a look at the database, by the event `request_failed`; and refused or not, any word is a sign of life.
//! Time is counted in looks, so a program that was stopped for a while does not take its own absence for the server's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared::events::{REQUEST_FAILED, RequestFailed};

use super::event::Event;

/// The pause between two looks.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// What is asked. No server of this protocol knows an event of this name.
pub(super) const PROBE_EVENT: &str = "chatctl_heartbeat";
/// After so many looks without a word the other end is asked.
const PROBE_AFTER_CHECKS: u32 = 2;
/// After so many it counts as gone: within three seconds of its last word, and two of the question.
const GONE_AFTER_CHECKS: u32 = PROBE_AFTER_CHECKS + 8;

/// What a look comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Nothing is to be done.
    Wait,
    /// [`PROBE_EVENT`] is to be sent.
    Ask,
    /// There is nobody any more.
    Gone,
}

/// What was heard of one connection.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    /// Something was heard since the last look.
    received: AtomicBool,
}

impl Heartbeat {
    /// Something came from the other end.
    pub(super) fn received(&self) {
        self.received.store(true, Ordering::Relaxed);
    }

    /// The next look; `quiet` counts the looks without a word and begins with 0.
    pub(super) fn check(&self, quiet: &mut u32) -> Check {
        if self.received.swap(false, Ordering::Relaxed) {
            *quiet = 0;
            return Check::Wait;
        }
        *quiet += 1;
        match *quiet {
            PROBE_AFTER_CHECKS => Check::Ask,
            GONE_AFTER_CHECKS.. => Check::Gone,
            _ => Check::Wait,
        }
    }
}

/// Whether an event is only the refusal of our question, which is nobody's business.
pub(super) fn is_answer(event: &Event) -> bool {
    let failed = || serde_json::from_value::<RequestFailed>(event.payload.clone());
    event.name == REQUEST_FAILED && failed().is_ok_and(|failed| failed.event == PROBE_EVENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_asked_once_and_then_believed() {
        let (heartbeat, mut quiet) = (Heartbeat::default(), 0);
        let looks =
            |count: u32, quiet: &mut u32| -> Vec<Check> { (0..count).map(|_| heartbeat.check(quiet)).collect() };
        assert_eq!(looks(3, &mut quiet), [Check::Wait, Check::Ask, Check::Wait]);
        // A word, and it begins anew.
        heartbeat.received();
        assert_eq!(looks(2, &mut quiet), [Check::Wait, Check::Wait]);
        let looks = looks(GONE_AFTER_CHECKS - 1, &mut quiet);
        assert_eq!((looks[0], looks.last()), (Check::Ask, Some(&Check::Gone)));
        assert!(CHECK_INTERVAL * (GONE_AFTER_CHECKS + 1) < Duration::from_secs(3));
    }
}
