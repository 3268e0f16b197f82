//! What a [`ChatSession`] knows of all conversations: how much is unread in them, and how far others have read.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use shared::conversation::{Conversation, Inbox};
use shared::limits::MAX_UNREAD;
use shared::{MessageId, UserId};

use super::super::ChatEvent;
use super::{ChatSession, due};

/// The inbox is asked for again at most this often.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// More conversations than this are not remembered one by one.
const MAX_CONVERSATIONS: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Entry {
    unread: u32,
    peer_delivered: Option<MessageId>,
    peer_read: Option<MessageId>,
}

impl From<&Conversation> for Entry {
    fn from(conversation: &Conversation) -> Self {
        Self {
            unread: conversation.unread,
            peer_delivered: conversation.peer_delivered_up_to,
            peer_read: conversation.peer_read_up_to,
        }
    }
}

/// Why a page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InboxRequest {
    /// Nothing is known any more: changes may have been missed.
    Anew,
    /// To look further down.
    Further,
    /// For the number of unread messages in all.
    Refresh,
}

/// The conversations. Those that are not known one by one are counted together.
#[derive(Debug, Default)]
pub(super) struct InboxState {
    known: HashMap<UserId, Entry>,
    /// Unread messages of the conversations that are not known.
    rest: u32,
    /// Where the pages that were not read go on.
    next: Option<String>,
    /// The requests that are not answered, oldest first.
    asked: VecDeque<InboxRequest>,
    /// What changed since the first of them was made; its answer may be older.
    meanwhile: HashMap<UserId, Entry>,
    refresh_at: Option<Instant>,
    told: Option<u32>,
}

impl InboxState {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.refresh_at
    }

    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        due(&mut self.refresh_at, now)
    }

    pub(super) fn disconnected(&mut self) {
        self.asked.clear();
        self.meanwhile.clear();
        self.refresh_at = None;
    }

    /// A page was asked for.
    pub(super) fn asked(&mut self, why: InboxRequest) {
        self.asked.push_back(why);
    }

    /// Asking failed; it will be asked again.
    pub(super) fn failed(&mut self, again_at: Instant) {
        self.asked.pop_front();
        self.refresh_at = Some(again_at);
    }

    /// Takes a page; where the next one begins, if looking further down is what it was for.
    pub(super) fn apply_page(&mut self, page: Inbox, now: Instant) -> Option<String> {
        let why = self.asked.pop_front();
        if why == Some(InboxRequest::Anew) {
            self.known.clear();
        }
        let entries = page.conversations.iter().map(|c| (c.peer_id, Entry::from(c)));
        self.known.extend(entries);
        // The server counts them and lists the page at two moments: where the list ends, there is no rest.
        self.rest = match &page.next {
            Some(_) => page.total_unread.saturating_sub(self.sum()),
            None => 0,
        };
        for (peer, entry) in std::mem::take(&mut self.meanwhile) {
            self.change(peer, entry, now);
        }
        if why == Some(InboxRequest::Refresh) {
            return None;
        }
        self.next = page.next.filter(|_| self.known.len() < MAX_CONVERSATIONS);
        self.next.clone()
    }

    /// One conversation changed.
    fn change(&mut self, peer: UserId, entry: Entry, now: Instant) {
        if !self.asked.is_empty() {
            self.meanwhile.insert(peer, entry);
        }
        let was_known = self.known.insert(peer, entry).is_some();
        // How much of the rest was this one's can't be told; and what is counted to its limit only is not exact.
        if (!was_known && self.rest > 0) || self.sum() + self.rest >= MAX_UNREAD || self.known.len() > MAX_CONVERSATIONS
        {
            self.refresh_at.get_or_insert(now + REFRESH_INTERVAL);
        }
    }

    fn sum(&self) -> u32 {
        let unread = self.known.values().map(|entry| entry.unread);
        unread.fold(0, u32::saturating_add)
    }

    /// Whether a conversation is known.
    pub(super) fn knows(&self, peer: UserId) -> bool {
        self.known.contains_key(&peer)
    }

    /// Where to look further for a conversation that may exist.
    pub(super) fn unexplored(&self, peer: UserId) -> Option<String> {
        self.next.clone().filter(|_| !self.knows(peer))
    }

    /// Up to where the other one of a conversation has received and read.
    pub(super) fn reach(&self, peer: UserId) -> (Option<MessageId>, Option<MessageId>) {
        let entry = self.known.get(&peer);
        entry.map_or((None, None), |entry| (entry.peer_delivered, entry.peer_read))
    }

    /// Unread messages of all conversations but one.
    fn elsewhere(&self, but: UserId) -> u32 {
        let here = self.known.get(&but).map_or(0, |entry| entry.unread);
        (self.sum() - here).saturating_add(self.rest).min(MAX_UNREAD)
    }
}

impl ChatSession {
    /// The server told how a conversation is now.
    pub(super) fn conversation_changed(&mut self, conversation: Box<Conversation>) {
        let entry = Entry::from(&*conversation);
        self.inbox_state.change(conversation.peer_id, entry, self.now);
        self.emit(ChatEvent::Conversation(conversation));
        self.elsewhere();
    }

    /// Tells how much is unread elsewhere, if that has changed.
    pub(super) fn elsewhere(&mut self) {
        let count = self.inbox_state.elsewhere(self.peer);
        if self.inbox_state.told.replace(count).unwrap_or(0) != count {
            self.emit(ChatEvent::Elsewhere(count));
        }
    }
}
