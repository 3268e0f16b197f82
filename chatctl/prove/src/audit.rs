//! The audit: what was seen of the server against what it says in the end. It only compares; nothing here talks to a
//! server, so that tests can hand it histories in which anything is wrong.
//!
//! | module | what it compares |
//! |---|---|
//! | [`messages`] | acknowledgements with history |
//! | [`order`] | the order of sending with that of history and of delivery; deliveries with each other |
//! | [`copies`] | the devices' copies with history, watermarks and settings |
//! | [`inbox`] | inboxes and unread numbers with a recount |
//! | [`expect`] | the recount |

mod copies;
mod expect;
mod inbox;
mod messages;
mod order;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use shared::{MessageId, UserId};

use super::document::Document;
use super::record::{Acknowledged, History, ServerState, UserRecord};
use super::violation::{Example, Findings, Kind};

/// Compares everything with everything.
pub(crate) fn run(users: &[UserRecord], server_state: &ServerState) -> Findings {
    let index = Index::new(users, server_state);
    let mut findings = Findings::default();
    messages::compare(&index, &mut findings);
    order::compare(&index, &mut findings);
    copies::compare(&index, &mut findings);
    inbox::compare(&index, &mut findings);
    for wrong in &server_state.presence {
        let (shown, is) = if wrong.shown_online {
            ("online", "left")
        } else {
            ("offline", "connected")
        };
        let what = format!("shown as {shown}, though all its devices have {is}");
        findings.add(Kind::Presence, Example::new(what).of(wrong.user));
    }
    findings.merge(&strays(users));
    findings
}

/// What was wrong by itself, without anything to compare it with.
pub(crate) fn strays(users: &[UserRecord]) -> Findings {
    let mut findings = Findings::default();
    for device in users.iter().flat_map(|user| &user.devices) {
        findings.merge(&device.strays);
    }
    findings
}

/// Both sides, and the ways through them that several comparisons go.
struct Index<'a> {
    users: &'a [UserRecord],
    by_id: HashMap<UserId, &'a UserRecord>,
    server_state: &'a ServerState,
    /// Every message in any history.
    documents: HashMap<MessageId, &'a Document>,
    /// The conversations of each user, by the peer.
    conversations: HashMap<UserId, HashMap<UserId, &'a History>>,
    /// Messages that have a place in the order of a connection.
    acknowledged: HashMap<MessageId, (Acknowledged, UserId)>,
}

impl<'a> Index<'a> {
    fn new(users: &'a [UserRecord], server_state: &'a ServerState) -> Self {
        let mut conversations: HashMap<UserId, HashMap<UserId, &History>> = HashMap::new();
        for history in &server_state.histories {
            let (one, other) = history.between;
            conversations.entry(one).or_default().insert(other, history);
            conversations.entry(other).or_default().insert(one, history);
        }
        let documents = server_state.histories.iter().flat_map(|history| &history.documents);
        let sent = users.iter().flat_map(|user| &user.sent);
        let acknowledged = sent.filter_map(|sending| {
            Some((
                sending.acked?.position.id,
                (sending.acknowledged_order?, sending.receiver),
            ))
        });
        Self {
            users,
            by_id: users.iter().map(|user| (user.id, user)).collect(),
            server_state,
            documents: documents.map(|document| (document.position.id, document)).collect(),
            conversations,
            acknowledged: acknowledged.collect(),
        }
    }

    /// A user's conversations that exist: those with a message.
    fn conversations(&self, user: UserId) -> impl Iterator<Item = (UserId, &'a History)> {
        let all = self.conversations.get(&user).into_iter().flatten();
        all.filter(|(_, history)| !history.documents.is_empty())
            .map(|(peer, history)| (*peer, *history))
    }
}
