//! What a [`ChatSession`] and the other one let each other know besides messages: who is there, and who is typing.

use std::time::{Duration, Instant};

use chatctl_client::request::Request;
use shared::events::Answer;
use shared::limits::TYPING_TIMEOUT;
use shared::presence::{PresentNow, SetTyping, Typing};
use shared::{ErrorCode, Presence, UserId};

use super::super::ChatEvent;
use super::{ChatSession, due};

/// Whoever goes on typing says so this often at most.
const TYPING_INTERVAL: Duration = Duration::from_secs(3);
/// Whoever has not pressed a key for this long has stopped.
const TYPING_IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// The other one is forgotten to type if nothing is heard for this long; the server tells it sooner.
const PEER_TYPING_TIMEOUT: Duration = TYPING_TIMEOUT.saturating_add(Duration::from_secs(2));

/// What was let known.
#[derive(Debug, Default)]
pub(super) struct PresenceAndTyping {
    /// Whose presence was asked for on this connection.
    followed: Option<UserId>,
    /// The server refused that: no message was exchanged with them yet.
    stranger: bool,
    /// Something is being typed, and until when that is believed without another key.
    typing_until: Option<Instant>,
    /// The other one was told so.
    told: bool,
    /// When they were told last.
    sent_at: Option<Instant>,
    /// When they are to be told, because it was too soon.
    send_at: Option<Instant>,
    /// Who types, and until when that is believed.
    theirs: Option<(UserId, Instant)>,
}

impl PresenceAndTyping {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let theirs = self.theirs.map(|(_, until)| until);
        [self.typing_until, self.send_at, theirs].into_iter().flatten().min()
    }

    pub(super) fn disconnected(&mut self) {
        *self = Self::default();
    }
}

impl ChatSession {
    /// A key was pressed and something is being typed, or nothing any more.
    pub(crate) fn typed(&mut self, now: Instant, is_typing: bool) {
        self.now = now;
        if !is_typing {
            return self.stop_typing();
        }
        if !self.online || !self.begun || self.peer == self.me || self.is_old_server() {
            return;
        }
        self.presence_and_typing.typing_until = Some(now + TYPING_IDLE_TIMEOUT);
        match self.presence_and_typing.sent_at.map(|at| at + TYPING_INTERVAL) {
            Some(next) if now < next => {
                self.presence_and_typing.send_at = (!self.presence_and_typing.told).then_some(next)
            }
            _ => self.start_typing(),
        }
    }

    fn start_typing(&mut self) {
        let presence_and_typing = &mut self.presence_and_typing;
        (
            presence_and_typing.told,
            presence_and_typing.sent_at,
            presence_and_typing.send_at,
        ) = (true, Some(self.now), None);
        self.send_typing(true);
    }

    pub(super) fn stop_typing(&mut self) {
        (self.presence_and_typing.typing_until, self.presence_and_typing.send_at) = (None, None);
        if std::mem::take(&mut self.presence_and_typing.told) {
            self.send_typing(false);
        }
    }

    fn send_typing(&mut self, is_typing: bool) {
        let receiver_id = self.peer;
        self.request(Request::Typing(SetTyping { receiver_id, is_typing }));
    }

    /// Asks for the presence of the other one of the open conversation.
    pub(super) fn follow(&mut self) {
        let peer = self.peer;
        if self.online && peer != self.me && self.presence_and_typing.followed != Some(peer) {
            self.presence_and_typing.followed = Some(peer);
            self.presence_and_typing.stranger = false;
            self.request(Request::Follow(peer));
        }
    }

    /// The open conversation is left.
    pub(super) fn leave(&mut self) {
        if let Some(peer) = self.presence_and_typing.followed.take()
            && !self.presence_and_typing.stranger
        {
            self.request(Request::Unfollow(peer));
        }
    }

    /// The answer to [`Request::Follow`].
    pub(super) fn following(&mut self, user: UserId, answer: Answer<PresentNow>) {
        if self.presence_and_typing.followed != Some(user) {
            return;
        }
        match answer {
            Answer::Ok(now) => now
                .presence
                .into_iter()
                .for_each(|presence| self.presence_changed(presence)),
            // An old server never will.
            Answer::Error(error) => {
                self.presence_and_typing.stranger = error.code != ErrorCode::UnknownEvent;
                if error.code == ErrorCode::Forbidden {
                    self.emit(ChatEvent::Stranger(user));
                }
            }
        }
    }

    /// A message was exchanged with somebody.
    pub(super) fn acquainted(&mut self, with: UserId) {
        if self.presence_and_typing.stranger && with == self.peer {
            self.presence_and_typing.followed = None;
            self.follow();
        }
    }

    pub(super) fn presence_changed(&mut self, presence: Presence) {
        if presence.user_id == self.peer {
            self.emit(ChatEvent::Presence(presence));
        }
    }

    pub(super) fn typing_changed(&mut self, typing: Typing) {
        if typing.user_id == self.peer {
            let until = self.now + PEER_TYPING_TIMEOUT;
            self.presence_and_typing.theirs = typing.is_typing.then_some((typing.user_id, until));
        }
        self.emit(ChatEvent::Typing(typing));
    }

    pub(super) fn presence_and_typing_are_due(&mut self) {
        let now = self.now;
        if due(&mut self.presence_and_typing.typing_until, now) {
            self.stop_typing();
        }
        if due(&mut self.presence_and_typing.send_at, now) {
            self.start_typing();
        }
        if let Some((user_id, _)) = self.presence_and_typing.theirs.take_if(|(_, until)| *until <= now) {
            let is_typing = false;
            self.emit(ChatEvent::Typing(Typing { user_id, is_typing }));
        }
    }
}
