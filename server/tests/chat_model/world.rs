//! A chat that runs on a real store, the people who use it, and what becomes of them step by step.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;

use server::chat::send::SendRequest;
use server::chat::{Chat, Limits, MessageIdGenerator, Parts};
use server::clock::now;
use server::delivery::budget::Budget;
use server::delivery::client::ConnectionId;
use server::delivery::registration::Registrar;
use server::delivery::{Connections, DeliveryWatermark, Dispatcher, PresenceSubscriptions};
use server::domain::Username;
use server::storage::Store;
use server::supervisor::Supervisor;
use shared::{MessageId, UserId};
use tokio::time::timeout;

use crate::broken::{BrokenStore, Fault};
use crate::device::{Connection, State};
use crate::ear::Reply;
use crate::engine::{Engine, Kind};
use crate::model::{Attempt, Checked, MarkAttempt, Model, Outcome, ensure};
use crate::script::{Device, PEOPLE, Person, Step};

/// How long anything may take before it counts as lost; slow machines are meant to pass.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A user whom no store has created.
const NOBODY: UserId = UserId::from_bytes([0xee; 12]);

/// A running chat and those who use it.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) fault: Option<Fault>,
    parts: Supervisor,
    store: Weak<dyn Store>,
    /// None only while the server is dead.
    chat: Option<Arc<Chat<Reply>>>,
    pub(crate) devices: BTreeMap<Device, State>,
    pub(crate) model: Model,
    /// How often the server has died.
    pub(crate) deaths: usize,
}

impl World {
    /// A chat on a new database, of which nothing is wrong unless `fault` says so.
    pub(crate) async fn new(kind: Kind, fault: Option<Fault>) -> Self {
        let engine = Engine::new(kind).await;
        let parts = Supervisor::default();
        let store = open(&engine, fault, &parts).await;
        let names = ["ada", "bob", "eve"].map(|name| Username::new(name.to_owned()).expect("a name"));
        let users = store.create_users(&names, now()).await.expect("users can be created");
        let ids: [UserId; PEOPLE] = std::array::from_fn(|index| users[index].0.id);
        let mut world = Self {
            engine,
            fault,
            store: Arc::downgrade(&store),
            chat: None,
            parts,
            devices: BTreeMap::new(),
            model: Model::new(ids),
            deaths: 0,
        };
        world.start(store).await;
        world
    }

    pub(crate) fn chat(&self) -> Arc<Chat<Reply>> {
        Arc::clone(self.chat.as_ref().expect("the server lives"))
    }

    pub(crate) fn id(&self, person: Person) -> UserId {
        self.model.ids[person.0]
    }

    /// Messages can be told once more: by a server that finds what its predecessor left.
    fn is_strict(&self) -> bool {
        self.deaths == 0 || self.engine.kind() == Kind::Embedded
    }

    async fn start(&mut self, store: Arc<dyn Store>) {
        store.heartbeat(now()).await.expect("the store works");
        let newest = store.newest().await.expect("the store works");
        let connections = Arc::new(Connections::new(8));
        let dispatcher = Dispatcher {
            connections: Arc::clone(&connections),
            watermark: DeliveryWatermark::new(store.clone()),
            conversation_notifier: Arc::default(),
            budget: Arc::new(Budget::default()),
            trace: Arc::default(),
        };
        let registrar = Registrar {
            presence_subscriptions: Arc::new(PresenceSubscriptions::new(store.clone(), Arc::clone(&connections))),
            presence_writer: Arc::default(),
            connections,
        };
        let parts = Parts {
            store,
            message_ids: MessageIdGenerator::new(Arc::new(now), newest),
            dispatcher,
            registrar,
            limits: Limits {
                messages: 10_000,
                bytes: 64 << 20,
            },
            max_message_bytes: 16_384,
        };
        let chat = Arc::new(Chat::start(parts, &self.parts));
        chat.start_background(&self.parts);
        self.chat = Some(chat);
    }

    /// Does a step. Fails if an answer, or what somebody hears, is wrong.
    pub(crate) async fn step(&mut self, step: &Step) -> Checked {
        match step {
            Step::Connect(device) => self.connect(*device).await,
            Step::Leave(device) => self.leave(*device).await,
            Step::Stall(device) => {
                if let Some(connection) = self.connection(*device) {
                    connection.ear.stall();
                }
                Ok(())
            }
            Step::Send { from, to, key } => {
                let text = format!("message {}", self.model.attempts.len() + 1);
                self.send(*from, *to, text, *key);
                Ok(())
            }
            Step::Retry { from, back } => {
                let sent = self.model.attempts.iter().rev();
                let mut sent = sent.filter(|attempt| attempt.sender == from.of && attempt.key.is_some());
                if let Some(Attempt {
                    receiver, text, key, ..
                }) = sent.nth(*back)
                {
                    let (receiver, text, key) = (*receiver, text.clone(), *key);
                    self.send(*from, receiver, text, key);
                }
                Ok(())
            }
            Step::Mark { by, peer, kind, back } => {
                self.answers().await?;
                let messages = self.model.between(by.of, *peer);
                let up_to = messages.iter().rev().nth(*back).or(messages.first()).map(|(id, _)| *id);
                if let Some(up_to) = up_to {
                    self.mark(*by, *peer, *kind, up_to, true);
                }
                Ok(())
            }
            Step::MarkElsewhere { by, peer } => {
                self.answers().await?;
                let is_theirs = |people: (Person, Person)| people == (by.of, *peer) || people == (*peer, by.of);
                let other = self
                    .model
                    .stored
                    .iter()
                    .find(|(_, stored)| !is_theirs((stored.sender, stored.receiver)));
                let other = other.map_or(MessageId::from_bytes([7; 12]), |(id, _)| *id);
                self.mark(*by, *peer, server::domain::MarkKind::Read, other, false);
                Ok(())
            }
            Step::Page { by, limit } => self.page(*by, *limit).await,
            Step::Settle => self.settle().await,
            Step::Crash => self.crash().await,
            Step::Set { by, change } => self.set(*by, *change).await,
            Step::Type { by, to } => self.types(*by, *to).await,
            Step::Look { by, at } => self.look(*by, *at).await,
            Step::Ban(person) => self.ban(*person).await,
            Step::Revoke(person) => self.revoke(*person).await,
        }
    }

    /// The connection of a device that can use one.
    pub(crate) fn connection(&mut self, device: Device) -> Option<&mut Connection> {
        let connection = self.devices.get_mut(&device)?.connection.as_mut()?;
        (!connection.ear.is_stalled()).then_some(connection)
    }

    fn connection_id(&mut self, device: Device) -> ConnectionId {
        self.connection(device)
            .map_or_else(ConnectionId::unique, |connection| connection.id())
    }

    fn send(&mut self, from: Device, to: Option<Person>, text: String, key: Option<u8>) {
        let connection = self.connection_id(from);
        let (reply, answered) = Reply::to(connection);
        let request = SendRequest {
            receiver: to.map_or(NOBODY, |to| self.id(to)),
            text: text.clone(),
            client_message_id: key.map(|key| format!("key {key}")),
        };
        self.chat().send(self.id(from.of), request, reply);
        self.model.attempts.push(Attempt {
            sender: from.of,
            receiver: to,
            text,
            key,
            connection,
            outcome: Outcome::Pending(answered),
        });
    }

    fn mark(&mut self, by: Device, peer: Person, kind: server::domain::MarkKind, up_to: MessageId, is_theirs: bool) {
        let (reply, answered) = Reply::to(self.connection_id(by));
        self.chat().mark(self.id(by.of), self.id(peer), kind, up_to, reply);
        self.model.marks.push(MarkAttempt {
            by: by.of,
            peer,
            kind,
            up_to,
            is_theirs,
            is_shown: self.model.shows_reading(by.of, peer),
            outcome: Outcome::Pending(answered),
        });
    }

    /// Waits until all messages and marks are answered, and checks the answers.
    pub(crate) async fn answers(&mut self) -> Checked {
        for number in 0..self.model.attempts.len() {
            if let Outcome::Pending(answered) = &mut self.model.attempts[number].outcome {
                let answer = timeout(TIMEOUT, answered)
                    .await
                    .map_err(|_| "a message is not answered")?;
                ensure!(answer.is_ok() || self.chat.is_none(), "a message got no answer");
                self.model.answered(number, answer.ok())?;
            }
        }
        for number in 0..self.model.marks.len() {
            if let Outcome::Pending(answered) = &mut self.model.marks[number].outcome {
                let answer = timeout(TIMEOUT, answered).await.map_err(|_| "a mark is not answered")?;
                ensure!(answer.is_ok() || self.chat.is_none(), "a mark got no answer");
                self.model.marked(number, answer.ok())?;
            }
        }
        self.model.check_attempts()
    }

    /// The same, and all devices take in what they heard.
    pub(crate) async fn settle(&mut self) -> Checked {
        if self.chat.is_some() {
            let failed = self.parts.failed();
            ensure!(failed.is_none(), "a part of the server failed: {failed:?}");
        }
        self.answers().await?;
        self.absorb()
    }

    pub(crate) fn absorb(&mut self) -> Checked {
        let strictly = self.is_strict();
        self.devices
            .iter_mut()
            .try_for_each(|(device, state)| state.absorb(device.of, &mut self.model, strictly))
    }

    /// Everything that the server had in memory is gone, as after `kill -9`; the next one starts on what the store has.
    async fn crash(&mut self) -> Checked {
        let connected = self.devices.iter().filter(|(_, state)| state.connection.is_some());
        let connected: Vec<Device> = connected.map(|(device, _)| *device).collect();
        // Nobody is told more, as if all ended in one moment.
        self.chat().dispatcher.watermark.cut_off();
        self.parts.cut();
        self.parts.stop();
        self.chat = None;
        timeout(TIMEOUT, self.parts.ended())
            .await
            .map_err(|_| "its tasks do not end")?;
        self.settle().await?;
        self.devices.values_mut().for_each(|state| state.connection = None);
        let gone = async {
            while self.store.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(TIMEOUT, gone).await.map_err(|_| "somebody keeps the store")?;
        self.deaths += 1;
        self.parts = Supervisor::default();
        let store = open(&self.engine, self.fault, &self.parts).await;
        self.store = Arc::downgrade(&store);
        self.start(store).await;
        for device in connected {
            self.connect(device).await?;
        }
        self.audit().await
    }

    /// Ends the chat in an orderly way.
    pub(crate) async fn end(mut self) {
        self.devices.clear();
        self.parts.cut();
        self.parts.stop();
        let store = self.store.upgrade();
        self.chat = None;
        let _ = timeout(TIMEOUT, self.parts.ended()).await;
        if let Some(store) = store {
            let _ = store.close(now()).await;
        }
        self.engine.discard().await;
    }
}

async fn open(engine: &Engine, fault: Option<Fault>, parts: &Supervisor) -> Arc<dyn Store> {
    let store = engine.open(parts).await;
    match fault {
        None => store,
        Some(fault) => Arc::new(BrokenStore {
            store,
            fault,
            appended: AtomicUsize::new(0),
        }),
    }
}

/// The second that it is now, since 1970, as tokens have it.
pub(crate) fn second() -> i64 {
    server::clock::now().millis().div_euclid(1_000)
}
