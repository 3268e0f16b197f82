//! A user's settings: reading and changing them.

use shared::presence::CurrentSettings;
use shared::{Settings, SettingsChange, UserId};

use super::Chat;
use super::error::Error;
use crate::delivery::client::ConnectionId;

mod changes;

pub use changes::SettingsChanges;

impl<R> Chat<R> {
    /// A user's settings.
    ///
    /// # Errors
    /// Reading failed.
    pub async fn settings(&self, user: UserId) -> Result<CurrentSettings, Error> {
        let settings = self.read(user, self.reader.store.settings(&[user])).await?;
        let settings = settings.first().copied().unwrap_or_default();
        Ok(CurrentSettings { settings })
    }

    /// Changes a user's settings and sends them to the user's connections. `origin` has them by its answer, unless it was answered
    /// that the store is away. A change of nothing only reads.
    ///
    /// # Errors
    /// There is no such user, the server is stopping, or the store failed.
    pub async fn change_settings(
        &self,
        user: UserId,
        change: SettingsChange,
        origin: Option<ConnectionId>,
    ) -> Result<CurrentSettings, Error> {
        if change == SettingsChange::default() {
            return self.settings(user).await;
        }
        let dispatcher = self.dispatcher.clone();
        let subscriptions = std::sync::Arc::clone(&self.registrar.presence_subscriptions);
        let notify = move |settings: &Settings, is_answered: bool| {
            dispatcher.settings(user, settings, origin.filter(|_| is_answered));
            subscriptions.recheck(user);
        };
        let admitted = self.admission.admit()?;
        let changed = self.settings_changes.change(user, change, admitted, notify).await?;
        let settings = changed.ok_or(Error::UnknownCaller)?;
        Ok(CurrentSettings { settings })
    }
}
