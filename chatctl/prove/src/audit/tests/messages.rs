//! What can be wrong with history and with the order of messages.

use uuid::Uuid;

use super::*;

#[test]
fn an_acknowledged_message_is_lost() {
    let mut world = World::new();
    // Nobody heard of it, either.
    world.server_state.histories[0].documents.remove(1);
    for user in &mut world.users {
        for device in &mut user.devices {
            device.copy.crash();
            device.sessions.clear();
        }
    }
    let findings = run(&world.users, &world.server_state);
    let lost = &findings.0[&Kind::Lost];
    assert_eq!((lost.count, &lost.examples[0].messages[..]), (1, &[id(2)][..]));
    assert_eq!(lost.examples[0].client_message_id, Some(Uuid::from_u128(2)));
    // Whoever has it has a phantom.
    let mut world = World::new();
    world.server_state.histories[0].documents.remove(2);
    let findings = run(&world.users, &world.server_state);
    assert_eq!(
        (findings.0[&Kind::Lost].count, findings.0[&Kind::Phantom].count),
        (1, 4)
    );
}

#[test]
fn an_unacknowledged_message_may_be_stored_or_not() {
    let mut world = World::new();
    world.users[0].sent[3].acked = None;
    world.users[0].sent[3].acknowledged_order = None;
    world.shows(&[]);
    let key = Uuid::from_u128(99);
    let never = Sending {
        key,
        acked: None,
        acknowledged_order: None,
        ..world.users[0].sent[0].clone()
    };
    world.users[0].sent.push(never);
    world.shows(&[]);
}

#[test]
fn a_message_is_stored_twice() {
    let mut world = World::new();
    let again = Document::of(&Message {
        message: world.messages[5].message.clone(),
        ..message(8, BOB, ADA)
    })
    .unwrap();
    world.server_state.histories[0].documents.push(again);
    let findings = run(&world.users, &world.server_state);
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
    world.users[0].sent[0].acked.as_mut().unwrap().fingerprint += 1;
    assert_eq!(world.shows_one(Kind::Altered).messages, [id(1)]);
    let mut world = World::new();
    world.users[0].sent[0].acked.as_mut().unwrap().position.id = id(9);
    world.users[0].sent[0].acknowledged_order = None;
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
    world.server_state.histories[0].documents.swap(1, 2);
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
    let (one, two) = (
        world.users[0].sent[0].acknowledged_order,
        world.users[0].sent[1].acknowledged_order,
    );
    world.users[0].sent[0].acknowledged_order = two;
    world.users[0].sent[1].acknowledged_order = one;
    // They are delivered as they are stored, so that is out of order as well.
    let findings = world.shows(&[(Kind::OutOfOrder, 1), (Kind::DeliveredOutOfOrder, 4)]);
    assert_eq!(findings.0[&Kind::OutOfOrder].examples[0].messages, [id(2), id(1)]);
    // What was repeated has no claim, and what another connection sent is in no order with it.
    world.users[0].sent[0].acknowledged_order = None;
    world.shows(&[]);
    world.users[0].sent[0].acknowledged_order = Some(Acknowledged {
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
