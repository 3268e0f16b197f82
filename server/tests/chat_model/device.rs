//! What a device knows: a copy that it keeps of nothing but what it was sent, and the cursor that it goes on from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use server::delivery::client::ConnectionId;
use server::delivery::registration::Registration;
use server::domain::{MarkKind, Position};
use shared::presence::Typing;
use shared::sync::Receipt;
use shared::{Conversation, Message, MessageId, Settings, SyncEvent, UserId, events};

use crate::ear::{Ear, Heard};
use crate::model::{Checked, Model, Outcome, ensure};
use crate::script::Person;

/// Up to where a person has received and read what another one wrote, as far as is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Marks {
    pub(crate) delivered: Option<Position>,
    pub(crate) read: Option<Position>,
}

/// A connection as its device has it.
pub(crate) struct Connection {
    pub(crate) ear: Arc<Ear>,
    pub(crate) registration: Registration,
    /// What it was told last of how each conversation stands.
    pub(crate) updates: BTreeMap<Person, Conversation>,
    /// The last receipt of each kind, of each person.
    receipts: BTreeMap<(Person, bool), Position>,
    /// The last message of each person, without those that were said to come again.
    messages: BTreeMap<Person, Position>,
    /// Who was heard typing.
    pub(crate) typing: BTreeSet<Person>,
}

impl Connection {
    pub(crate) fn new(ear: Arc<Ear>, registration: Registration) -> Self {
        Self {
            ear,
            registration,
            updates: BTreeMap::new(),
            receipts: BTreeMap::new(),
            messages: BTreeMap::new(),
            typing: BTreeSet::new(),
        }
    }

    pub(crate) fn id(&self) -> ConnectionId {
        self.registration.id()
    }
}

/// One device.
#[derive(Default)]
pub(crate) struct State {
    /// From where it goes on; none before it has connected for the first time.
    pub(crate) cursor: Option<String>,
    pub(crate) messages: BTreeSet<MessageId>,
    /// What others have received and read of its user.
    pub(crate) others: BTreeMap<Person, Marks>,
    /// What its user has received and read of others.
    pub(crate) own: BTreeMap<Person, Marks>,
    pub(crate) settings: Settings,
    pub(crate) connection: Option<Connection>,
}

fn read<T: DeserializeOwned>(heard: &Heard) -> Checked<T> {
    serde_json::from_value(heard.payload.clone()).map_err(|error| format!("{heard:?}: {error}"))
}

impl State {
    /// Takes in what its connection was sent. `strictly` if no message can come again.
    pub(crate) fn absorb(&mut self, me: Person, model: &mut Model, strictly: bool) -> Checked {
        let Some(ear) = self.connection.as_ref().map(|connection| Arc::clone(&connection.ear)) else {
            return Ok(());
        };
        // What it sent itself it knows by the answer.
        let own = self.connection.as_ref().map(Connection::id);
        for attempt in model.attempts.iter().filter(|attempt| Some(attempt.connection) == own) {
            if let Outcome::Done((id, _)) = attempt.outcome {
                self.messages.insert(id);
            }
        }
        for heard in ear.take() {
            self.hear(me, model, &heard, strictly)
                .map_err(|what| format!("{me} heard {}: {what}", heard.event))?;
            if heard.cursor.is_some() {
                self.cursor = heard.cursor;
            }
        }
        Ok(())
    }

    fn hear(&mut self, me: Person, model: &mut Model, heard: &Heard, strictly: bool) -> Checked {
        let id = model.ids[me.0];
        match heard.event.as_str() {
            events::MESSAGE_SENT => {
                let message: Message = read(heard)?;
                ensure!(message.sender == Some(id), "somebody else sent {message:?}");
                let connection = self.connection.as_ref().map(Connection::id);
                let is_answered = model.attempts.iter().any(|attempt| {
                    Some(attempt.connection) == connection
                        && matches!(attempt.outcome, Outcome::Done((it, false)) if it == message.id)
                });
                ensure!(!is_answered, "this connection has the answer for {message:?}");
                self.message(model, &message)
            }
            name if name.starts_with("receive_message_") => {
                ensure!(name == events::receive_message(id), "the name is another user's");
                let message: Message = read(heard)?;
                ensure!(message.receiver == Some(id), "it is for somebody else: {message:?}");
                if let (Some(connection), Some(sender), true) = (&mut self.connection, message.sender, strictly) {
                    let place = Position::of(&message);
                    let before = connection.messages.insert(model.person(sender)?, place);
                    ensure!(before < Some(place), "{message:?} comes after {before:?}");
                }
                self.message(model, &message)
            }
            events::MESSAGES_READ | events::MESSAGES_DELIVERED => {
                let (receipt, is_read): (Receipt, _) = (read(heard)?, heard.event == events::MESSAGES_READ);
                let (by, place) = self.receipt(me, model, &receipt, is_read, true)?;
                if let Some(connection) = &mut self.connection {
                    let before = connection.receipts.insert((by, is_read), place);
                    ensure!(
                        before <= Some(place) || !strictly,
                        "the receipt goes back: {receipt:?} after {before:?}"
                    );
                }
                Ok(())
            }
            events::CONVERSATION_UPDATED => {
                let conversation: Conversation = read(heard)?;
                let peer = model.person(conversation.peer_id)?;
                if let Some(last) = &conversation.last_message {
                    let people = [last.sender, last.receiver];
                    ensure!(
                        people.contains(&Some(id)) && people.contains(&Some(conversation.peer_id)),
                        "{last:?} is of others"
                    );
                }
                let own = self.own.entry(peer).or_default();
                let place = |id: Option<MessageId>| id.map(|id| model.place(id)).transpose();
                own.read = own.read.max(place(conversation.read_up_to)?);
                own.delivered = own.delivered.max(place(conversation.delivered_up_to)?);
                if let Some(connection) = &mut self.connection {
                    connection.updates.insert(peer, conversation);
                }
                Ok(())
            }
            events::SETTINGS_UPDATED => self.set(model.settings[me.0].version, read(heard)?),
            events::TYPING => {
                let typing: Typing = read(heard)?;
                let by = model.person(typing.user_id)?;
                ensure!(
                    by == me || model.acquainted(by, me) != Some(false),
                    "{by} is a stranger"
                );
                if let (Some(connection), true) = (&mut self.connection, typing.is_typing) {
                    connection.typing.insert(by);
                }
                Ok(())
            }
            other => Err(format!("nobody is to hear {other}")),
        }
    }

    /// Takes in an event of a page.
    pub(crate) fn page_event(&mut self, me: Person, model: &mut Model, event: &SyncEvent) -> Checked {
        match event {
            SyncEvent::Message { message } => {
                let people = [message.sender, message.receiver];
                ensure!(people.contains(&Some(model.ids[me.0])), "{message:?} is of others");
                self.message(model, message)
            }
            SyncEvent::MessagesDelivered(receipt) => self.receipt(me, model, receipt, false, false).map(drop),
            SyncEvent::MessagesRead(receipt) => self.receipt(me, model, receipt, true, false).map(drop),
            SyncEvent::Settings { settings } => self.set(model.settings[me.0].version, *settings),
        }
    }

    fn message(&mut self, model: &mut Model, message: &Message) -> Checked {
        model.learn(message)?;
        self.messages.insert(message.id);
        Ok(())
    }

    /// Takes a receipt, live or of a page, if it is one that this device may know.
    fn receipt(
        &mut self,
        me: Person,
        model: &Model,
        receipt: &Receipt,
        is_read: bool,
        is_live: bool,
    ) -> Checked<(Person, Position)> {
        let by = model.person(receipt.user_id)?;
        let peer = receipt.peer_id.map_or(Ok(me), |peer: UserId| model.person(peer))?;
        ensure!(
            [by, peer].contains(&me) && (by != me || !is_live),
            "{receipt:?} is of others"
        );
        let made = model
            .marks
            .iter()
            .filter(|mark| (mark.by, mark.peer, mark.up_to) == (by, peer, receipt.up_to));
        let can_be = made.filter(|mark| !is_read || mark.kind == MarkKind::Read);
        let mut seen = can_be
            .map(|mark| by == me || !is_read || !is_live || mark.is_shown)
            .peekable();
        ensure!(seen.peek().is_some(), "nobody made this mark: {receipt:?}");
        ensure!(
            seen.any(|is_shown| is_shown),
            "it was made while read receipts were off: {receipt:?}"
        );
        ensure!(
            is_live || !is_read || by == me || model.shows_reading(by, me),
            "read receipts are off: {receipt:?}"
        );
        let place = model.place(receipt.up_to)?;
        let known = if by == me {
            self.own.entry(peer)
        } else {
            self.others.entry(by)
        };
        let known = known.or_default();
        known.delivered = known.delivered.max(Some(place));
        if is_read {
            known.read = known.read.max(Some(place));
        }
        Ok((by, place))
    }

    pub(crate) fn set(&mut self, newest: u64, settings: Settings) -> Checked {
        ensure!(settings.version <= newest, "nobody made these settings: {settings:?}");
        if settings.version >= self.settings.version {
            self.settings = settings;
        }
        Ok(())
    }

    /// Whether it knows everything that concerns its user.
    pub(crate) fn check_complete(&self, me: Person, model: &Model) -> Checked {
        for (id, stored) in &model.stored {
            let concerns = [stored.sender, stored.receiver].contains(&me);
            ensure!(
                !concerns || self.messages.contains(id),
                "{me} misses {} from {} to {}",
                stored.text,
                stored.sender,
                stored.receiver
            );
        }
        let everybody = || (0..model.ids.len()).map(Person);
        for peer in everybody().filter(|peer| *peer != me) {
            let known = self.others.get(&peer).copied().unwrap_or_default();
            let sure = |kind| model.mark(peer, me, kind).sure;
            ensure!(
                known.delivered >= sure(MarkKind::Delivered),
                "{me} misses that {peer} has received {:?}",
                sure(MarkKind::Delivered)
            );
            let hides = model.has_hidden[me.0] || model.has_hidden[peer.0];
            ensure!(
                hides || known.read >= sure(MarkKind::Read),
                "{me} misses that {peer} has read {:?}",
                sure(MarkKind::Read)
            );
        }
        let settings = model.settings[me.0];
        ensure!(
            self.settings == settings,
            "{me} misses {settings:?} and has {:?}",
            self.settings
        );
        Ok(())
    }

    /// Whether it knows what its user has received and read on all devices.
    pub(crate) fn check_own(&self, me: Person, model: &Model) -> Checked {
        for peer in (0..model.ids.len()).map(Person) {
            let known = self.own.get(&peer).copied().unwrap_or_default();
            for (kind, known) in [(MarkKind::Delivered, known.delivered), (MarkKind::Read, known.read)] {
                let sure = model.mark(me, peer, kind).sure;
                ensure!(
                    known >= sure,
                    "{me} misses an own mark of {peer}: {kind:?} up to {sure:?}, and knows {known:?}"
                );
            }
        }
        Ok(())
    }
}
