//! A small server in memory that speaks the contract as far as `chatctl prove` needs it, in the manner asked for.
//! Servers that lie in just one way can't be had otherwise. Everything happens under one lock, so a good peer is right
//! by construction.

mod http;
mod world;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{DecodingKey, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::conversation::MarkUpTo;
use shared::events::{self, Answer, SendMessage, Sent};
use shared::presence::CurrentSettings;
use shared::sync::SyncDone;
use shared::{Claims, SettingsChange, SyncEvent, UserId, sync};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message as Packet;

use self::world::{Stored, World, both};

/// What signs its tokens.
pub(crate) const SECRET: &str = "a secret of the peer that is 32 bytes long or more";
/// Changes that it pushes on connecting: few, so that the rest is asked for.
const PUSH: usize = 5;

/// How a peer treats its promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should.
    Good,
    /// It acknowledges every twentieth message, and neither stores nor delivers it.
    Forgetting,
    /// It doesn't deliver every fiftieth to one of the connections.
    Dropping,
    /// It leaves out the first change of each page of what was missed.
    Skipping,
    /// It stores unread numbers, and sets them to 0 whatever was read.
    Counting,
    /// It delivers every fiftieth to somebody else as well.
    Leaking,
    /// It stores what is sent again once more.
    Repeating,
    /// Users stay online for ever.
    Lingering,
    /// Its cursors can't be used.
    Resetting,
}

/// A running peer; it ends when this is dropped.
pub(crate) struct Peer {
    address: SocketAddr,
    _runtime: Runtime,
}

/// What its connections share. Locked for moments.
type Peers = Arc<Mutex<Shared>>;

struct Shared {
    manner: Manner,
    world: World,
    outlets: Vec<Outlet>,
    /// Users who were ever connected.
    known: Vec<UserId>,
    connections: usize,
    deliveries: usize,
}

/// A connection's way out.
struct Outlet {
    number: usize,
    user: UserId,
    /// Whether events carry a cursor.
    resumable: bool,
    frames: UnboundedSender<String>,
}

impl Peer {
    pub(crate) fn start(manner: Manner) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let peers = Arc::new(Mutex::new(Shared {
            manner,
            world: World::new(manner),
            outlets: Vec::new(),
            known: Vec::new(),
            connections: 0,
            deliveries: 0,
        }));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&peers)));
            }
        });
        Self {
            address,
            _runtime: runtime,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Whose token it is.
fn bearer(token: &str) -> Option<UserId> {
    let key = DecodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::decode::<Claims>(token, &key, &Validation::default()).ok()?;
    Some(token.claims.user_id)
}

/// One connection. `None` ends it.
async fn serve(stream: TcpStream, peers: Peers) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut begin = [0; 14];
    while stream.peek(&mut begin).await.ok()? < begin.len() {}
    if &begin != b"GET /socket.io" {
        return http::serve(stream, &peers).await;
    }
    let socket = tokio_tungstenite::accept_async(stream).await.ok()?;
    let (mut write, mut read) = socket.split();
    let (frames, mut waiting) = unbounded_channel::<String>();
    tokio::spawn(async move {
        while let Some(frame) = waiting.recv().await {
            if write.send(Packet::text(frame)).await.is_err() {
                return;
            }
        }
    });
    frames
        .send(r#"0{"sid":"1","pingInterval":25000,"pingTimeout":20000}"#.to_owned())
        .ok()?;
    let auth: Value = serde_json::from_str(read.next().await?.ok()?.to_text().ok()?.strip_prefix("40")?).ok()?;
    let user = bearer(auth["token"].as_str()?)?;
    frames.send(r#"40{"sid":"1"}"#.to_owned()).ok()?;
    let number = peers
        .lock()
        .expect("nobody panics with it")
        .join(user, frames, auth["since"].as_str()?);
    while let Some(Ok(frame)) = read.next().await {
        let text = frame.to_text().unwrap_or_default();
        if let Some((id, event, payload)) = request(text) {
            let mut peers = peers.lock().expect("nobody panics with it");
            peers.request(number, id, user, &event, payload);
        }
    }
    let mut peers = peers.lock().expect("nobody panics with it");
    peers.outlets.retain(|outlet| outlet.number != number);
    Some(())
}

/// Takes an event apart: its number, its name and its payload.
fn request(text: &str) -> Option<(&str, String, Value)> {
    let rest = text.strip_prefix("42")?;
    let (id, event) = rest.split_at(rest.find('[')?);
    let (name, payload) = serde_json::from_str(event).ok()?;
    Some((id, name, payload))
}

fn read<T: DeserializeOwned>(payload: Value) -> Option<T> {
    serde_json::from_value(payload).ok()
}

impl Shared {
    fn is_connected(&self, user: UserId) -> bool {
        let is_there = self.outlets.iter().any(|outlet| outlet.user == user);
        is_there || (self.manner == Manner::Lingering && self.known.contains(&user))
    }

    /// Adds a connection and pushes what it missed.
    fn join(&mut self, user: UserId, frames: UnboundedSender<String>, since: &str) -> usize {
        self.connections += 1;
        let number = self.connections;
        self.known.push(user);
        self.outlets.push(Outlet {
            number,
            user,
            resumable: false,
            frames,
        });
        if self.manner == Manner::Resetting && !since.is_empty() {
            self.emit(number, events::SYNC_RESET, json!({"message": "try again"}));
            return number;
        }
        let page = self.world.page(user, since, PUSH);
        let mut peers = Vec::new();
        for event in page.events {
            let (peer, name, payload) = match event {
                SyncEvent::Message { message } if message.receiver == Some(user) => {
                    (message.sender, events::receive_message(user), json!(message))
                }
                SyncEvent::Message { message } => (message.receiver, events::MESSAGE_SENT.to_owned(), json!(message)),
                SyncEvent::MessagesDelivered(receipt) => (None, events::MESSAGES_DELIVERED.to_owned(), json!(receipt)),
                SyncEvent::MessagesRead(receipt) => (None, events::MESSAGES_READ.to_owned(), json!(receipt)),
                SyncEvent::Settings { settings } => (None, events::SETTINGS_UPDATED.to_owned(), json!(settings)),
            };
            peers.extend(peer);
            self.emit(number, &name, payload);
        }
        for peer in peers {
            let conversation = json!(self.world.conversation(user, peer));
            self.emit(number, events::CONVERSATION_UPDATED, conversation);
        }
        let done = SyncDone {
            next: page.next,
            has_more: page.has_more,
            protocol: shared::PROTOCOL_VERSION,
        };
        self.emit(number, events::SYNC_DONE, json!(done));
        self.caught_up(number, !page.has_more);
        number
    }

    fn caught_up(&mut self, number: usize, now: bool) {
        let outlet = self.outlets.iter_mut().find(|outlet| outlet.number == number);
        outlet.into_iter().for_each(|outlet| outlet.resumable |= now);
    }

    /// Does what is asked and answers. The answer goes before the events: their cursor says that all before them
    /// was heard.
    fn request(&mut self, number: usize, id: &str, user: UserId, event: &str, payload: Value) -> Option<()> {
        match event {
            events::SEND_MESSAGE => {
                let send: SendMessage = read(payload)?;
                let key = send.client_message_id?;
                let Stored {
                    message,
                    duplicate,
                    kept,
                } = self.world.send(user, send.receiver_id, &send.message, &key);
                self.answer(
                    number,
                    id,
                    Sent {
                        message: &message,
                        duplicate,
                    },
                );
                if kept && !duplicate {
                    self.delivered(number, user, send.receiver_id, &json!(message));
                }
            }
            events::MARK_READ | events::MARK_DELIVERED => {
                let mark: MarkUpTo = read(payload)?;
                let (answer, changes) = self
                    .world
                    .mark(user, mark.peer_id, mark.up_to, event == events::MARK_READ);
                self.answer(number, id, answer);
                for change in changes {
                    let (name, receipt) = match change {
                        SyncEvent::MessagesRead(receipt) => (events::MESSAGES_READ, receipt),
                        SyncEvent::MessagesDelivered(receipt) => (events::MESSAGES_DELIVERED, receipt),
                        _ => continue,
                    };
                    self.emit_to(mark.peer_id, name, &json!(receipt), None);
                }
                self.updated(user, mark.peer_id);
            }
            events::UPDATE_SETTINGS => {
                let change: SettingsChange = read(payload)?;
                let settings = change.apply(self.world.settings.get(&user).copied().unwrap_or_default());
                self.world.set(user, settings);
                self.answer(number, id, CurrentSettings { settings });
                self.emit_to(user, events::SETTINGS_UPDATED, &json!(settings), Some(number));
            }
            events::SYNC => {
                let sync: sync::SyncRequest = read(payload)?;
                let page = self
                    .world
                    .page(user, &sync.since?, sync.limit.unwrap_or(shared::limits::MAX_PAGE));
                self.caught_up(number, !page.has_more);
                self.answer(number, id, page);
            }
            _ => return None,
        }
        Some(())
    }

    fn answer(&self, number: usize, id: &str, fields: impl Serialize) {
        let answer = serde_json::to_string(&(Answer::Ok(fields),)).expect("wire types have a JSON form");
        self.to(number, format!("43{id}{answer}"));
    }

    fn delivered(&mut self, number: usize, sender: UserId, receiver: UserId, message: &Value) {
        self.emit_to(receiver, &events::receive_message(receiver), message, None);
        self.emit_to(sender, events::MESSAGE_SENT, message, Some(number));
        self.deliveries += 1;
        if self.manner == Manner::Leaking && self.deliveries.is_multiple_of(50) {
            let stranger = self.world.stranger(sender, receiver);
            stranger
                .into_iter()
                .for_each(|other| self.emit_to(other, &events::receive_message(other), message, None));
        }
        self.updated(sender, receiver);
    }

    fn updated(&mut self, one: UserId, other: UserId) {
        for user in both(one, other) {
            let peer = if user == one { other } else { one };
            let conversation = json!(self.world.conversation(user, peer));
            self.emit_to(user, events::CONVERSATION_UPDATED, &conversation, None);
        }
    }

    fn emit_to(&mut self, user: UserId, name: &str, payload: &Value, but: Option<usize>) {
        let outlets = self
            .outlets
            .iter()
            .filter(|outlet| outlet.user == user && Some(outlet.number) != but);
        let numbers: Vec<usize> = outlets.map(|outlet| outlet.number).collect();
        for number in numbers {
            self.deliveries += 1;
            let is_message = name != events::CONVERSATION_UPDATED;
            if self.manner == Manner::Dropping && is_message && self.deliveries.is_multiple_of(50) {
                continue;
            }
            self.emit(number, name, payload.clone());
        }
    }

    fn emit(&self, number: usize, name: &str, payload: Value) {
        let outlet = self.outlets.iter().find(|outlet| outlet.number == number);
        let resumable = outlet.is_some_and(|outlet| outlet.resumable);
        let cursor = json!({"cursor": self.world.cursor()});
        let event = if resumable {
            json!([name, payload, cursor])
        } else {
            json!([name, payload])
        };
        self.to(number, format!("42{event}"));
    }

    fn to(&self, number: usize, frame: String) {
        let outlet = self.outlets.iter().find(|outlet| outlet.number == number);
        // It may have left; then it hears nothing.
        outlet
            .into_iter()
            .for_each(|outlet| drop(outlet.frames.send(frame.clone())));
    }
}
