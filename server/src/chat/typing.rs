//! `typing`: passed on at once to a receiver who may see it, never stored.

use shared::presence::Typing;
use shared::{UserId, events};

use super::Chat;
use super::error::Error;
use crate::delivery::{Dispatcher, privacy};

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
