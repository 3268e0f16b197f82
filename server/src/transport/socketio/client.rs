//! One connection's client: the way to it for [`crate::delivery`], by which token it was let in, and how it ends.
//!
//! A connection that is to end is sent why, its requests are refused from then on, and a moment later its transport is closed:
//! so what was said gets out. A stock client then connects again, asks its `auth` function for a token, and is let in or
//! refused for good by that. One that an administrator disconnects leaves the namespace first: that client stays away.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use axum::http::header;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use shared::admin::{ConnectionInfo, LastEvent, SessionEnded};
use shared::session::TokenEnd;
use shared::{Timestamp, UserId, WireError, events};
use socketioxide::TransportType;
use socketioxide::socket::Socket;

use super::emit;
use super::timers::{Moment, Timed, Timers};
use crate::auth::Caller;
use crate::config::TokenExpiry;
use crate::delivery::client::{Client, Emitted, Ending, Transport};
use crate::error;
use crate::transport::tcp::end_reason::EndReason;
use crate::transport::tcp::link::Link;

/// How long before its token ends a connection is told that, in milliseconds.
const NOTICE: i64 = 60_000;

/// Time until it is tried again to tell a connection that is just being made, in milliseconds.
const NOTICE_RETRY: i64 = 200;

/// How long what was said last has to get out before the transport is closed, in milliseconds.
const GRACE: i64 = 100;

/// One connection's client. It does not keep the connection's socket: that is dropped, without any event, if its
/// client leaves before it was let in.
pub struct SocketClient {
    this: Weak<Self>,
    socket: Weak<Socket>,
    link: Link,
    user: UserId,
    since: Timestamp,
    timers: Arc<Timers>,
    /// Whether it ends with its token.
    live: bool,
    /// The names of the events that clients may send.
    names: Arc<[&'static str]>,
    /// The place of the last event in `names`, from 1 on, and the second of the registry in which it came.
    last_event: AtomicU64,
    /// Whether it is being ended.
    ended: AtomicBool,
    /// Held to look at it or to change it, and to set a moment.
    state: Mutex<State>,
}

struct State {
    caller: Caller,
    ending: Option<Ending>,
    /// When it is told that its token ends; `None` once it was told.
    notice: Option<Timestamp>,
    moment: Option<Moment>,
}

impl State {
    fn expires_at(&self) -> Option<Timestamp> {
        let seconds = self.caller.expires_at?;
        Some(Timestamp::from_millis(seconds.saturating_mul(1_000)))
    }
}

impl SocketClient {
    /// The client of this socket, whose link it is, let in with this token.
    pub fn new(
        socket: &Arc<Socket>,
        link: Link,
        caller: Caller,
        timers: &Arc<Timers>,
        expiry: TokenExpiry,
        names: &Arc<[&'static str]>,
    ) -> Arc<Self> {
        let client = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            socket: Arc::downgrade(socket),
            link,
            user: caller.user,
            since: timers.now(),
            timers: Arc::clone(timers),
            live: expiry == TokenExpiry::Live,
            names: Arc::clone(names),
            last_event: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            state: Mutex::new(State {
                caller,
                ending: None,
                notice: None,
                moment: None,
            }),
        });
        let mut state = client.state.lock();
        state.notice = state.expires_at().map(|end| earlier(end, NOTICE));
        client.watch_token(&mut state);
        drop(state);
        client
    }

    /// Goes on with another token of its user. Returns when that ends.
    pub(super) fn refresh(&self, caller: Caller) -> Option<Timestamp> {
        let mut state = self.state.lock();
        state.caller = caller;
        if state.ending.is_none() {
            let now = self.timers.now().millis();
            state.notice = state.expires_at().map(|end| {
                let left = end.millis().saturating_sub(now);
                // A client that is told at once would ask at once for the next one, again and again.
                let before = if left > NOTICE { NOTICE } else { left / 2 };
                earlier(end, before)
            });
            self.watch_token(&mut state);
        }
        state.expires_at()
    }

    /// Sets the moment at which something has to be done about its token.
    fn watch_token(&self, state: &mut State) {
        match (state.expires_at().filter(|_| self.live), state.notice) {
            (Some(end), Some(notice)) => self.set_moment(state, notice.min(end)),
            (Some(end), None) => self.set_moment(state, end),
            (None, _) => self.remove_moment(state),
        }
    }

    fn remove_moment(&self, state: &mut State) {
        if let Some(moment) = state.moment.take() {
            self.timers.remove(moment);
        }
    }

    /// Why its requests are refused, if they are.
    pub(super) fn refusal(&self) -> Option<WireError> {
        if !self.ended.load(Ordering::Relaxed) {
            return None;
        }
        self.state.lock().ending.as_ref().map(error::ended)
    }

    /// Why it is being ended, as its client is told, if it is.
    pub(super) fn ending(&self) -> Option<&'static str> {
        let state = self.state.lock();
        state.ending.as_ref().map(|ending| error::ended(ending).code.as_str())
    }

    /// It has sent the event of this place in the table.
    pub(super) fn sent_event(&self, place: usize) {
        let last = (place as u64 + 1) << 32 | u64::from(self.link.second());
        self.last_event.store(last, Ordering::Relaxed);
    }

    /// The connection has ended. One that is being ended keeps its moment, at which its transport is closed.
    pub(super) fn left(&self) {
        let mut state = self.state.lock();
        if state.ending.is_none() {
            self.remove_moment(&mut state);
        }
    }

    fn set_moment(&self, state: &mut State, at: Timestamp) {
        let this: Weak<dyn Timed> = self.this.clone();
        state.moment = Some(self.timers.set(state.moment.take(), at, this));
    }

    fn emit_payload(&self, event: &str, payload: &impl Serialize) -> Emitted {
        match to_raw_value(payload) {
            Ok(payload) => self.emit(event, &payload, None),
            Err(error) => {
                tracing::error!(%error, event, "client: an event could not be serialised");
                Emitted::Dropped
            }
        }
    }

    fn last_event(&self) -> Option<LastEvent> {
        let last = self.last_event.load(Ordering::Relaxed);
        let place = usize::try_from(last >> 32).ok()?.checked_sub(1)?;
        let ago = i64::from(self.link.second()).saturating_sub((last & u64::from(u32::MAX)).cast_signed());
        Some(LastEvent {
            name: (*self.names.get(place)?).to_owned(),
            at: Timestamp::from_millis(self.timers.now().millis().saturating_sub(ago * 1_000)),
        })
    }
}

fn earlier(time: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(time.millis().saturating_sub(millis))
}

fn transport(socket: &Socket) -> Transport {
    match socket.transport_type() {
        TransportType::Polling => Transport::Polling,
        TransportType::Websocket => Transport::WebSocket,
    }
}

impl Client for SocketClient {
    fn emit(&self, event: &str, payload: &RawValue, second: Option<&RawValue>) -> Emitted {
        fail::fail_point!("socketio::emit", |_| Emitted::NotConnected);
        let Some(socket) = self.socket.upgrade().filter(|socket| socket.connected()) else {
            return Emitted::NotConnected;
        };
        match emit::json_event(&socket, &self.link, event, payload, second) {
            true => Emitted::Sent,
            false => Emitted::Dropped,
        }
    }

    fn waiting(&self) -> usize {
        self.link.account().waiting()
    }

    fn transport(&self) -> Option<Transport> {
        self.socket.upgrade().map(|socket| transport(&socket))
    }

    fn end_unread(&self) {
        self.link.end(EndReason::Unread);
    }

    fn issued_at(&self) -> Option<i64> {
        self.state.lock().caller.issued_at
    }

    fn end(&self, ending: Ending) {
        let mut state = self.state.lock();
        if state.ending.is_some() {
            return;
        }
        // It may have been refreshed in this moment, and is told that it goes on.
        if matches!(ending, Ending::Expired) && state.expires_at().is_none_or(|end| self.timers.now() < end) {
            return self.watch_token(&mut state);
        }
        let earliest = self.timers.now().millis().saturating_add(GRACE);
        let at = match &ending {
            // A client that comes back before this could bring no token that is good.
            Ending::Revoked { before } => before.millis().max(earliest).min(earliest.saturating_add(1_000)),
            Ending::Banned(_) | Ending::Expired | Ending::Disconnected => earliest,
        };
        let WireError {
            code, message, until, ..
        } = error::ended(&ending);
        let leaves = matches!(ending, Ending::Disconnected);
        let expired = state.expires_at().filter(|_| matches!(ending, Ending::Expired));
        tracing::debug!(connection = self.link.name(), user = %self.user, code = %code, "connect: a connection is ended");
        state.ending = Some(ending);
        self.ended.store(true, Ordering::Relaxed);
        self.set_moment(&mut state, Timestamp::from_millis(at));
        // The library may call back that it left.
        drop(state);
        match expired {
            Some(expires_at) => self.emit_payload(events::TOKEN_EXPIRED, &TokenEnd { expires_at }),
            None => self.emit_payload(events::SESSION_ENDED, &SessionEnded { code, message, until }),
        };
        if leaves && let Some(socket) = self.socket.upgrade() {
            // If it can't be sent that, the transport says it.
            let _ = socket.disconnect();
        }
    }

    fn describe(&self, id: String) -> ConnectionInfo {
        let socket = self.socket.upgrade();
        let transport = socket.as_ref().map(|socket| transport(socket).name());
        let agent = socket
            .as_ref()
            .and_then(|socket| socket.req_parts().headers.get(header::USER_AGENT));
        let expires_at = self.state.lock().expires_at();
        ConnectionInfo {
            id,
            since: self.since,
            address: self.link.client().to_string(),
            transport: transport.unwrap_or("closed").to_owned(),
            user_agent: agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned()),
            token_expires_at: expires_at,
            last_event: self.last_event(),
        }
    }
}

impl Timed for SocketClient {
    fn is_due(&self, now: Timestamp) {
        let mut state = self.state.lock();
        if state.ending.is_some() {
            drop(state);
            return self.link.close();
        }
        // It may have been refreshed meanwhile.
        let Some(expires_at) = state.expires_at().filter(|_| self.live) else {
            return;
        };
        if now >= expires_at {
            drop(state);
            return self.end(Ending::Expired);
        }
        if state.notice.is_none_or(|notice| now < notice) {
            return self.watch_token(&mut state);
        }
        state.notice = None;
        self.watch_token(&mut state);
        drop(state);
        if self.emit_payload(events::TOKEN_EXPIRING, &TokenEnd { expires_at }) == Emitted::NotConnected {
            // It is just being made.
            let mut state = self.state.lock();
            if state.ending.is_none() {
                state.notice = Some(Timestamp::from_millis(now.millis().saturating_add(NOTICE_RETRY)));
                self.watch_token(&mut state);
            }
        }
    }
}

impl Drop for SocketClient {
    fn drop(&mut self) {
        if let Some(moment) = self.state.get_mut().moment.take() {
            self.timers.remove(moment);
        }
    }
}
