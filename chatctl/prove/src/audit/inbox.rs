//! The inbox lists every conversation once, the one with the newest message first, and its numbers equal a recount.

use std::collections::HashMap;

use shared::UserId;
use shared::limits::MAX_UNREAD;

use super::Index;
use super::expect::Conversation;
use crate::document::{Document, Position};
use crate::record::{Marked, UserRecord};
use crate::violation::{Example, Findings, Kind};

pub(super) fn compare(index: &Index<'_>, findings: &mut Findings) {
    for user in index.users {
        answers(index, user, findings);
        let Some(listed) = index.server_state.inboxes.get(&user.id) else {
            continue;
        };
        let mut expected: HashMap<UserId, Conversation> = index
            .conversations(user.id)
            .map(|(peer, history)| (peer, Conversation::of(index, user.id, peer, history)))
            .collect();
        let mut before: Option<Position> = None;
        let mut total = 0;
        for shown in &listed.conversations {
            let mut add = |kind, what: String| {
                findings.add(kind, Example::new(what).of(user.id).with(shown.peer_id));
            };
            let Some(conversation) = expected.remove(&shown.peer_id) else {
                add(Kind::Inbox, "listed twice, or without a message".to_owned());
                continue;
            };
            let last = shown.last_message.as_ref().and_then(Document::of);
            if last.as_ref() != conversation.last() {
                add(Kind::Inbox, "lastMessage is not the last one of history".to_owned());
            }
            let position = last.map(|document| document.position);
            if before.is_some_and(|before| position > Some(before)) {
                add(Kind::Inbox, "listed after one whose last message is older".to_owned());
            }
            before = position.or(before);
            if let Some(what) = conversation.wrong_unread(index, shown) {
                add(Kind::Unread, what);
            }
            for what in conversation.wrong_watermarks(index, shown) {
                add(Kind::Watermark, what);
            }
            let read = shown
                .read_up_to
                .and_then(|id| index.documents.get(&id))
                .map(|document| document.position);
            total += conversation.unread_after(read);
        }
        for peer in expected.keys() {
            findings.add(Kind::Inbox, Example::new("not listed").of(user.id).with(*peer));
        }
        let total = total.min(MAX_UNREAD);
        if let Some(wrong) = listed.totals.iter().find(|shown| **shown != total) {
            let what = format!("totalUnread is {wrong}, and all conversations together have {total}");
            findings.add(Kind::Unread, Example::new(what).of(user.id));
        }
    }
}

/// Marks that were refused, or answered with a watermark that lies before the mark.
fn answers(index: &Index<'_>, user: &UserRecord, findings: &mut Findings) {
    let position = |id| index.documents.get(&id).map(|document| document.position);
    for mark in &user.marks {
        let Marked { peer, read, up_to, .. } = mark;
        let name = if *read { "mark_read" } else { "mark_delivered" };
        let example = |what: String| Example::new(what).of(user.id).with(*peer).messages([*up_to]);
        if let Some(code) = &mark.refused {
            findings.add(Kind::Refused, example(format!("{name}: {code}")));
        }
        let Some(answer) = &mark.answer else { continue };
        let moved = if *read {
            answer.read_up_to
        } else {
            answer.delivered_up_to
        };
        let there = moved.and_then(position);
        if position(*up_to).is_some_and(|marked| there.is_none_or(|there| there < marked)) {
            let what = match moved {
                Some(id) => format!("{name} answered with {id}, which is not after it"),
                None => format!("{name} answered without a watermark"),
            };
            findings.add(Kind::Watermark, example(what));
        }
    }
}
