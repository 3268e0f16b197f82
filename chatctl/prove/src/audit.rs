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

use super::document::Doc;
use super::record::{Claim, History, Truth, UserRecord};
use super::violation::{Example, Findings, Kind};

/// Compares everything with everything.
pub(crate) fn run(users: &[UserRecord], truth: &Truth) -> Findings {
    let index = Index::new(users, truth);
    let mut findings = Findings::default();
    messages::compare(&index, &mut findings);
    order::compare(&index, &mut findings);
    copies::compare(&index, &mut findings);
    inbox::compare(&index, &mut findings);
    for wrong in &truth.presence {
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
    truth: &'a Truth,
    /// Every message in any history.
    docs: HashMap<MessageId, &'a Doc>,
    /// The conversations of each user, by the peer.
    conversations: HashMap<UserId, HashMap<UserId, &'a History>>,
    /// Messages that have a place in the order of a connection.
    claims: HashMap<MessageId, (Claim, UserId)>,
}

impl<'a> Index<'a> {
    fn new(users: &'a [UserRecord], truth: &'a Truth) -> Self {
        let mut conversations: HashMap<UserId, HashMap<UserId, &History>> = HashMap::new();
        for history in &truth.histories {
            let (one, other) = history.between;
            conversations.entry(one).or_default().insert(other, history);
            conversations.entry(other).or_default().insert(one, history);
        }
        let docs = truth.histories.iter().flat_map(|history| &history.docs);
        let sent = users.iter().flat_map(|user| &user.sent);
        let claims = sent.filter_map(|sending| Some((sending.acked?.place.id, (sending.claim?, sending.receiver))));
        Self {
            users,
            by_id: users.iter().map(|user| (user.id, user)).collect(),
            truth,
            docs: docs.map(|doc| (doc.place.id, doc)).collect(),
            conversations,
            claims: claims.collect(),
        }
    }

    /// A user's conversations that exist: those with a message.
    fn conversations(&self, user: UserId) -> impl Iterator<Item = (UserId, &'a History)> {
        let all = self.conversations.get(&user).into_iter().flatten();
        all.filter(|(_, history)| !history.docs.is_empty())
            .map(|(peer, history)| (*peer, *history))
    }
}
