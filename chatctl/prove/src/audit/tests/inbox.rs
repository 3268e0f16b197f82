//! What can be wrong with inboxes, unread numbers, watermarks, settings and presence.

use super::*;

#[test]
fn an_unread_number_is_wrong() {
    // Bob has marked up to 2 of 4, and answered.
    for wrong in [1, 2] {
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
    world.users[0].marks.push(Marked {
        answer: None,
        ..mark(BOB, true, 6)
    });
    world.shows(&[]);
    // It may have moved what everybody sees of it.
    let ada = &mut world.inbox(ADA).conversations[1];
    (ada.read_up_to, ada.unread) = (Some(id(6)), 0);
    world.inbox(ADA).totals = vec![0];
    world.shows(&[]);
    world.inbox(ADA).conversations[1].unread = 1;
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
    world.server_state.presence.push(WrongPresence {
        user: BOB,
        shown_online: true,
    });
    assert_eq!(world.shows_one(Kind::Presence).user, Some(BOB));
}

#[test]
fn places_are_compared_by_time_first() {
    assert!(Position { at: 1, id: id(9) } < Position { at: 2, id: id(1) });
    assert!(Position { at: 1, id: id(1) } < Position { at: 1, id: id(2) });
}
