//! Asks the server, over HTTP and in each user's own name, what it has: the other side of the audit.

use std::fmt;
use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use chatctl_client::ClientError;
use chatctl_client::http::{Bearer, Http};
use serde::de::{Deserializer, SeqAccess, Visitor};
use shared::conversation::Inbox;
use shared::presence::CurrentSettings;
use shared::{Message, UserId};

use super::document::Document;
use super::record::{History, Listed, ServerState, WrongPresence};

/// How long after the last connection a user may be shown as online.
const OFFLINE_TIMEOUT: Duration = Duration::from_secs(15);
/// How often presence is looked at meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The nodes take turns in being asked: each must give every answer.
fn node(nodes: &[Http], number: usize) -> &Http {
    &nodes[number % nodes.len()]
}

/// Reads everything that the audit compares with, but presence.
///
/// # Errors
/// If the server can't be asked.
pub(super) fn read(nodes: &[Http], pairs: &[(UserId, UserId)], users: &[UserId]) -> anyhow::Result<ServerState> {
    let mut server_state = ServerState::default();
    for (number, (one, other)) in pairs.iter().copied().enumerate() {
        // Each of the two may ask.
        let by = if number % 2 == 0 { one } else { other };
        let body = node(nodes, number).history_body(Bearer::User(by), one, other)?;
        server_state.histories.push(history((one, other), body)?);
    }
    for (number, user) in users.iter().copied().enumerate() {
        // Small pages show whether paging skips or repeats.
        let limit = [3, 50][number % 2];
        server_state
            .inboxes
            .insert(user, inbox(node(nodes, number), user, limit)?);
        let settings: CurrentSettings = node(nodes, number + 1).get(Bearer::User(user), "/users/me/settings", &[])?;
        server_state.settings.insert(user, settings.settings);
    }
    Ok(server_state)
}

/// Users who are connected and visible, and are shown as offline.
///
/// # Errors
/// If the server can't be asked.
pub(super) fn shown_offline(nodes: &[Http], users: &[UserId]) -> Result<Vec<WrongPresence>, ClientError> {
    let users = users.iter().enumerate();
    let shown = users.map(|(number, user)| node(nodes, number).user(*user));
    let shown = shown.collect::<Result<Vec<_>, _>>()?.into_iter();
    let wrong = shown.filter(|user| !user.is_online);
    Ok(wrong
        .map(|user| WrongPresence {
            user: user.id,
            shown_online: false,
        })
        .collect())
}

/// Users without a connection who are still shown as online after the time that this may take.
///
/// # Errors
/// If the server can't be asked.
#[expect(
    clippy::disallowed_methods,
    reason = "an audit at the end of a run has nothing else to do until then"
)]
pub(super) fn shown_online(nodes: &[Http], users: &[UserId]) -> Result<Vec<WrongPresence>, ClientError> {
    let end = Instant::now() + OFFLINE_TIMEOUT;
    let mut online = users.to_vec();
    loop {
        let mut still = Vec::new();
        for (number, user) in online.into_iter().enumerate() {
            if node(nodes, number).user(user)?.is_online {
                still.push(user);
            }
        }
        online = still;
        if online.is_empty() || Instant::now() > end {
            let wrong = |user| WrongPresence {
                user,
                shown_online: true,
            };
            return Ok(online.into_iter().map(wrong).collect());
        }
        thread::sleep(POLL_INTERVAL);
    }
}

fn inbox(http: &Http, user: UserId, limit: usize) -> Result<Listed, ClientError> {
    let mut listed = Listed::default();
    let mut cursor = None;
    loop {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let page: Inbox = http.get(Bearer::User(user), "/chat/conversations", &query)?;
        listed.totals.push(page.total_unread);
        let is_empty = page.conversations.is_empty();
        listed.conversations.extend(page.conversations);
        cursor = page.next;
        // An empty page that names another one would go on for ever.
        if cursor.is_none() || is_empty {
            return Ok(listed);
        }
    }
}

/// Reads a history message by message and keeps no texts.
fn history(between: (UserId, UserId), body: impl Read) -> Result<History, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_reader(body);
    let history = History {
        between,
        documents: Vec::new(),
        malformed: Vec::new(),
    };
    deserializer.deserialize_seq(Each(history))
}

struct Each(History);

impl<'de> Visitor<'de> for Each {
    type Value = History;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut messages: A) -> Result<History, A::Error> {
        while let Some(message) = messages.next_element::<Message>()? {
            match Document::of(&message) {
                Some(document) => self.0.documents.push(document),
                None => self.0.malformed.push(message.id),
            }
        }
        Ok(self.0)
    }
}
