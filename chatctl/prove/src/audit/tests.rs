//! A small world in which everything is right, and each thing that can be wrong in it.

mod copies;
mod inbox;
mod messages;

use std::collections::{HashMap, HashSet};

use shared::conversation::MarkedUpTo;
use shared::{Conversation, Message, MessageId, Settings, Timestamp, UserId};
use uuid::Uuid;

use super::run;
use crate::document::{Document, MessageText, Position};
use crate::message_copy::{MarkerKey, MessageCopy};
use crate::record::{
    Acknowledged, Contradiction, DeviceRecord, History, How, Listed, Marked, Sending, ServerState, UserRecord,
    WrongPresence,
};
use crate::violation::{Example, Findings, Kind};

const ADA: UserId = UserId::from_bytes([0xa; 12]);
const BOB: UserId = UserId::from_bytes([0xb; 12]);

fn id(number: usize) -> MessageId {
    MessageId::from_bytes([number as u8; 12])
}

fn message(number: usize, sender: UserId, receiver: UserId) -> Message {
    let key = Uuid::from_u128(number as u128);
    let at = Some(Timestamp::from_millis(1_000 * number as i64));
    Message {
        id: id(number),
        sender: Some(sender),
        receiver: Some(receiver),
        message: Some(MessageText { key, at: 0 }.write(number)),
        created_at: at,
        updated_at: at,
        version: Some(0),
    }
}

/// Ada wrote 1, 2, 3 and 4 to Bob on one connection, Bob 5 and 6 to her, and she 7 to herself. Bob has read up to 2 and
/// received up to 4, and his own 5 counts as having read what lies before it; Ada has read up to 5. Each has two devices.
struct World {
    messages: Vec<Message>,
    users: Vec<UserRecord>,
    server_state: ServerState,
}

impl World {
    fn new() -> Self {
        let ways = [(ADA, BOB); 4].into_iter().chain([(BOB, ADA); 2]).chain([(ADA, ADA)]);
        let messages: Vec<Message> = (1..)
            .zip(ways)
            .map(|(number, (from, to))| message(number, from, to))
            .collect();
        let mut world = Self {
            users: Vec::new(),
            server_state: ServerState::default(),
            messages,
        };
        let between = world.documents(|document| document.sender != document.receiver);
        let own = world.documents(|document| document.sender == document.receiver);
        for (between, documents) in [((ADA, BOB), between), ((ADA, ADA), own)] {
            let malformed = Vec::new();
            world.server_state.histories.push(History {
                between,
                documents,
                malformed,
            });
        }
        let marks_of_bob = [(true, 2), (false, 4)].map(|(read, up_to)| mark(ADA, read, up_to));
        world.users.push(world.user(ADA, 1, vec![mark(BOB, true, 5)]));
        world.users.push(world.user(BOB, 2, marks_of_bob.into()));
        for user in [ADA, BOB] {
            let conversations = world.conversations(user);
            let total: u32 = conversations.iter().map(|conversation| conversation.unread).sum();
            world.server_state.inboxes.insert(
                user,
                Listed {
                    conversations,
                    totals: vec![total; 2],
                },
            );
            world.server_state.settings.insert(user, Settings::default());
        }
        world
    }

    fn documents(&self, which: impl Fn(&Document) -> bool) -> Vec<Document> {
        self.messages.iter().filter_map(Document::of).filter(which).collect()
    }

    fn conversations(&self, user: UserId) -> Vec<Conversation> {
        let conversation = |peer_id, last: usize, unread, [read, delivered, peer_read, peer_delivered]: [usize; 4]| {
            let up_to = |number| (number > 0).then(|| id(number));
            Conversation {
                peer_id,
                peer: None,
                last_message: Some(self.messages[last - 1].clone()),
                unread,
                read_up_to: up_to(read),
                delivered_up_to: up_to(delivered),
                peer_read_up_to: up_to(peer_read),
                peer_delivered_up_to: up_to(peer_delivered),
            }
        };
        if user == ADA {
            vec![conversation(ADA, 7, 0, [0; 4]), conversation(BOB, 6, 1, [5, 5, 2, 4])]
        } else {
            vec![conversation(ADA, 6, 0, [2, 4, 5, 5])]
        }
    }

    fn user(&self, user: UserId, connection: u32, marks: Vec<Marked>) -> UserRecord {
        let sent = self
            .documents(|document| document.sender == user)
            .into_iter()
            .map(|document| Sending {
                key: document.key.unwrap(),
                receiver: document.receiver,
                acked: Some(document),
                acknowledged_order: Some(Acknowledged {
                    connection,
                    order: document.position.at as u32,
                }),
                contradiction: None,
                refused: None,
            });
        UserRecord {
            id: user,
            sent: sent.collect(),
            marks,
            settings: Some(Settings::default()),
            devices: (0..2).map(|number| self.device(user, number)).collect(),
        }
    }

    fn device(&self, user: UserId, number: usize) -> DeviceRecord {
        let documents = self.documents(|document| document.sender == user || document.receiver == user);
        let mut copy = MessageCopy::default();
        documents.iter().for_each(|document| assert!(copy.put(*document)));
        let conversations = self.conversations(user);
        for seen in &conversations {
            let marks = [
                (true, true, seen.read_up_to),
                (true, false, seen.delivered_up_to),
                (false, true, seen.peer_read_up_to),
                (false, false, seen.peer_delivered_up_to),
            ];
            for (own, read, up_to) in marks {
                let key = MarkerKey {
                    peer: seen.peer_id,
                    own,
                    read,
                };
                up_to.into_iter().for_each(|up_to| copy.mark(key, up_to));
            }
        }
        DeviceRecord {
            number,
            sessions: vec![
                documents
                    .iter()
                    .map(|document| (document.position.id, How::Live))
                    .collect(),
            ],
            copy,
            repaired: HashSet::new(),
            updates_due: conversations.iter().map(|seen| seen.peer_id).collect(),
            updates: conversations.into_iter().map(|seen| (seen.peer_id, seen)).collect(),
            strays: Findings::default(),
            reset: false,
            stranded: None,
        }
    }

    fn bobs_device(&mut self) -> &mut DeviceRecord {
        &mut self.users[1].devices[1]
    }

    fn inbox(&mut self, user: UserId) -> &mut Listed {
        self.server_state.inboxes.get_mut(&user).unwrap()
    }

    /// Bob's second device without these in its copy.
    fn without(&mut self, numbers: &[usize]) {
        let device = self.bobs_device();
        let mut copy = MessageCopy::default();
        for document in device.copy.documents().values() {
            if !numbers.iter().any(|number| id(*number) == document.position.id) {
                copy.put(*document);
            }
        }
        for (own, read) in [(true, true), (true, false), (false, true), (false, false)] {
            let key = MarkerKey { peer: ADA, own, read };
            device.copy.marker(key).iter().for_each(|up_to| copy.mark(key, *up_to));
        }
        device.copy = copy;
        device.sessions[0].retain(|(heard, _)| !numbers.iter().any(|number| id(*number) == *heard));
    }

    /// Found are just these kinds, so often.
    #[track_caller]
    fn shows(&self, expected: &[(Kind, u64)]) -> Findings {
        let findings = run(&self.users, &self.server_state);
        let counts: HashMap<Kind, u64> = findings.0.iter().map(|(kind, found)| (*kind, found.count)).collect();
        assert_eq!(counts, expected.iter().copied().collect(), "{findings:#?}");
        findings
    }

    #[track_caller]
    fn shows_one(&self, kind: Kind) -> Example {
        let findings = self.shows(&[(kind, 1)]);
        findings.0[&kind].examples[0].clone()
    }
}

fn mark(peer: UserId, read: bool, up_to: usize) -> Marked {
    let answer = MarkedUpTo {
        peer_id: peer,
        read_up_to: read.then(|| id(up_to)),
        delivered_up_to: Some(id(up_to)),
    };
    Marked {
        peer,
        read,
        up_to: id(up_to),
        answer: Some(answer),
        refused: None,
    }
}

#[test]
fn a_world_in_which_everything_is_right() {
    World::new().shows(&[]);
}
