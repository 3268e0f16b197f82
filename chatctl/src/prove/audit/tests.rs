//! A small world in which everything is right, and each thing that can be wrong in it.

use std::collections::{HashMap, HashSet};

use shared::conversation::MarkedUpTo;
use shared::{Conversation, Message, MessageId, Settings, Timestamp, UserId};
use uuid::Uuid;

use super::run;
use crate::prove::copy::{Copy, MarkerKey};
use crate::prove::record::{
    Claim, Contradiction, DeviceRecord, Doc, History, How, Listed, Marked, Place, Sending, Text, Truth, UserRecord,
    WrongPresence,
};
use crate::prove::violation::{Example, Findings, Kind};

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
        message: Some(Text { key, at: 0 }.write(number)),
        created_at: at,
        updated_at: at,
        version: Some(0),
    }
}

/// Ada wrote 1, 2, 3 and 4 to Bob on one connection, Bob 5 and 6 to her, and she 7 to herself. Bob has read up to 2 and
/// received up to 4, Ada has read up to 5. Each has two devices.
struct World {
    messages: Vec<Message>,
    users: Vec<UserRecord>,
    truth: Truth,
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
            truth: Truth::default(),
            messages,
        };
        let between = world.docs(|doc| doc.sender != doc.receiver);
        let own = world.docs(|doc| doc.sender == doc.receiver);
        for (between, docs) in [((ADA, BOB), between), ((ADA, ADA), own)] {
            let malformed = Vec::new();
            world.truth.histories.push(History {
                between,
                docs,
                malformed,
            });
        }
        let marks_of_bob = [(true, 2), (false, 4)].map(|(read, up_to)| mark(ADA, read, up_to));
        world.users.push(world.user(ADA, 1, vec![mark(BOB, true, 5)]));
        world.users.push(world.user(BOB, 2, marks_of_bob.into()));
        for user in [ADA, BOB] {
            let conversations = world.conversations(user);
            let total: u32 = conversations.iter().map(|conversation| conversation.unread).sum();
            world.truth.inboxes.insert(
                user,
                Listed {
                    conversations,
                    totals: vec![total; 2],
                },
            );
            world.truth.settings.insert(user, Settings::default());
        }
        world
    }

    fn docs(&self, which: impl Fn(&Doc) -> bool) -> Vec<Doc> {
        self.messages.iter().filter_map(Doc::of).filter(which).collect()
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
            vec![conversation(ADA, 6, 2, [2, 4, 5, 5])]
        }
    }

    fn user(&self, user: UserId, connection: u32, marks: Vec<Marked>) -> UserRecord {
        let sent = self.docs(|doc| doc.sender == user).into_iter().map(|doc| Sending {
            key: doc.key.unwrap(),
            receiver: doc.receiver,
            acked: Some(doc),
            claim: Some(Claim {
                connection,
                order: doc.place.at as u32,
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
        let docs = self.docs(|doc| doc.sender == user || doc.receiver == user);
        let mut copy = Copy::default();
        docs.iter().for_each(|doc| assert!(copy.keep(*doc)));
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
            sessions: vec![docs.iter().map(|doc| (doc.place.id, How::Live)).collect()],
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
        self.truth.inboxes.get_mut(&user).unwrap()
    }

    /// Bob's second device without these in its copy.
    fn without(&mut self, numbers: &[usize]) {
        let device = self.bobs_device();
        let mut copy = Copy::default();
        for doc in device.copy.docs().values() {
            if !numbers.iter().any(|number| id(*number) == doc.place.id) {
                copy.keep(*doc);
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
        let findings = run(&self.users, &self.truth);
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

#[test]
fn an_acknowledged_message_is_lost() {
    let mut world = World::new();
    // Nobody heard of it, either.
    world.truth.histories[0].docs.remove(1);
    for user in &mut world.users {
        for device in &mut user.devices {
            device.copy.crash();
            device.sessions.clear();
        }
    }
    let findings = run(&world.users, &world.truth);
    let lost = &findings.0[&Kind::Lost];
    assert_eq!((lost.count, &lost.examples[0].messages[..]), (1, &[id(2)][..]));
    assert_eq!(lost.examples[0].client_message_id, Some(Uuid::from_u128(2)));
    // Whoever has it has a phantom.
    let mut world = World::new();
    world.truth.histories[0].docs.remove(2);
    let findings = run(&world.users, &world.truth);
    assert_eq!(
        (findings.0[&Kind::Lost].count, findings.0[&Kind::Phantom].count),
        (1, 4)
    );
}

#[test]
fn an_unacknowledged_message_may_be_stored_or_not() {
    let mut world = World::new();
    world.users[0].sent[3].acked = None;
    world.users[0].sent[3].claim = None;
    world.shows(&[]);
    let key = Uuid::from_u128(99);
    let never = Sending {
        key,
        acked: None,
        claim: None,
        ..world.users[0].sent[0].clone()
    };
    world.users[0].sent.push(never);
    world.shows(&[]);
}

#[test]
fn a_message_is_stored_twice() {
    let mut world = World::new();
    let again = Doc::of(&Message {
        message: world.messages[5].message.clone(),
        ..message(8, BOB, ADA)
    })
    .unwrap();
    world.truth.histories[0].docs.push(again);
    let findings = run(&world.users, &world.truth);
    let twice = &findings.0[&Kind::StoredTwice];
    assert_eq!((twice.count, &twice.examples[0].messages[..]), (1, &[id(6), id(8)][..]));
}

#[test]
fn acknowledgements_contradict_each_other() {
    let mut world = World::new();
    world.users[0].sent[0].contradiction = Some(Contradiction::Other(id(9)));
    assert_eq!(world.shows_one(Kind::Contradiction).messages, [id(1), id(9)]);
    world.users[0].sent[0].contradiction = Some(Contradiction::NewTwice);
    world.shows_one(Kind::Contradiction);
}

#[test]
fn history_has_another_text_or_id_than_acknowledged() {
    let mut world = World::new();
    world.users[0].sent[0].acked.as_mut().unwrap().print += 1;
    assert_eq!(world.shows_one(Kind::Altered).messages, [id(1)]);
    let mut world = World::new();
    world.users[0].sent[0].acked.as_mut().unwrap().place.id = id(9);
    world.users[0].sent[0].claim = None;
    assert_eq!(world.shows_one(Kind::Altered).messages, [id(9), id(1)]);
}

#[test]
fn history_holds_what_nobody_sent() {
    let mut world = World::new();
    world.users[0].sent.remove(3);
    assert_eq!(world.shows_one(Kind::Unknown).messages, [id(4)]);
}

#[test]
fn history_is_not_sorted() {
    let mut world = World::new();
    world.truth.histories[0].docs.swap(1, 2);
    assert_eq!(world.shows_one(Kind::Unsorted).messages, [id(3), id(2)]);
}

#[test]
fn a_request_is_refused() {
    let mut world = World::new();
    world.users[0].sent[2].refused = Some("internal".to_owned());
    world.users[1].marks[0].refused = Some("message_not_found".to_owned());
    world.shows(&[(Kind::Refused, 2)]);
}

#[test]
fn messages_are_stored_in_another_order_than_sent() {
    let mut world = World::new();
    let (one, two) = (world.users[0].sent[0].claim, world.users[0].sent[1].claim);
    world.users[0].sent[0].claim = two;
    world.users[0].sent[1].claim = one;
    // They are delivered as they are stored, so that is out of order as well.
    let findings = world.shows(&[(Kind::OutOfOrder, 1), (Kind::DeliveredOutOfOrder, 4)]);
    assert_eq!(findings.0[&Kind::OutOfOrder].examples[0].messages, [id(2), id(1)]);
    // What was repeated has no claim, and what another connection sent is in no order with it.
    world.users[0].sent[0].claim = None;
    world.shows(&[]);
    world.users[0].sent[0].claim = Some(Claim {
        connection: 7,
        order: 9_000,
    });
    world.shows(&[]);
}

#[test]
fn messages_are_delivered_in_another_order_than_sent() {
    let mut world = World::new();
    world.bobs_device().sessions[0].swap(0, 1);
    assert_eq!(world.shows_one(Kind::DeliveredOutOfOrder).messages, [id(2), id(1)]);
    // While catching up there is no order but that of createdAt.
    world.bobs_device().sessions[0]
        .iter_mut()
        .for_each(|(_, how)| *how = How::CaughtUp);
    world.shows(&[]);
}

#[test]
fn a_copy_lacks_what_its_cursor_is_behind() {
    let mut world = World::new();
    world.without(&[4]);
    let example = world.shows_one(Kind::MissingInCopy);
    assert_eq!(
        (example.user, example.device, &example.messages[..]),
        (Some(BOB), Some(1), &[id(4)][..])
    );
    // Whoever had to begin anew was complained of for that.
    world.bobs_device().reset = true;
    world.shows(&[]);
}

#[test]
fn a_delivery_is_dropped_and_the_last_sync_repairs_it() {
    let mut world = World::new();
    world.bobs_device().repaired.insert(id(3));
    assert_eq!(world.shows_one(Kind::MissedLive).messages, [id(3)]);
}

#[test]
fn a_delivery_is_dropped_between_two_that_came() {
    let mut world = World::new();
    world.bobs_device().sessions[0].retain(|(heard, _)| *heard != id(2));
    let example = world.shows_one(Kind::MissedLive);
    assert_eq!((example.device, &example.messages[..]), (Some(1), &[id(2)][..]));
    // The first and the last may have come before and after the connection.
    let mut world = World::new();
    world.bobs_device().sessions[0].retain(|(heard, _)| ![id(1), id(4)].contains(heard));
    world.shows(&[]);
    // What came while catching up has come.
    let mut world = World::new();
    world.bobs_device().sessions[0][1].1 = How::CaughtUp;
    world.shows(&[]);
}

#[test]
fn a_copy_holds_another_document() {
    let mut world = World::new();
    let mut doc = world.docs(|doc| doc.place.id == id(3))[0];
    doc.print += 1;
    world.bobs_device().copy.keep(doc);
    assert_eq!(world.shows_one(Kind::CopyDiffers).messages, [id(3)]);
}

#[test]
fn a_copy_holds_what_history_has_not() {
    let mut world = World::new();
    let doc = Doc::of(&message(9, ADA, BOB)).unwrap();
    world.bobs_device().copy.keep(doc);
    assert_eq!(world.shows_one(Kind::Phantom).messages, [id(9)]);
}

#[test]
fn what_was_wrong_by_itself_is_told() {
    let mut world = World::new();
    let example = Example::new("receive_message_…").messages([id(7)]);
    world.bobs_device().strays.add(Kind::Foreign, example);
    assert_eq!(world.shows_one(Kind::Foreign).messages, [id(7)]);
}

#[test]
fn a_device_does_not_come_back() {
    let mut world = World::new();
    world.without(&[1, 2]);
    world.bobs_device().stranded = Some("refused".to_owned());
    world.shows_one(Kind::Stranded);
}

#[test]
fn an_unread_number_is_wrong() {
    for wrong in [1, 3] {
        let mut world = World::new();
        world.inbox(BOB).conversations[0].unread = wrong;
        assert_eq!(world.shows_one(Kind::Unread).peer, Some(ADA));
    }
    let mut world = World::new();
    world.inbox(ADA).totals[1] = 2;
    assert_eq!(world.shows_one(Kind::Unread).user, Some(ADA));
}

#[test]
fn a_mark_without_an_answer_counts_or_not() {
    let mut world = World::new();
    world.users[1].marks.push(Marked {
        answer: None,
        ..mark(ADA, true, 3)
    });
    world.shows(&[]);
    // It may have moved what everybody sees of it.
    let (bob, ada) = (&mut world.inbox(BOB).conversations[0], id(3));
    (bob.read_up_to, bob.unread) = (Some(ada), 1);
    world.inbox(BOB).totals = vec![1];
    world.shows(&[]);
    world.inbox(BOB).conversations[0].unread = 2;
    world.shows_one(Kind::Unread);
}

#[test]
fn an_inbox_is_wrong() {
    let mut world = World::new();
    world.inbox(ADA).conversations.swap(0, 1);
    world.shows_one(Kind::Inbox);
    let mut world = World::new();
    world.inbox(ADA).conversations.remove(0);
    world.shows_one(Kind::Inbox);
    let mut world = World::new();
    let again = world.inbox(ADA).conversations[1].clone();
    world.inbox(ADA).conversations.push(again);
    world.shows_one(Kind::Inbox);
    let mut world = World::new();
    let older = world.messages[4].clone();
    world.inbox(ADA).conversations[1].last_message = Some(older);
    world.shows_one(Kind::Inbox);
}

#[test]
fn a_watermark_is_wrong() {
    let mut world = World::new();
    world.inbox(BOB).conversations[0].delivered_up_to = Some(id(2));
    world.inbox(ADA).conversations[1].peer_read_up_to = None;
    world.shows(&[(Kind::Watermark, 2)]);
    // An answer must not lie before its mark.
    let mut world = World::new();
    world.users[1].marks[1].answer.as_mut().unwrap().delivered_up_to = Some(id(3));
    assert_eq!(world.shows_one(Kind::Watermark).messages, [id(4)]);
}

#[test]
fn a_device_does_not_know_a_watermark() {
    let mut world = World::new();
    // All devices of both learn of it, but in no inbox and no update is it missing.
    world.users[0].marks.push(mark(BOB, true, 6));
    let ada = &mut world.inbox(ADA).conversations[1];
    (ada.read_up_to, ada.delivered_up_to, ada.unread) = (Some(id(6)), Some(id(6)), 0);
    world.inbox(ADA).totals = vec![0];
    let bob = &mut world.inbox(BOB).conversations[0];
    (bob.peer_read_up_to, bob.peer_delivered_up_to) = (Some(id(6)), Some(id(6)));
    for user in &mut world.users {
        user.devices.iter_mut().for_each(|device| device.updates.clear());
        user.devices.iter_mut().for_each(|device| device.updates_due.clear());
    }
    let key = MarkerKey {
        peer: ADA,
        own: false,
        read: true,
    };
    world.users[1].devices[0].copy.mark(key, id(6));
    // Of the other three each lacks that it was read, and that it was received.
    world.shows(&[(Kind::StaleWatermark, 6)]);
}

#[test]
fn the_last_update_of_a_conversation_is_stale() {
    let mut world = World::new();
    world.bobs_device().updates.get_mut(&ADA).unwrap().unread = 5;
    assert_eq!(world.shows_one(Kind::StaleConversation).peer, Some(ADA));
    let mut world = World::new();
    world.bobs_device().updates.clear();
    world.shows_one(Kind::StaleConversation);
    world.bobs_device().updates_due.clear();
    world.shows(&[]);
}

#[test]
fn settings_differ() {
    let mut world = World::new();
    let hidden = Settings {
        invisible: true,
        ..Settings::default()
    };
    world.bobs_device().copy.set(hidden);
    world.shows_one(Kind::Settings);
    let mut world = World::new();
    world.users[0].settings = Some(hidden);
    world.shows_one(Kind::Settings);
    world.users[0].settings = None;
    world.shows(&[]);
}

#[test]
fn presence_is_not_true() {
    let mut world = World::new();
    world.truth.presence.push(WrongPresence {
        user: BOB,
        shown_online: true,
    });
    assert_eq!(world.shows_one(Kind::Presence).user, Some(BOB));
}

#[test]
fn places_are_compared_by_time_first() {
    assert!(Place { at: 1, id: id(9) } < Place { at: 2, id: id(1) });
    assert!(Place { at: 1, id: id(1) } < Place { at: 1, id: id(2) });
}
