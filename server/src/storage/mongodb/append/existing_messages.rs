//! The documents to which duplicate keys lead.

use std::collections::HashMap;

use shared::{Message, MessageId, UserId};

use super::AppendResult;
use crate::domain::NewMessage;
use crate::storage::{AppendError, Appended, StoreError};

/// Stored messages, by their own and by their sender's ids.
#[derive(Default)]
pub(super) struct ExistingMessages {
    by_id: HashMap<MessageId, Message>,
    by_client_id: HashMap<(UserId, String), Message>,
}

impl ExistingMessages {
    /// Takes stored messages, each with its `clientMessageId`.
    pub(super) fn new(stored: Vec<(Message, Option<String>)>) -> Self {
        let mut existing = Self::default();
        for (message, client_id) in stored {
            if let (Some(sender), Some(client_id)) = (message.sender, client_id) {
                existing.by_client_id.insert((sender, client_id), message.clone());
            }
            existing.by_id.insert(message.id, message);
        }
        existing
    }

    /// The outcome of a message that met a duplicate key; `None` if the document is gone.
    pub(super) fn outcome_of(&self, new: &NewMessage) -> Option<AppendResult> {
        let same = |stored: &Message| {
            stored.receiver == Some(new.receiver) && stored.message.as_deref() == Some(new.text.as_str())
        };
        if let Some(stored) = self.by_id.get(&new.id) {
            // An earlier attempt stored it.
            return Some(if same(stored) && stored.sender == Some(new.sender) {
                Ok(Appended {
                    message: stored.clone(),
                    duplicate: false,
                })
            } else {
                Err(StoreError::Failed(format!("the id {} belongs to another message", new.id)).into())
            });
        }
        let client_id = new.client_message_id.as_ref()?.as_str().to_owned();
        let stored = self.by_client_id.get(&(new.sender, client_id))?;
        Some(if same(stored) {
            Ok(Appended {
                message: stored.clone(),
                duplicate: true,
            })
        } else {
            Err(AppendError::Conflict)
        })
    }
}
