//! What tokens call users: their ids or, where the server has `USER_IDS=external`, the ids that they have in another system.

use std::collections::HashMap;

use parking_lot::Mutex;
use shared::settings::Settings;
use shared::{ExternalId, User, UserId};

/// The external ids of users, as far as the server has shown them; nothing where tokens name users by the ids of the chat.
#[derive(Debug, Default)]
pub(super) struct ExternalNames(Option<Mutex<HashMap<UserId, ExternalId>>>);

impl ExternalNames {
    /// As a server that is started here would have it.
    pub(super) fn new(settings: &Settings) -> Self {
        let external = settings.get("USER_IDS").is_some_and(|kind| kind == "external");
        Self(external.then(Mutex::default))
    }

    /// Whether tokens name users so.
    pub(super) fn are_used(&self) -> bool {
        self.0.is_some()
    }

    /// The server has shown this user.
    pub(super) fn add(&self, user: &User) {
        if let (Some(known), Some(id)) = (&self.0, &user.external_id) {
            known.lock().insert(user.id, id.clone());
        }
    }

    /// How a token names this user.
    pub(super) fn of(&self, user: UserId) -> String {
        let known = self.0.as_ref().and_then(|known| known.lock().get(&user).cloned());
        known.map_or_else(|| user.to_string(), |id| id.to_string())
    }
}
