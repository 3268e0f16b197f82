//! What a peer keeps: users, messages, watermarks, settings, and the feed of their changes, whose length is the cursor.

use std::collections::HashMap;

use serde_json::{Value, json};
use shared::conversation::{Inbox, MarkedUpTo};
use shared::sync::{Receipt, Synced};
use shared::{Conversation, Message, MessageId, Settings, SyncEvent, Timestamp, UserId};

use super::Manner;

/// A watermark: whose, about whose messages; up to where was read and received, as numbers of messages.
type Marks = HashMap<(UserId, UserId), (Option<usize>, Option<usize>)>;

/// All of it.
pub(super) struct World {
    manner: Manner,
    users: Vec<(String, UserId)>,
    messages: Vec<Message>,
    keys: HashMap<(UserId, String), usize>,
    marks: Marks,
    pub(super) settings: HashMap<UserId, Settings>,
    /// Whom each change concerns.
    feed: Vec<(UserId, SyncEvent)>,
    /// Unread messages as a peer counts them that does not derive them.
    counters: HashMap<(UserId, UserId), u32>,
    sendings: usize,
}

/// What became of a message.
pub(super) struct Stored {
    pub(super) message: Message,
    pub(super) duplicate: bool,
    /// Whether it can be found again.
    pub(super) kept: bool,
}

impl World {
    pub(super) fn new(manner: Manner) -> Self {
        Self {
            manner,
            users: Vec::new(),
            messages: Vec::new(),
            keys: HashMap::new(),
            marks: HashMap::new(),
            settings: HashMap::new(),
            feed: Vec::new(),
            counters: HashMap::new(),
            sendings: 0,
        }
    }

    pub(super) fn create(&mut self, names: &[String]) -> Value {
        let users = names.iter().map(|name| {
            let mut bytes = [7; 12];
            bytes[8..].copy_from_slice(&(self.users.len() as u32).to_be_bytes());
            self.users.push((name.clone(), UserId::from_bytes(bytes)));
            json!({"_id": UserId::from_bytes(bytes), "username": name, "isOnline": false, "created": true})
        });
        json!({"users": users.collect::<Vec<_>>()})
    }

    /// Somebody else than these two.
    pub(super) fn stranger(&self, one: UserId, other: UserId) -> Option<UserId> {
        let mut all = self.users.iter().map(|(_, id)| *id);
        all.find(|id| ![one, other].contains(id))
    }

    pub(super) fn send(&mut self, sender: UserId, receiver: UserId, text: &str, key: &str) -> Stored {
        self.sendings += 1;
        let key = (sender, key.to_owned());
        if let Some(number) = self.keys.get(&key).filter(|_| self.manner != Manner::Repeating) {
            let message = self.messages[*number].clone();
            return Stored {
                message,
                duplicate: true,
                kept: true,
            };
        }
        let number = self.messages.len();
        let mut bytes = [1; 12];
        bytes[4..].copy_from_slice(&(self.sendings as u64).to_be_bytes());
        let at = Some(Timestamp::from_millis(1_700_000_000_000 + number as i64 / 3));
        let message = Message {
            id: MessageId::from_bytes(bytes),
            sender: Some(sender),
            receiver: Some(receiver),
            message: Some(text.to_owned()),
            created_at: at,
            updated_at: at,
            version: Some(0),
        };
        if self.manner == Manner::Forgetting && self.sendings.is_multiple_of(20) {
            return Stored {
                message,
                duplicate: false,
                kept: false,
            };
        }
        self.messages.push(message.clone());
        self.keys.insert(key, number);
        for user in both(sender, receiver) {
            self.feed.push((
                user,
                SyncEvent::Message {
                    message: message.clone(),
                },
            ));
        }
        *self.counters.entry((receiver, sender)).or_default() += 1;
        Stored {
            message,
            duplicate: false,
            kept: true,
        }
    }

    /// Moves watermarks; the answer, and what the peer hears of it.
    pub(super) fn mark(
        &mut self,
        user: UserId,
        peer: UserId,
        up_to: MessageId,
        read: bool,
    ) -> (MarkedUpTo, Vec<SyncEvent>) {
        let number = self.messages.iter().position(|message| message.id == up_to);
        let marks = self.marks.entry((user, peer)).or_default();
        let before = *marks;
        if read {
            marks.0 = marks.0.max(number);
            self.counters.remove(&(user, peer));
        }
        marks.1 = marks.1.max(number).max(marks.0);
        let after = *marks;
        let id = |number: Option<usize>| number.map(|number| self.messages[number].id);
        let answer = MarkedUpTo {
            peer_id: peer,
            read_up_to: id(after.0),
            delivered_up_to: id(after.1),
        };
        let receipt = |up_to| Receipt {
            user_id: user,
            peer_id: Some(peer),
            up_to,
            at: Timestamp::from_millis(0),
        };
        let read = answer
            .read_up_to
            .filter(|_| after.0 != before.0)
            .map(|id| SyncEvent::MessagesRead(receipt(id)));
        let delivered = answer.delivered_up_to.filter(|_| after.1 != before.1);
        let delivered = delivered.map(|id| SyncEvent::MessagesDelivered(receipt(id)));
        // Reading implies receiving: whoever hears of the first alone knows both.
        let changes: Vec<_> = read.into_iter().chain(delivered).collect();
        for change in &changes {
            self.feed.extend(both(user, peer).map(|user| (user, change.clone())));
        }
        (answer, changes)
    }

    pub(super) fn set(&mut self, user: UserId, settings: Settings) {
        self.settings.insert(user, settings);
        self.feed.push((user, SyncEvent::Settings { settings }));
    }

    /// The cursor after everything.
    pub(super) fn cursor(&self) -> String {
        self.feed.len().to_string()
    }

    pub(super) fn page(&self, user: UserId, since: &str, limit: usize) -> Synced {
        let since: usize = since.parse().unwrap_or(self.feed.len());
        let mut later = self
            .feed
            .iter()
            .enumerate()
            .skip(since)
            .filter(|(_, (whose, _))| *whose == user);
        let mut events = Vec::new();
        let mut next = self.feed.len();
        for (number, (_, event)) in later.by_ref().take(limit) {
            events.push(event.clone());
            next = number + 1;
        }
        let has_more = later.next().is_some();
        if !has_more {
            next = self.feed.len();
        }
        if self.manner == Manner::Skipping {
            events.drain(..events.len().min(1));
        }
        Synced {
            events,
            next: next.to_string(),
            has_more,
            inbox: None,
        }
    }

    pub(super) fn history(&self, one: UserId, other: UserId) -> Vec<&Message> {
        let between = [(Some(one), Some(other)), (Some(other), Some(one))];
        let all = self.messages.iter();
        all.filter(|message| between.contains(&(message.sender, message.receiver)))
            .collect()
    }

    pub(super) fn conversation(&self, user: UserId, peer: UserId) -> Conversation {
        let marks = |of| self.marks.get(&of).copied().unwrap_or_default();
        let (own, peers) = (marks((user, peer)), marks((peer, user)));
        let id = |number: Option<usize>| number.map(|number| self.messages[number].id);
        let is_own = |message: &Message| (message.sender, message.receiver) == (Some(user), Some(peer));
        let answered = self.messages.iter().rposition(is_own);
        let read = own.0.max(answered);
        let later = self.messages.iter().skip(read.map_or(0, |number| number + 1));
        let unread = later.filter(|message| (message.sender, message.receiver) == (Some(peer), Some(user)));
        let mut unread = if user == peer { 0 } else { unread.count() as u32 };
        if self.manner == Manner::Counting {
            unread = self.counters.get(&(user, peer)).copied().unwrap_or_default();
        }
        Conversation {
            peer_id: peer,
            peer: None,
            last_message: self.history(user, peer).last().map(|message| (*message).clone()),
            unread,
            read_up_to: id(own.0),
            delivered_up_to: id(own.1),
            peer_read_up_to: id(peers.0),
            peer_delivered_up_to: id(peers.1),
        }
    }

    pub(super) fn inbox(&self, user: UserId, after: usize, limit: usize) -> Inbox {
        let mut peers = Vec::new();
        for message in self.messages.iter().rev() {
            let peer = match (message.sender, message.receiver) {
                (Some(one), Some(other)) if one == user => other,
                (Some(one), Some(other)) if other == user => one,
                _ => continue,
            };
            if !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        let all: Vec<Conversation> = peers.iter().map(|peer| self.conversation(user, *peer)).collect();
        let total = all.iter().map(|conversation| conversation.unread).sum::<u32>();
        Inbox {
            next: (after + limit < all.len()).then(|| (after + limit).to_string()),
            conversations: all.into_iter().skip(after).take(limit).collect(),
            total_unread: total.min(shared::limits::MAX_UNREAD),
        }
    }
}

/// The two people, or the one, of a conversation.
pub(super) fn both(one: UserId, other: UserId) -> impl Iterator<Item = UserId> {
    std::iter::once(one).chain((one != other).then_some(other))
}
