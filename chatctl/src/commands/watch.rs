//! `chatctl watch`: everything that concerns a user, as it happens and without gaps.

use std::io::{self, IsTerminal, Write, stdout};
use std::time::Duration;

use chatctl_client::backoff::Backoff;
use chatctl_client::event::Event;
use chatctl_client::http::Http;
use chatctl_client::news::News;
use chatctl_client::request::{Reply, Request};
use chatctl_client::socket::{Connection, SocketEvent};
use chatctl_terminal::interrupt::InterruptSignals;
use chatctl_terminal::output::{self, DIM};
use serde::Serialize;
use serde_json::{Value, json};
use shared::events::{self, Answer, ConnectError};
use shared::session::RefreshToken;
use shared::sync::{SyncEvent, SyncRequest, Synced};
use shared::{ErrorCode, UserId};
use tokio::sync::mpsc::UnboundedReceiver;

use super::Context;
use crate::cli::Watch;
use crate::names::Names;

mod words;

/// How long the token of one connection holds. Each connection gets a new one.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);

/// Watches as the user that the arguments name, until Ctrl-C or SIGTERM.
pub(super) fn run(context: &Context, arguments: &Watch) -> anyhow::Result<()> {
    let me = context.user(arguments.me.as_deref(), "Who watches?")?;
    let for_people = !context.json && stdout().is_terminal();
    let mut watcher = Watcher {
        http: context.http.clone(),
        socket: context.http.socket_url()?,
        me: me.id,
        cursor: arguments.since.clone().unwrap_or_default(),
        names: for_people.then(|| Names::new(context.http.clone(), &[&me])),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let mut interrupts = InterruptSignals::listen()?;
        tokio::select! {
            outcome = watcher.watch() => outcome,
            _ = interrupts.next() => Ok(()),
        }
    });
    if !watcher.cursor.is_empty() {
        writeln!(anstream::stderr(), "{DIM}go on with --since{DIM:#} {}", watcher.cursor)?;
    }
    outcome
}

struct Watcher {
    http: Http,
    /// Where Socket.IO listens.
    socket: String,
    me: UserId,
    /// Everything before it was printed; empty to begin.
    cursor: String,
    /// There for people only.
    names: Option<Names>,
}

/// How a connection ended.
enum End {
    /// The cursor can't be used: begin at once without it.
    Reset,
    /// It was refused; try again later, unless it is the token.
    Refused(ConnectError),
    /// For this reason; try again later.
    Lost(String),
}

impl Watcher {
    async fn watch(&mut self) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        let mut accepted = false;
        loop {
            let (token, _) = self.http.secret().sign(self.me, None, TOKEN_LIFETIME);
            let (connection, events) = Connection::open(&self.socket, &token, Some(&self.cursor));
            let mut connected = false;
            let end = self.follow(&connection, events, &mut connected).await?;
            drop(connection);
            if connected {
                accepted = true;
                backoff.reset();
            }
            match end {
                End::Reset => self.cursor.clear(),
                End::Refused(refusal) if refusal.is_of_token() && !accepted => {
                    return Err(self.http.unauthorized(refusal.data).into());
                }
                End::Refused(refusal) => self.wait(&mut backoff, &refusal.to_string()).await?,
                End::Lost(reason) => self.wait(&mut backoff, &reason).await?,
            }
        }
    }

    /// Says why there is no connection, and waits before the next one.
    async fn wait(&mut self, backoff: &mut Backoff, reason: &str) -> io::Result<()> {
        let pause = backoff.next(rand::random());
        self.print_own_event(
            "disconnected",
            json!({"reason": reason, "retryInMs": pause.as_millis()}),
        )?;
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Prints what one connection brings.
    async fn follow(
        &mut self,
        connection: &Connection,
        mut events: UnboundedReceiver<SocketEvent>,
        connected: &mut bool,
    ) -> io::Result<End> {
        while let Some(event) = events.recv().await {
            match event {
                SocketEvent::Connected => {
                    *connected = true;
                    self.print_own_event("connected", json!({"userId": self.me}))?;
                }
                SocketEvent::Refused(refusal) => return Ok(End::Refused(refusal)),
                SocketEvent::Lost(reason) => return Ok(End::Lost(reason)),
                SocketEvent::Event(event) => {
                    if event.name == events::TOKEN_EXPIRING {
                        self.refresh(connection);
                    }
                    let news = News::read(self.me, &event);
                    self.print(&event)?;
                    match news {
                        Some(News::SyncDone(done)) => {
                            self.cursor.clone_from(&done.next);
                            if done.has_more {
                                self.ask(connection);
                            }
                        }
                        Some(News::SyncReset(_)) => return Ok(End::Reset),
                        _ => {}
                    }
                }
                SocketEvent::Answered(Reply::Synced(Answer::Ok(page))) => {
                    let more = page.has_more;
                    self.print_page(page)?;
                    if more {
                        self.ask(connection);
                    }
                }
                SocketEvent::Answered(Reply::Synced(Answer::Error(error))) => {
                    if error.code != ErrorCode::SyncReset {
                        return Ok(End::Lost(error.to_string()));
                    }
                    self.print_own_event(events::SYNC_RESET, json!({"message": error.message}))?;
                    return Ok(End::Reset);
                }
                SocketEvent::Answered(_) => {}
            }
        }
        Ok(End::Lost("the connection ended".to_owned()))
    }

    /// Goes on with a new token: the one of this connection ends soon.
    fn refresh(&self, connection: &Connection) {
        let (token, _) = self.http.secret().sign(self.me, None, TOKEN_LIFETIME);
        connection.request(Request::Refresh(RefreshToken { token }));
    }

    /// Asks for the next page of what was missed.
    fn ask(&self, connection: &Connection) {
        let since = Some(self.cursor.clone());
        connection.request(Request::Sync(SyncRequest { since, limit: None }));
    }

    fn print_page(&mut self, page: Synced) -> io::Result<()> {
        let last = page.events.len().saturating_sub(1);
        for (index, change) in page.events.into_iter().enumerate() {
            // Only after the last one is everything of the page printed.
            let cursor = (index == last).then(|| page.next.clone());
            let (name, payload) = as_event(self.me, change)?;
            self.print(&Event { name, payload, cursor })?;
        }
        self.cursor = page.next;
        Ok(())
    }

    /// Prints an event of this program's own.
    fn print_own_event(&mut self, name: &str, payload: Value) -> io::Result<()> {
        self.print(&Event {
            name: name.to_owned(),
            payload,
            cursor: None,
        })
    }

    fn print(&mut self, event: &Event) -> io::Result<()> {
        match &mut self.names {
            Some(names) => {
                let mut out = anstream::stdout().lock();
                writeln!(out, "{}", words::line(names, self.me, event))?;
            }
            None => output::json(&PrintedEvent {
                event: &event.name,
                payload: &event.payload,
                cursor: event.cursor.as_deref(),
            })?,
        }
        if let Some(cursor) = &event.cursor {
            self.cursor.clone_from(cursor);
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct PrintedEvent<'a> {
    event: &'a str,
    payload: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a str>,
}

/// A change from a page as the event that would have told it.
fn as_event(me: UserId, change: SyncEvent) -> serde_json::Result<(String, Value)> {
    Ok(match change {
        SyncEvent::Message { message } if message.receiver == Some(me) => {
            (events::receive_message(me), serde_json::to_value(message)?)
        }
        SyncEvent::Message { message } => (events::MESSAGE_SENT.to_owned(), serde_json::to_value(message)?),
        SyncEvent::MessagesDelivered(receipt) => {
            (events::MESSAGES_DELIVERED.to_owned(), serde_json::to_value(receipt)?)
        }
        SyncEvent::MessagesRead(receipt) => (events::MESSAGES_READ.to_owned(), serde_json::to_value(receipt)?),
        SyncEvent::Settings { settings } => (events::SETTINGS_UPDATED.to_owned(), serde_json::to_value(settings)?),
    })
}
