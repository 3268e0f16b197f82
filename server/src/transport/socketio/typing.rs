//! `typing`: told on at once to whoever may know, never stored.

use std::sync::Arc;
use std::time::Duration;

use shared::presence::{SetTyping, Typing};
use shared::{InvalidId, UserId, WireError, events};
use tokio::time::Instant;

use super::Session;
use super::presence::Nothing;
use super::request::{Payload, Reply};
use crate::delivery::privacy;
use crate::error;

/// So often in [`SPAN`] one connection may say that somebody types.
const MOST: u32 = 10;

/// The time in which [`MOST`] are allowed.
const SPAN: Duration = Duration::from_secs(5);

/// How often something happened since when.
#[derive(Default)]
pub struct Rate {
    since: Option<Instant>,
    count: u32,
}

impl Rate {
    /// Counts one more, or returns how long to wait for that.
    fn count(&mut self) -> Result<(), Duration> {
        let since = self.since.filter(|since| since.elapsed() < SPAN);
        let Some(since) = since else {
            *self = Self {
                since: Some(Instant::now()),
                count: 1,
            };
            return Ok(());
        };
        if self.count == MOST {
            return Err(SPAN.saturating_sub(since.elapsed()));
        }
        self.count += 1;
        Ok(())
    }
}

/// Handles the event.
pub fn handle(reply: Reply, payload: Payload<'_>) {
    let request = match payload.decode::<SetTyping<String>>() {
        Ok(request) => request,
        Err(error) => return reply.error(error),
    };
    let Ok(receiver) = request.receiver_id.parse().map_err(|InvalidId| ()) else {
        return reply.error(error::invalid_id("receiverId", &request.receiver_id));
    };
    let counted = reply.session.typing.lock().count();
    if let Err(wait) = counted {
        let limit = format!("typing: at most {MOST} times in {} seconds", SPAN.as_secs());
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        return reply.error(error::rate_limited(&limit, wait));
    }
    reply.later(async move |session: Arc<Session>| tell(&session, receiver, request.is_typing).await);
}

/// Tells the receiver, if that is anybody who may know. The answer is the same for all, so that it tells nothing of the
/// receiver; and the store is asked first, so that its time tells nothing either.
async fn tell(session: &Session, receiver: UserId, is_typing: bool) -> Result<Nothing, WireError> {
    let (app, typist) = (&session.app, session.caller.user);
    let shows = privacy::shows_typing(&*app.store, typist, receiver);
    let is_shown = app.read(typist, shows).await?;
    // Somebody who hears nothing needs no end of it either. What an invisible user had begun ends by itself.
    if is_shown && app.directory.has(receiver) && app.typing_tracker.note(typist, receiver, is_typing) {
        let user_id = typist;
        app.dispatcher
            .tell_plainly(receiver, events::TYPING, &Typing { user_id, is_typing });
    }
    Ok(Nothing {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_in_five_seconds_and_no_more() {
        let mut rate = Rate::default();
        for _ in 0..MOST {
            assert_eq!(rate.count(), Ok(()));
        }
        tokio::time::advance(SPAN / 5).await;
        assert_eq!(rate.count(), Err(SPAN / 5 * 4));
        tokio::time::advance(SPAN).await;
        assert_eq!(rate.count(), Ok(()));
    }
}
