//! Every device's copy, after its last sync, is what history, watermarks and settings say.

use std::collections::HashMap;

use shared::{MessageId, Settings, UserId};

use super::Index;
use super::expect::{Conversation, Watermark};
use crate::document::Document;
use crate::message_copy::MarkerKey;
use crate::record::{DeviceRecord, UserRecord};
use crate::violation::{Example, Findings, Kind};

pub(super) fn compare(index: &Index<'_>, findings: &mut Findings) {
    for user in index.users {
        let conversations: Vec<_> = index.conversations(user.id).collect();
        let documents = conversations.iter().flat_map(|(_, history)| &history.documents);
        let expected: HashMap<MessageId, &Document> =
            documents.map(|document| (document.position.id, document)).collect();
        let seen: Vec<(UserId, Conversation)> = conversations
            .iter()
            .map(|(peer, history)| (*peer, Conversation::of(index, user.id, *peer, history)))
            .collect();
        for device in &user.devices {
            let found = &mut Device {
                index,
                user,
                device,
                findings,
            };
            if let Some(why) = &device.stranded {
                // Nothing can be said of its copy.
                found.add(Kind::Stranded, Example::new(why));
                continue;
            }
            found.messages(&expected);
            for (peer, conversation) in &seen {
                found.watermarks(*peer, conversation);
                found.update(*peer, conversation);
            }
            found.settings();
        }
        if let (Some(said), Some(stored)) = (user.settings, index.server_state.settings.get(&user.id))
            && values(said) != values(*stored)
        {
            let what = format!("acknowledged as {said:?}, and now they are {stored:?}");
            findings.add(Kind::Settings, Example::new(what).of(user.id));
        }
    }
}

struct Device<'a, 'f> {
    index: &'a Index<'a>,
    user: &'a UserRecord,
    device: &'a DeviceRecord,
    findings: &'f mut Findings,
}

impl Device<'_, '_> {
    fn add(&mut self, kind: Kind, example: Example) {
        self.findings.add(kind, example.of(self.user.id).on(self.device.number));
    }

    fn messages(&mut self, expected: &HashMap<MessageId, &Document>) {
        let device = self.device;
        let copy = device.copy.documents();
        for (id, document) in expected {
            let peer = if document.sender == self.user.id {
                document.receiver
            } else {
                document.sender
            };
            let key = |example: Example| match document.key {
                Some(key) => example.key(key),
                None => example,
            };
            let example = |what: &str| key(Example::new(what).with(peer).messages([*id]));
            match copy.get(id) {
                // Whoever had to begin anew knows only what came after.
                None if device.reset => {}
                None => self.add(Kind::MissingInCopy, example("it never came, live or in a sync")),
                Some(kept) if kept.fingerprint != document.fingerprint => {
                    self.add(Kind::CopyDiffers, example("a field differs"))
                }
                Some(_) if device.repaired.contains(id) => {
                    self.add(Kind::MissedLive, example("only the last sync brought it"));
                }
                Some(_) => {}
            }
        }
        for (id, document) in copy {
            // What concerns others was complained of when it was heard.
            let concerns = document.sender == self.user.id || document.receiver == self.user.id;
            if concerns && !expected.contains_key(id) {
                let what = format!("from {} to {}", document.sender, document.receiver);
                self.add(Kind::Phantom, Example::new(what).messages([*id]));
            }
        }
    }

    fn watermarks(&mut self, peer: UserId, conversation: &Conversation) {
        if peer == self.user.id || self.device.reset {
            return;
        }
        let watermarks = [
            (true, true, &conversation.read),
            (true, false, &conversation.delivered),
            (false, true, &conversation.peer_read),
            (false, false, &conversation.peer_delivered),
        ];
        for (own, read, expected) in watermarks {
            let key = MarkerKey { peer, own, read };
            // Reading implies receiving, whether or not that was said as well.
            let implied = self.device.copy.marker(MarkerKey { read: true, ..key });
            let named = self.device.copy.marker(key).iter().chain(implied);
            let known = named
                .filter_map(|id| self.index.documents.get(id))
                .max_by_key(|document| document.position);
            if !expected.allows(known.map(|document| document.position)) {
                let whose = if own { "its user" } else { "the peer" };
                let what = if read { "read" } else { "received" };
                let known = known.map(|document| document.position.id);
                let what = format!("what {whose} has {what}: {}", expected.against(known));
                self.add(Kind::StaleWatermark, Example::new(what).with(peer));
            }
        }
    }

    fn update(&mut self, peer: UserId, expected: &Conversation) {
        let Some(update) = self.device.updates.get(&peer) else {
            if self.device.updates_due.contains(&peer) {
                let what = "none came, though a message did";
                self.add(Kind::StaleConversation, Example::new(what).with(peer));
            }
            return;
        };
        for what in expected.differences(self.index, update) {
            self.add(Kind::StaleConversation, Example::new(what).with(peer));
        }
    }

    fn settings(&mut self) {
        let Some(stored) = self.index.server_state.settings.get(&self.user.id) else {
            return;
        };
        // Nothing is told of settings that were never changed.
        let kept = self.device.copy.settings().unwrap_or_default();
        if values(kept) != values(*stored) && !self.device.reset {
            let what = format!("the copy has {kept:?}, and they are {stored:?}");
            self.add(Kind::Settings, Example::new(what));
        }
    }
}

/// What settings say. A change that was repeated because nobody knew of its outcome can have been made once more.
fn values(settings: Settings) -> (bool, bool) {
    (settings.read_receipts, settings.invisible)
}

impl Watermark {
    /// Both in words.
    fn against(&self, known: Option<MessageId>) -> String {
        let word = |id: Option<MessageId>| id.map_or("nothing".to_owned(), |id| format!("up to {id}"));
        format!("{} is known, {} was acknowledged", word(known), word(self.acked()))
    }
}
