//! Who is shut out: whose connections end, what the store knows of it, and who is let in again.

use server::domain::{Access, ShutOut};
use shared::admin::BanUser;

use crate::model::{Checked, ensure};
use crate::script::Person;
use crate::world::{World, second};

impl World {
    /// Somebody is banned: all connections of theirs end, and nobody else's; then let in again.
    pub(crate) async fn ban(&mut self, person: Person) -> Checked {
        self.settle().await?;
        let (chat, id) = (self.chat(), self.id(person));
        let banned = chat.ban(id, BanUser::default()).await;
        banned.map_err(|error| format!("{person} can't be banned: {error}"))?;
        self.only_theirs_ended(person)?;
        self.is_refused(person, second(), true).await?;
        let lifted = chat.unban(id).await;
        lifted.map_err(|error| format!("{person} can't be let in: {error}"))?;
        self.is_refused(person, second(), false).await
    }

    /// The tokens of somebody are revoked: all connections of theirs end, and nobody else's. Tokens of before are refused from then on,
    /// and new ones are good.
    pub(crate) async fn revoke(&mut self, person: Person) -> Checked {
        self.settle().await?;
        let before = second();
        let revoked = self.chat().revoke(self.id(person)).await;
        revoked.map_err(|error| format!("the tokens of {person} can't be revoked: {error}"))?;
        self.only_theirs_ended(person)?;
        self.is_refused(person, before, true).await?;
        self.is_refused(person, second(), false).await
    }

    fn only_theirs_ended(&mut self, person: Person) -> Checked {
        self.absorb()?;
        for (device, state) in &mut self.devices {
            let Some(connection) = &state.connection else { continue };
            let is_ended = connection.ear.is_ended();
            ensure!(
                is_ended == (device.of == person),
                "{person} is shut out, and {device} was ended: {is_ended}"
            );
            if is_ended {
                state.connection = None;
            }
        }
        Ok(())
    }

    /// Whether a token of this second is refused, as the store knows it.
    async fn is_refused(&self, person: Person, made: i64, expected: bool) -> Checked {
        let (store, id) = (&self.chat().reader.store.clone(), self.id(person));
        let access: Option<Access> = store.access(id).await.map_err(|error| error.to_string())?;
        let refused: Option<ShutOut> = access
            .ok_or("the user is gone")?
            .refusal(Some(made), server::clock::now());
        ensure!(
            refused.is_some() == expected,
            "a token of {person} is refused: {refused:?}, and should be: {expected}"
        );
        Ok(())
    }
}
