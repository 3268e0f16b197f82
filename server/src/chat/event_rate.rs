//! How often a connection may send an event that others receive at once, and that no queue bounds.

use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;

/// So often in [`SPAN`] one connection may send such an event.
const MAX_PER_SPAN: u32 = 10;

/// The time in which [`MAX_PER_SPAN`] are allowed.
const SPAN: Duration = Duration::from_secs(5);

/// How often one connection has sent one event, and since when.
#[derive(Default)]
pub struct EventRate {
    since: Option<Instant>,
    count: u32,
}

impl EventRate {
    /// Counts one more of this event.
    ///
    /// # Errors
    /// That is more often than is allowed.
    pub fn count(&mut self, event: &str) -> Result<(), Error> {
        self.try_count().map_err(|wait| Error::RateLimited {
            limit: format!("{event}: at most {MAX_PER_SPAN} times in {} seconds", SPAN.as_secs()),
            retry_after_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Counts one more, or returns how long to wait for that.
    fn try_count(&mut self) -> Result<(), Duration> {
        let since = self.since.filter(|since| since.elapsed() < SPAN);
        let Some(since) = since else {
            *self = Self {
                since: Some(Instant::now()),
                count: 1,
            };
            return Ok(());
        };
        if self.count == MAX_PER_SPAN {
            return Err(SPAN.saturating_sub(since.elapsed()));
        }
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_in_five_seconds_and_no_more() {
        let mut rate = EventRate::default();
        for _ in 0..MAX_PER_SPAN {
            assert_eq!(rate.try_count(), Ok(()));
        }
        tokio::time::advance(SPAN / 5).await;
        assert_eq!(rate.try_count(), Err(SPAN / 5 * 4));
        tokio::time::advance(SPAN).await;
        assert_eq!(rate.try_count(), Ok(()));
    }
}
