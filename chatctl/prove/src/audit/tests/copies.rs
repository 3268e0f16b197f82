//! What can be wrong with the copies of devices.

use super::*;

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
    let mut document = world.documents(|document| document.position.id == id(3))[0];
    document.fingerprint += 1;
    world.bobs_device().copy.put(document);
    assert_eq!(world.shows_one(Kind::CopyDiffers).messages, [id(3)]);
}

#[test]
fn a_copy_holds_what_history_has_not() {
    let mut world = World::new();
    let document = Document::of(&message(9, ADA, BOB)).unwrap();
    world.bobs_device().copy.put(document);
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
