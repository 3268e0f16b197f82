//! What a [`ChatSession`] missed, by the server's cursor, and opening conversations from history.
//!
//! A chat begins with a cursor, then fetches the newest messages of its conversation: so nothing lies between the two.
//! Later connections ask for everything after the cursor. A server that knows no cursors, or not this one, leaves
//! only history: its newest page is looked through.

use std::time::{Duration, Instant};

use chatctl_client::http::Page;
use chatctl_client::request::Request;
use shared::conversation::{Inbox, ListConversations};
use shared::events::Answer;
use shared::limits::MAX_PAGE;
use shared::sync::{SyncEvent, SyncRequest, Synced};
use shared::{ErrorCode, Message, UserId, WireError};

use super::super::{ChatEvent, OPENING_MESSAGES};
use super::inbox_state::InboxRequest;
use super::incoming::IncomingMessage;
use super::{ChatSession, Effect, MAX_RETRY_DELAY, REFETCH_DELAY, RETRY_DELAY, due, is_retryable};
use crate::ticks::Position;

/// What a request for history is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fetch {
    /// To open the conversation.
    Opening,
    /// To find what was missed, where the cursor can't tell.
    Missed,
}

/// How far catching up is.
#[derive(Debug, Default)]
pub(super) struct CatchingUp {
    /// Everything before it was received.
    cursor: Option<String>,
    /// An answer to `sync` is awaited.
    syncing: bool,
    /// What the newest page of history holds is to be looked through.
    look_back: bool,
    fetching: Option<(UserId, Fetch)>,
    /// The inbox was asked for on this connection and answered, if only with an error.
    inbox_answered: bool,
    /// This server knows neither cursors nor inboxes.
    old_server: bool,
    refetch_at: Option<Instant>,
    resync_at: Option<Instant>,
}

impl CatchingUp {
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.refetch_at, self.resync_at].into_iter().flatten().min()
    }

    /// The connection is gone.
    pub(super) fn disconnected(&mut self) {
        (self.syncing, self.fetching, self.inbox_answered, self.old_server) = (false, None, false, false);
        (self.refetch_at, self.resync_at) = (None, None);
    }

    /// Something was heard that makes this the newest cursor. While something is still missing, it is not.
    pub(super) fn advance(&mut self, cursor: Option<String>) {
        if cursor.is_some() && self.cursor.is_some() && !self.syncing {
            self.cursor = cursor;
        }
    }

    fn is_complete(&self) -> bool {
        !self.syncing && !self.look_back && self.fetching.is_none()
    }
}

impl ChatSession {
    /// What the next connection is to begin with: an empty text asks for a cursor.
    pub(crate) fn since(&self) -> Option<&'static str> {
        self.catching_up.cursor.is_none().then_some("")
    }

    /// Whether the server knows nothing of marks, typing and presence.
    pub(super) fn is_old_server(&self) -> bool {
        self.catching_up.old_server
    }

    /// Whether something that was missed may still come.
    pub(super) fn is_catching_up(&self) -> bool {
        !self.opened || !self.catching_up.is_complete()
    }

    /// Asks for what was missed, as soon as there is a connection.
    pub(super) fn catch_up(&mut self) {
        if self.catching_up.cursor.is_some() {
            self.sync();
        } else {
            self.catching_up.look_back = self.opened;
        }
    }

    fn sync(&mut self) {
        self.catching_up.syncing = true;
        let since = self.catching_up.cursor.clone();
        self.request(Request::Sync(SyncRequest { since, limit: None }));
    }

    /// The server gave the cursor that this connection was begun for.
    pub(super) fn cursor_given(&mut self, next: String) {
        self.catching_up.cursor = Some(next);
        self.fetch();
    }

    /// The cursor is of no use any more.
    pub(super) fn cursor_refused(&mut self, reason: String) {
        self.catching_up.cursor = None;
        self.catching_up.look_back = self.opened;
        self.emit(ChatEvent::Gap(reason));
        self.sync();
    }

    /// The answer to [`Request::Sync`].
    pub(super) fn synced(&mut self, answer: Answer<Synced>) {
        match answer {
            Answer::Ok(page) => {
                for change in page.events {
                    match change {
                        SyncEvent::Message { message } => self.receive(IncomingMessage { message, missed: true }),
                        SyncEvent::MessagesDelivered(receipt) if receipt.user_id != self.me => {
                            self.emit(ChatEvent::Delivered(receipt));
                        }
                        SyncEvent::MessagesRead(receipt) if receipt.user_id != self.me => {
                            self.emit(ChatEvent::Read(receipt));
                        }
                        // The user's own receipts and settings: what they change is told by the inbox.
                        _ => {}
                    }
                }
                self.catching_up.cursor = Some(page.next);
                if page.has_more {
                    return self.sync();
                }
                self.catching_up.syncing = false;
                self.fetch();
                self.finish_catching_up();
            }
            Answer::Error(error) if error.code == ErrorCode::SyncReset => self.cursor_refused(error.message),
            Answer::Error(error) if error.code == ErrorCode::UnknownEvent => self.is_old(),
            Answer::Error(error) => self.catching_up.resync_at = Some(self.now + pause(&error)),
        }
    }

    /// The server is older than cursors and inboxes.
    fn is_old(&mut self) {
        let state = &mut self.catching_up;
        (state.old_server, state.cursor, state.syncing) = (true, None, false);
        state.look_back = self.opened;
        state.inbox_answered = true;
        self.fetch();
    }

    /// Asks for the first page of the inbox, or for the one after `cursor`.
    pub(super) fn ask_inbox(&mut self, why: InboxRequest, cursor: Option<String>) {
        if self.online && !self.catching_up.old_server {
            self.inbox_state.asked(why);
            let limit = Some(MAX_PAGE);
            self.request(Request::Inbox(ListConversations { cursor, limit }));
        }
    }

    /// The answer to [`Request::Inbox`].
    pub(super) fn inbox_answered(&mut self, answer: Answer<Inbox>) {
        match answer {
            Answer::Ok(page) => {
                let next = self.inbox_state.apply_page(page, self.now);
                if let (false, Some(next)) = (self.inbox_state.knows(self.peer), next) {
                    // How far the other one has read stands further back.
                    return self.ask_inbox(InboxRequest::Further, Some(next));
                }
                self.elsewhere();
            }
            Answer::Error(error) if error.code == ErrorCode::UnknownEvent => return self.is_old(),
            Answer::Error(error) => self.inbox_state.failed(self.now + pause(&error)),
        }
        if !std::mem::replace(&mut self.catching_up.inbox_answered, true) && self.opened {
            self.show_reach();
        }
        self.fetch();
    }

    /// The user opened another conversation.
    pub(crate) fn open(&mut self, now: Instant, with: UserId) {
        self.now = now;
        self.stop_typing();
        self.leave();
        self.peer = with;
        self.opened = false;
        self.elsewhere();
        // What is on its way is for the other conversation.
        self.ticket += 1;
        (self.catching_up.fetching, self.catching_up.refetch_at) = (None, None);
        match self.inbox_state.unexplored(with) {
            Some(next) if self.online => {
                self.catching_up.inbox_answered = false;
                self.ask_inbox(InboxRequest::Further, Some(next));
            }
            _ => self.fetch(),
        }
    }

    /// Fetches from history what is needed, once it is known from where on the rest will be told.
    fn fetch(&mut self) {
        let state = &mut self.catching_up;
        let begun = state.inbox_answered && (state.cursor.is_some() || state.old_server);
        if !self.online || !begun || state.fetching.is_some() {
            return;
        }
        let (what, page) = match (self.opened, state.look_back) {
            (false, _) => (Fetch::Opening, Page::Newest(OPENING_MESSAGES)),
            (true, true) => (Fetch::Missed, Page::Newest(MAX_PAGE)),
            (true, false) => return,
        };
        state.fetching = Some((self.peer, what));
        self.ticket += 1;
        self.effects.push_back(Effect::Fetch {
            ticket: self.ticket,
            with: self.peer,
            page,
        });
    }

    /// The answer to [`Effect::Fetch`].
    pub(crate) fn fetched(&mut self, now: Instant, ticket: u64, answer: Result<Vec<Message>, String>) {
        self.now = now;
        if ticket != self.ticket {
            return;
        }
        let Some((with, what)) = self.catching_up.fetching.take() else {
            return;
        };
        self.history_failed &= answer.is_err();
        match (answer, what) {
            (Err(reason), _) => {
                if !std::mem::replace(&mut self.history_failed, true) {
                    self.emit(ChatEvent::HistoryFailed(reason));
                }
                self.catching_up.refetch_at = Some(now + REFETCH_DELAY);
            }
            (Ok(messages), Fetch::Opening) => {
                self.catching_up.look_back = false;
                self.show_reach();
                self.show_opening(with, messages);
                if !std::mem::replace(&mut self.begun, true) {
                    self.emit(ChatEvent::Connected);
                }
                self.follow();
                self.finish_catching_up();
            }
            (Ok(messages), Fetch::Missed) => {
                self.catching_up.look_back = false;
                let floor = self.floor;
                let newer = |message: &Message| floor.is_none_or(|floor| Position::of(message).reaches(floor));
                for message in messages.into_iter().filter(newer) {
                    self.receive(IncomingMessage { message, missed: true });
                }
                self.finish_catching_up();
            }
        }
    }

    /// Tells that nothing is missing any more, if that is so.
    fn finish_catching_up(&mut self) {
        if !self.is_catching_up() {
            self.emit(ChatEvent::CaughtUp(self.catching_up.cursor.clone()));
            self.follow();
            self.release_held();
        }
        self.pump();
    }

    /// Asks again for what could not be had.
    pub(super) fn catching_up_is_due(&mut self) {
        let now = self.now;
        if due(&mut self.catching_up.refetch_at, now) {
            self.fetch();
        }
        if due(&mut self.catching_up.resync_at, now) {
            self.sync();
        }
    }

    /// Tells how far the other one has received and read.
    fn show_reach(&mut self) {
        let (delivered, read) = self.inbox_state.reach(self.peer);
        self.emit(ChatEvent::Reached {
            with: self.peer,
            delivered,
            read,
        });
    }
}

/// How long to wait before asking again.
fn pause(error: &WireError) -> Duration {
    match error.retry_after_ms {
        Some(millis) if is_retryable(error) => Duration::from_millis(millis).clamp(RETRY_DELAY, MAX_RETRY_DELAY),
        _ => REFETCH_DELAY,
    }
}
