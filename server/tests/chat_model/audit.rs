//! What must hold once all is quiet, and what only people see of each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use server::auth::Caller;
use server::chat::history::{History, PageRequest};
use server::domain::{Conversation, MarkKind, Position};
use shared::{Message, MessageId, SettingsChange, conversation};

use crate::engine::Kind;
use crate::model::{Checked, ensure};
use crate::script::{Device, PEOPLE, Person};
use crate::world::World;

/// How long what comes a little later may take; slow machines are meant to pass. A script that has failed once is not waited for
/// so long while it is made shorter.
const LATER: Duration = Duration::from_secs(20);
const LATER_IN_A_HURRY: Duration = Duration::from_secs(8);

/// Set once a script has failed.
pub(crate) static HURRY: AtomicBool = AtomicBool::new(false);

fn later() -> Duration {
    if HURRY.load(Ordering::Relaxed) {
        LATER_IN_A_HURRY
    } else {
        LATER
    }
}

fn everybody() -> impl Iterator<Item = Person> + Clone {
    (0..PEOPLE).map(Person)
}

impl World {
    /// Changes settings once everything is answered, so that it is certain what is seen with which.
    pub(crate) async fn set(&mut self, by: Device, change: SettingsChange) -> Checked {
        self.settle().await?;
        let before = self.model.settings[by.of.0];
        // All marks are answered, and receipts are sent after that.
        self.quiet().await?;
        let origin = self.connection(by).map(|connection| connection.id());
        let changed = self.chat().change_settings(self.id(by.of), change, origin).await;
        let changed = changed
            .map_err(|error| format!("{by} can't change settings: {error}"))?
            .settings;
        let expected = change.apply(before);
        let is_right = (changed.read_receipts, changed.invisible) == (expected.read_receipts, expected.invisible);
        ensure!(
            is_right,
            "{by} has the settings {changed:?} after {change:?} of {before:?}"
        );
        let grows = changed.version > before.version || change == SettingsChange::default() || changed == before;
        ensure!(grows, "the version did not grow: {before:?}, {changed:?}");
        self.model.settings[by.of.0] = changed;
        self.model.has_hidden[by.of.0] |= !changed.read_receipts;
        if let Some(state) = self.devices.get_mut(&by).filter(|state| state.connection.is_some()) {
            state.set(changed.version, changed)?;
        }
        self.absorb()
    }

    /// Waits until receipts of marks that are answered have gone out: the queue takes one after the other.
    async fn quiet(&mut self) -> Checked {
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        self.absorb()
    }

    /// Somebody types, which only acquaintances hear, and nobody while the one who types is invisible.
    pub(crate) async fn types(&mut self, by: Person, to: Person) -> Checked {
        self.settle().await?;
        for state in self.devices.values_mut() {
            state
                .connection
                .iter_mut()
                .for_each(|connection| connection.typing.clear());
        }
        let typed = self.chat().set_typing(self.id(by), self.id(to), true).await;
        typed.map_err(|error| format!("{by} can't type: {error}"))?;
        self.absorb()?;
        let may = by == to || self.model.acquainted(by, to) != Some(false) && !self.model.settings[by.0].invisible;
        for (device, state) in &self.devices {
            let heard = state
                .connection
                .as_ref()
                .is_some_and(|connection| connection.typing.contains(&by));
            ensure!(!heard || device.of == to && may, "{device} heard {by} type");
        }
        let stopped = self.chat().set_typing(self.id(by), self.id(to), false).await;
        stopped.map_err(|error| format!("{by} can't stop typing: {error}"))
    }

    /// Somebody looks somebody else up: strangers and those who are invisible seem never to have come.
    pub(crate) async fn look(&mut self, by: Person, at: Person) -> Checked {
        self.settle().await?;
        let caller = Caller {
            user: self.id(by),
            admin: false,
            issued_at: None,
            expires_at: None,
        };
        let user = self
            .chat()
            .user(caller, self.id(at))
            .await
            .map_err(|error| error.to_string())?;
        let is_hidden =
            by != at && (self.model.acquainted(by, at) == Some(false) || self.model.settings[at.0].invisible);
        ensure!(
            !is_hidden || !user.is_online && user.last_seen.is_none(),
            "{by} sees {at} as {user:?}"
        );
        Ok(())
    }

    /// Compares what the store holds with the model. What a dead server left can take a moment on a database that others share.
    pub(crate) async fn audit(&mut self) -> Checked {
        let patience = match self.engine.kind() {
            Kind::Mongo if self.deaths > 0 => later(),
            _ => Duration::ZERO,
        };
        let end = Instant::now() + patience;
        loop {
            match self.audit_once().await {
                Err(_) if Instant::now() < end => tokio::time::sleep(Duration::from_millis(100)).await,
                done => return done,
            }
        }
    }

    async fn audit_once(&mut self) -> Checked {
        self.settle().await?;
        for one in everybody() {
            for other in everybody().filter(|other| *other >= one) {
                let listed = self.history(one, other).await?;
                for message in &listed {
                    self.model
                        .learn(message)
                        .map_err(|what| format!("the history of {one} and {other}: {what}"))?;
                }
                let listed: Vec<MessageId> = listed.iter().map(|message| message.id).collect();
                let expected = self.model.between(one, other);
                for (id, stored) in &expected {
                    let times = listed.iter().filter(|listed| *listed == id).count();
                    ensure!(
                        times == 1,
                        "the history of {one} and {other} has {} {times} times",
                        stored.text
                    );
                }
                let is_in_order = listed.iter().eq(expected.iter().map(|(id, _)| id));
                ensure!(
                    is_in_order,
                    "the history of {one} and {other} is not in order: {listed:?}, {expected:?}"
                );
            }
        }
        for person in everybody() {
            self.inbox(person).await?;
        }
        Ok(())
    }

    async fn history(&self, one: Person, other: Person) -> Checked<Vec<Message>> {
        let conversation = Conversation::between(self.id(one), self.id(other));
        let history = self
            .chat()
            .history(self.id(one), conversation, PageRequest::default())
            .await;
        match history.map_err(|error| error.to_string())? {
            History::Page(messages) => Ok(messages),
            History::Pieces(pieces) => pieces.try_concat().await.map_err(|error| error.to_string()),
        }
    }

    async fn inbox(&self, me: Person) -> Checked {
        let mut expected: Vec<(Position, Person)> = everybody()
            .filter_map(|peer| Some((self.model.between(me, peer).last()?.1.place, peer)))
            .collect();
        expected.sort_by(|one, other| other.cmp(one));
        let (mut pages, mut cursor) = (Vec::new(), None);
        loop {
            // A page of one conversation shows that pages follow each other.
            let page = self.chat().conversations(self.id(me), cursor.as_deref(), 1).await;
            let page = page.map_err(|error| format!("the inbox of {me}: {error}"))?;
            let total = page.total_unread;
            pages.extend(page.conversations);
            cursor = page.next;
            if cursor.is_none() {
                let unread: u32 = pages.iter().map(|conversation| conversation.unread).sum();
                ensure!(
                    total == unread,
                    "{me} has {total} unread in all, and {unread} in conversations"
                );
                break;
            }
        }
        let peers: Vec<_> = pages.iter().map(|conversation| conversation.peer_id).collect();
        let expected: Vec<_> = expected.iter().map(|(_, peer)| self.id(*peer)).collect();
        ensure!(
            peers == expected,
            "the inbox of {me} has {peers:?}, and not {expected:?}"
        );
        for conversation in &pages {
            let peer = self.model.person(conversation.peer_id)?;
            self.conversation(me, conversation, true)
                .map_err(|what| format!("{me} with {peer}: {what}"))?;
        }
        Ok(())
    }

    /// Checks how a conversation stands. `fresh` if it was read now: what others let be seen may have changed since.
    fn conversation(&self, me: Person, conversation: &conversation::Conversation, fresh: bool) -> Checked {
        let model = &self.model;
        let peer = model.person(conversation.peer_id)?;
        let messages = model.between(me, peer);
        let last = conversation.last_message.as_ref().map(|message| message.id);
        ensure!(
            last == messages.last().map(|(id, _)| *id),
            "the newest message is {last:?}, of {messages:?}"
        );
        let read = model.check_mark("own", me, peer, MarkKind::Read, conversation.read_up_to)?;
        model.check_mark("own", me, peer, MarkKind::Delivered, conversation.delivered_up_to)?;
        model.check_mark(
            "the peer's",
            peer,
            me,
            MarkKind::Delivered,
            conversation.peer_delivered_up_to,
        )?;
        let written = messages
            .iter()
            .filter(|(_, stored)| stored.sender == me)
            .map(|(_, stored)| stored.place)
            .max();
        let seen = read.max(written);
        let unread = messages
            .iter()
            .filter(|(_, stored)| stored.sender == peer && Some(stored.place) > seen);
        let unread = if me == peer { 0 } else { unread.count() };
        ensure!(
            conversation.unread as usize == unread,
            "{} are unread, and not {unread}",
            conversation.unread
        );
        if !fresh {
            return Ok(());
        }
        match model.shows_reading(me, peer) {
            true => {
                model.check_mark("the peer's", peer, me, MarkKind::Read, conversation.peer_read_up_to)?;
            }
            false => ensure!(
                conversation.peer_read_up_to.is_none(),
                "read receipts are off, and are shown"
            ),
        }
        let peer_now = conversation.peer.as_ref().ok_or("the peer has no name")?;
        let is_hidden = me != peer && model.settings[peer.0].invisible;
        ensure!(
            !is_hidden || !peer_now.is_online && peer_now.last_seen.is_none(),
            "the peer is invisible, and is seen"
        );
        Ok(())
    }

    /// The end of a script: what was taken is delivered; everybody who is connected knows everything, and everybody else
    /// does after catching up.
    pub(crate) async fn last(&mut self) -> Checked {
        self.settle().await?;
        self.audit().await?;
        self.absorb()?;
        let end = Instant::now() + later();
        // What is broken on purpose shows without that, and sooner.
        while let (None, Err(what)) = (self.fault, self.updates()) {
            ensure!(Instant::now() < end, "{what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.absorb()?;
        }
        for device in self.devices.keys().copied().collect::<Vec<_>>() {
            self.leave(device).await?;
            self.step(&crate::script::Step::Connect(device)).await?;
            let state = &self.devices[&device];
            let complete = state.check_complete(device.of, &self.model);
            complete
                .and_then(|()| state.check_own(device.of, &self.model))
                .map_err(|what| format!("{device}, caught up: {what}"))?;
        }
        Ok(())
    }

    fn connected(&self) -> BTreeMap<Device, &crate::device::State> {
        let is_there = |state: &&crate::device::State| {
            state
                .connection
                .as_ref()
                .is_some_and(|connection| !connection.ear.is_stalled())
        };
        self.devices
            .iter()
            .filter(|(_, state)| is_there(state))
            .map(|(device, state)| (*device, state))
            .collect()
    }

    /// Whether everybody who is connected was sent everything, and last of each conversation how it stands.
    fn updates(&self) -> Checked {
        for (device, state) in self.connected() {
            let complete = state.check_complete(device.of, &self.model);
            complete
                .and_then(|()| state.check_own(device.of, &self.model))
                .map_err(|what| format!("{device}, live: {what}"))?;
            for conversation in state
                .connection
                .iter()
                .flat_map(|connection| connection.updates.values())
            {
                self.conversation(device.of, conversation, false)
                    .map_err(|what| format!("{device} was sent at last: {what}"))?;
            }
        }
        Ok(())
    }
}
