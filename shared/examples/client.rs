//! A chat client in a terminal. It keeps the messages of its user in a file, and whatever fails, it misses nothing
//! and sends nothing twice: not when it is killed, not when the server is.
//!
//! ```sh
//! TOKEN=… cargo run --example client -- http://127.0.0.1:5000 copy.json RECEIVER
//! ```
//!
//! It sends each line that you type to the user RECEIVER, an id, and prints what arrives. Without RECEIVER it only
//! listens. It begins with what happens from now on; `client.mjs` shows how older messages are fetched, over HTTP.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, bail};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::FutureExt;
use rust_socketio::asynchronous::{Client, ClientBuilder};
use rust_socketio::{Event, Payload, TransportType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep, sleep_until};

/// How long an answer may take. A connection without one is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the server is asked something when there is nothing to ask: `rust_socketio` does not tell of every end.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The copy. One file holds all of it, so that its parts always fit each other.
#[derive(Default, Serialize, Deserialize)]
struct LocalCopy {
    /// Every message, by its `_id`.
    messages: BTreeMap<String, Value>,
    /// Everything that happened up to this point is in `messages`; only the server reads it.
    cursor: String,
    /// What the server has not acknowledged yet: payloads of `send_message`, oldest first.
    unsent: VecDeque<Value>,
    #[serde(skip)]
    file: String,
}

impl LocalCopy {
    fn save(&self) -> anyhow::Result<()> {
        let new = format!("{}.new", self.file);
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::File::open(&new)?.sync_all()?;
        Ok(fs::rename(&new, &self.file)?) // The old copy or the new one, never half of it.
    }

    /// Takes a message; whether it is new. It can come twice, live and from the catching up, and the older version last.
    fn keep(&mut self, message: &Value) -> bool {
        let id = message["_id"].as_str().unwrap_or_default();
        let known = self.messages.get(id);
        let is_new = known.is_none();
        if known.is_none_or(|known| known["updatedAt"].as_str() <= message["updatedAt"].as_str()) {
            self.messages.insert(id.to_owned(), message.clone());
        }
        is_new
    }
}

/// What the library's callbacks pass on, in order. They do nothing else: one that waits would hold up all others.
enum Incoming {
    Event { name: String, values: Vec<Value> },
    Answer(Value),
    Lost(String),
}

/// What was asked and not answered yet. One request at a time, so that messages keep their order.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Sync,
    Send,
    Check,
}

/// The user's side of one connection.
struct Session<'a> {
    me: &'a str,
    receiver: Option<&'a str>,
    copy: &'a mut LocalCopy,
    client: Client,
    incoming: Sender<Incoming>,
    asked: Option<Asked>,
    /// When there has to be an answer, or else the time of the next check.
    deadline: Instant,
    /// This connection has brought everything that was missed: from now on its cursors count.
    complete: bool,
}

impl Session<'_> {
    async fn ask(&mut self, what: Asked, event: &str, payload: Value) -> anyhow::Result<()> {
        self.asked = Some(what);
        self.deadline = Instant::now() + ANSWER_TIMEOUT;
        let incoming = self.incoming.clone();
        let answered = move |payload: Payload, _: Client| {
            let incoming = incoming.clone();
            // The library wraps the arguments of an acknowledgement in one more array.
            let answer = values(payload).first().map_or(Value::Null, |values| values[0].clone());
            async move { drop(incoming.send(Incoming::Answer(answer)).await) }.boxed()
        };
        Ok(self
            .client
            .emit_with_ack(event, payload, ANSWER_TIMEOUT, answered)
            .await?)
    }

    /// The next request: what was typed, oldest first, or a check.
    async fn ask_next(&mut self) -> anyhow::Result<()> {
        match self.copy.unsent.front().cloned() {
            // Sent until it is answered. The server stores each `clientMessageId` once.
            Some(message) => self.ask(Asked::Send, "send_message", message).await,
            None if Instant::now() >= self.deadline => self.ask(Asked::Check, "update_settings", json!({})).await,
            None => Ok(()),
        }
    }

    /// Shows and stores a message, then confirms it to its sender.
    async fn receive(&mut self, message: &Value) -> anyhow::Result<()> {
        let id = message["_id"].as_str().unwrap_or_default();
        if self.copy.messages.get(id) == Some(message) {
            return Ok(()); // It is in the file, and a write costs most of the time.
        }
        let is_new = self.copy.keep(message);
        self.copy.save()?;
        let sender = message["sender"].as_str().unwrap_or_default();
        if !is_new {
            return Ok(());
        }
        let text = message["message"].as_str().unwrap_or_default();
        println!("{}: {text}", if sender == self.me { "me" } else { sender });
        if sender != self.me {
            let event = if Some(sender) == self.receiver {
                "mark_read"
            } else {
                "mark_delivered"
            };
            self.client
                .emit(event, json!({ "peerId": sender, "upTo": message["_id"] }))
                .await?;
        }
        Ok(())
    }

    /// An event of the server. From `sync_done` on its second argument holds a cursor.
    async fn event(&mut self, name: &str, values: &[Value]) -> anyhow::Result<()> {
        let payload = values.first().unwrap_or(&Value::Null);
        match name {
            "message_sent" => self.receive(payload).await?,
            name if name.strip_prefix("receive_message_") == Some(self.me) => self.receive(payload).await?,
            "messages_read" => {
                let up_to = self.copy.messages.get(payload["upTo"].as_str().unwrap_or_default());
                let text = up_to
                    .and_then(|message| message["message"].as_str())
                    .unwrap_or_default();
                println!(
                    "messages_read by {} up to: {text}",
                    payload["userId"].as_str().unwrap_or_default()
                );
            }
            "sync_done" => return self.caught_up(payload).await,
            "sync_reset" => {
                self.copy.cursor.clear(); // The database is another one: begin anew.
                self.copy.save()?;
                bail!("the server has another database");
            }
            _ => {}
        }
        if let (true, Some(cursor)) = (self.complete, values.get(1).and_then(|at| at["cursor"].as_str())) {
            self.copy.cursor = cursor.to_owned();
            self.copy.save()?;
        }
        Ok(())
    }

    /// A page has come; more than 1,000 missed changes have further ones.
    async fn caught_up(&mut self, page: &Value) -> anyhow::Result<()> {
        let next = page["next"].as_str().context("a page without a cursor")?;
        if page["hasMore"] == true {
            return self.ask(Asked::Sync, "sync", json!({ "since": next })).await;
        }
        self.copy.cursor = next.to_owned();
        self.complete = true;
        self.copy.save()
    }

    async fn answer(&mut self, answer: &Value) -> anyhow::Result<()> {
        let asked = self.asked.take();
        self.deadline = Instant::now() + CHECK_INTERVAL;
        let error = &answer["error"];
        match asked {
            _ if error["retryAfterMs"].is_u64() => {
                sleep(Duration::from_millis(
                    error["retryAfterMs"].as_u64().unwrap_or_default(),
                ))
                .await;
                if asked == Some(Asked::Sync) {
                    bail!("{error}"); // A new connection catches up by itself.
                }
            }
            Some(Asked::Send) => {
                if answer["ok"] == true {
                    self.receive(&answer["message"]).await?;
                } else {
                    eprintln!("not sent: {}", error["message"]);
                }
                self.copy.unsent.pop_front();
                self.copy.save()?;
            }
            Some(Asked::Sync) => {
                for event in answer["events"].as_array().into_iter().flatten() {
                    if event["type"] == "message" {
                        self.receive(&event["message"]).await?;
                    }
                }
                self.caught_up(answer).await?;
            }
            Some(Asked::Check) | None => {}
        }
        Ok(())
    }
}

fn values(payload: Payload) -> Vec<Value> {
    match payload {
        Payload::Text(values) => values,
        _ => Vec::new(), // Binary, which this protocol does not use.
    }
}

/// One connection, from its opening until it is lost.
async fn connection(
    (url, token): (&str, &str),
    (me, receiver): (&str, Option<&str>),
    copy: &mut LocalCopy,
    typed: &mut Receiver<String>,
) -> anyhow::Result<()> {
    let (incoming, mut arriving) = mpsc::channel(64);
    let [events, errors, ends] = std::array::from_fn(|_| incoming.clone());
    let client = ClientBuilder::new(url)
        .transport_type(TransportType::Websocket)
        .reconnect(false) // It would use the old cursor.
        .auth(json!({ "token": token, "since": copy.cursor }))
        .on_any(move |name, payload, _| {
            let (events, name, values) = (events.clone(), name.into(), values(payload));
            async move { drop(events.send(Incoming::Event { name, values }).await) }.boxed()
        })
        .on(Event::Error, move |payload, _| {
            let (errors, text) = (errors.clone(), format!("{:?}", values(payload)));
            async move { drop(errors.send(Incoming::Lost(text)).await) }.boxed()
        })
        .on(Event::Close, move |_, _| {
            let ends = ends.clone();
            async move { drop(ends.send(Incoming::Lost("the connection ended".to_owned())).await) }.boxed()
        })
        .connect()
        .await?;
    let (asked, complete, deadline) = (None, false, Instant::now() + ANSWER_TIMEOUT);
    let mut session = Session {
        me,
        receiver,
        copy,
        client,
        incoming,
        asked,
        deadline,
        complete,
    };
    loop {
        if session.complete && session.asked.is_none() {
            session.ask_next().await?;
        }
        tokio::select! {
            Some(arrived) = arriving.recv() => {
                match arrived {
                    Incoming::Event { name, values } => session.event(&name, &values).await?,
                    Incoming::Answer(answer) => session.answer(&answer).await?,
                    Incoming::Lost(why) => bail!(why),
                }
                if !session.complete {
                    // What was missed is coming, however long our disk takes for it.
                    session.deadline = Instant::now() + ANSWER_TIMEOUT;
                }
            }
            // In the file before it is sent.
            Some(message) = typed.recv() => {
                let id = uuid::Uuid::now_v7();
                session.copy.unsent.push_back(
                    json!({ "receiverId": receiver, "message": message, "clientMessageId": id }),
                );
                session.copy.save()?;
            }
            () = sleep_until(session.deadline) => {
                if session.asked.is_some() || !session.complete {
                    bail!("the server does not answer");
                }
            }
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().context("the server's address is missing")?;
    let file = arguments.next().context("the file of the copy is missing")?;
    let receiver = arguments.next();
    let token = std::env::var("TOKEN").context("TOKEN is missing")?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).context("TOKEN is no token")?)?;
    let claims: Value = serde_json::from_slice(&claims)?;
    let me = claims["userId"].as_str().context("the token names no user")?;

    let stored = fs::read(&file).ok();
    let mut copy: LocalCopy = stored.map_or_else(|| Ok(LocalCopy::default()), |text| serde_json::from_slice(&text))?;
    copy.file = file;
    let (typing, mut typed) = mpsc::channel(16);
    if receiver.is_some() {
        std::thread::spawn(move || {
            io::stdin()
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| typing.blocking_send(line))
        });
    }
    loop {
        let end = connection((&url, &token), (me, receiver.as_deref()), &mut copy, &mut typed).await;
        let why = end.err().map_or_else(String::new, |error| error.to_string());
        if why.contains("Authentication error") {
            bail!(why); // Here an app asks its backend for a new token.
        }
        eprintln!("{why}; connecting again");
        sleep(Duration::from_secs(1)).await;
    }
}
