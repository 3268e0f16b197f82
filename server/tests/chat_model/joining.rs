//! How devices come, catch up, ask for pages and leave, as a transport has them do it.

use std::sync::Arc;

use server::domain::Cursor;
use shared::MessageId;
use shared::sync::SyncRequest;

use crate::device::{Connection, Marks};
use crate::ear::{Ear, ToEar};
use crate::model::Checked;
use crate::script::Device;
use crate::world::World;

impl World {
    pub(crate) async fn connect(&mut self, device: Device) -> Checked {
        if self
            .devices
            .get(&device)
            .is_some_and(|state| state.connection.is_some())
        {
            return Ok(());
        }
        let is_new = !self.devices.contains_key(&device);
        let ear = Arc::new(Ear::new());
        let client = Arc::new(ToEar(Arc::clone(&ear)));
        let registration = self
            .chat()
            .connect(self.id(device.of), client)
            .map_err(|_| "too many connections")?;
        let state = self.devices.entry(device).or_default();
        state.connection = Some(Connection::new(ear, registration));
        if is_new {
            self.begin(device).await
        } else {
            self.catch_up(device).await
        }
    }

    /// A device begins without a cursor: it reads what there is, which may be more than was ever answered.
    async fn begin(&mut self, device: Device) -> Checked {
        let (chat, me) = (self.chat(), device.of);
        let cursor = chat.cursor().to_string();
        self.audit().await?;
        let inbox = chat.conversations(self.id(me), None, 200).await;
        let inbox = inbox.map_err(|error| format!("the inbox of {me}: {error}"))?;
        let model = &self.model;
        let state = self.devices.entry(device).or_default();
        state.cursor = Some(cursor);
        let concerns = model
            .stored
            .iter()
            .filter(|(_, stored)| [stored.sender, stored.receiver].contains(&me));
        state.messages = concerns.map(|(id, _)| *id).collect();
        state.settings = model.settings[me.0];
        for conversation in inbox.conversations {
            let peer = model.person(conversation.peer_id)?;
            let place = |id: Option<MessageId>| id.map(|id| model.place(id)).transpose();
            let marks = |delivered, read| -> Checked<Marks> {
                Ok(Marks {
                    delivered: place(delivered)?,
                    read: place(read)?,
                })
            };
            let own = marks(conversation.delivered_up_to, conversation.read_up_to)?;
            state.own.insert(peer, own);
            state.others.insert(
                peer,
                marks(conversation.peer_delivered_up_to, conversation.peer_read_up_to)?,
            );
        }
        if let Some(connection) = &state.connection {
            connection.registration.set_caught_up(true);
        }
        Ok(())
    }

    async fn catch_up(&mut self, device: Device) -> Checked {
        let chat = self.chat();
        loop {
            let state = self.devices.entry(device).or_default();
            let since = state.cursor.clone().unwrap_or_default();
            let since = Cursor::parse(&since).map_err(|error| error.to_string())?;
            let missed = chat.missed(self.model.ids[device.of.0], &since, 3).await;
            let missed = missed.map_err(|error| format!("{device} can't catch up: {error}"))?;
            for event in &missed.events {
                state
                    .page_event(device.of, &mut self.model, event)
                    .map_err(|what| format!("{device} is sent: {what}"))?;
            }
            state.cursor = Some(missed.next.to_string());
            if !missed.more {
                if let Some(connection) = &state.connection {
                    connection.registration.set_caught_up(true);
                }
                return Ok(());
            }
        }
    }

    pub(crate) async fn page(&mut self, device: Device, limit: usize) -> Checked {
        if self.connection(device).is_none() {
            return Ok(());
        }
        self.settle().await?;
        let chat = self.chat();
        let state = self.devices.entry(device).or_default();
        let request = SyncRequest {
            since: state.cursor.clone(),
            limit: Some(limit),
        };
        let synced = chat.sync(self.model.ids[device.of.0], request).await;
        let synced = synced.map_err(|error| format!("{device} can't sync: {error}"))?;
        for event in &synced.events {
            state
                .page_event(device.of, &mut self.model, event)
                .map_err(|what| format!("{device} is sent: {what}"))?;
        }
        state.cursor = Some(synced.next);
        if let Some(connection) = &state.connection {
            connection.registration.set_caught_up(!synced.has_more);
        }
        Ok(())
    }

    pub(crate) async fn leave(&mut self, device: Device) -> Checked {
        self.settle().await?;
        if let Some(state) = self.devices.get_mut(&device) {
            state.connection = None;
        }
        Ok(())
    }
}
