//! `typing`: passed on at once to a receiver who may see it, never stored.

use std::time::Duration;

use shared::presence::Typing;
use shared::{UserId, events};
use tokio::time::Instant;

use super::Chat;
use super::error::Error;
use crate::delivery::{Dispatcher, privacy};

/// So often in [`SPAN`] one connection may say that its user types.
const MAX_PER_SPAN: u32 = 10;

/// The time in which [`MAX_PER_SPAN`] are allowed.
const SPAN: Duration = Duration::from_secs(5);

/// How often one connection has said that its user types, and since when.
#[derive(Default)]
pub struct TypingRate {
    since: Option<Instant>,
    count: u32,
}

impl TypingRate {
    /// Counts one more.
    ///
    /// # Errors
    /// That is more often than is allowed.
    pub fn count(&mut self) -> Result<(), Error> {
        self.try_count().map_err(|wait| Error::RateLimited {
            limit: format!("typing: at most {MAX_PER_SPAN} times in {} seconds", SPAN.as_secs()),
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

impl<R> Chat<R> {
    /// A user begins, goes on or stops typing to a receiver, who is sent that if the receiver may see it. The result is the same
    /// for all receivers, so that it says nothing about them; and the store is queried first, so that the time says nothing either.
    ///
    /// # Errors
    /// Reading failed.
    pub async fn set_typing(&self, typist: UserId, receiver: UserId, is_typing: bool) -> Result<(), Error> {
        let shows = privacy::shows_typing(&*self.reader.store, typist, receiver);
        let is_shown = self.read(typist, shows).await?;
        // A receiver who was sent nothing needs no end of it either. What an invisible user had begun ends by itself.
        if is_shown && self.dispatcher.connections.has(receiver) && self.typing.set(typist, receiver, is_typing) {
            emit(&self.dispatcher, typist, receiver, is_typing);
        }
        Ok(())
    }
}

/// Sends the receiver that `typist` types, or has stopped.
pub(super) fn emit(dispatcher: &Dispatcher, typist: UserId, receiver: UserId, is_typing: bool) {
    let user_id = typist;
    dispatcher.emit_transient(receiver, events::TYPING, &Typing { user_id, is_typing });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_in_five_seconds_and_no_more() {
        let mut rate = TypingRate::default();
        for _ in 0..MAX_PER_SPAN {
            assert_eq!(rate.try_count(), Ok(()));
        }
        tokio::time::advance(SPAN / 5).await;
        assert_eq!(rate.try_count(), Err(SPAN / 5 * 4));
        tokio::time::advance(SPAN).await;
        assert_eq!(rate.try_count(), Ok(()));
    }
}
