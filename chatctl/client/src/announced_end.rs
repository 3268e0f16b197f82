//! Why a connection is about to end, where the server says so first. The end itself looks like that of a server that was killed or
//! stopped.

use std::sync::Arc;

use parking_lot::Mutex;
use shared::admin::SessionEnded;
use shared::events;

use super::event::Event;

/// What the server has said of it. The lock is held for moments, never across an await.
#[derive(Debug, Clone, Default)]
pub(super) struct AnnouncedEnd(Arc<Mutex<Option<String>>>);

impl AnnouncedEnd {
    /// Keeps what an event says of the end.
    pub(super) fn heard(&self, event: &Event) {
        let reason = match event.name.as_str() {
            events::SESSION_ENDED => match serde_json::from_value::<SessionEnded>(event.payload.clone()) {
                Ok(ended) => format!("the server ended the connection: {} ({})", ended.message, ended.code),
                Err(_) => return,
            },
            events::TOKEN_EXPIRED => "the server ended the connection: its token has ended".to_owned(),
            _ => return,
        };
        *self.0.lock() = Some(reason);
    }

    /// Puts why the connection has ended in the place of what its end looks like, if the server has said so.
    pub(super) fn explain(&self, reason: &mut String) {
        if let Some(said) = self.0.lock().take() {
            *reason = said;
        }
    }
}
