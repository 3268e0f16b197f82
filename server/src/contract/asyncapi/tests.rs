//! The document has every event, both directions, and every code.

use std::collections::BTreeSet;

use shared::{ErrorCode, UserId, events};

use super::super::files::assert_references;
use super::from_server::RECEIVE_MESSAGE;
use super::{document, from_client, from_server};
use crate::routes::EVENTS;

/// The names of events, read from the text of the types, so that a new one can't be left out here.
fn names() -> BTreeSet<&'static str> {
    let text = include_str!("../../../../shared/src/events.rs");
    let constants = text.lines().filter_map(|line| {
        let (_, value) = line.strip_prefix("pub const ")?.split_once(": &str = \"")?;
        value.strip_suffix("\";")
    });
    constants.filter(|name| *name != events::AUTHENTICATION_ERROR).collect()
}

#[test]
fn every_event_of_the_servers_table_is_described_and_no_other() {
    let taken: BTreeSet<&str> = EVENTS.iter().map(|(event, ..)| *event).collect();
    let described: BTreeSet<&str> = from_client::requests().iter().map(|request| request.event).collect();
    assert_eq!(described, taken);
}

#[test]
fn every_event_of_the_types_is_described() {
    let requests: BTreeSet<&str> = from_client::requests().iter().map(|request| request.event).collect();
    let sent: BTreeSet<&str> = from_server::events().iter().map(|event| event.event).collect();
    let mut all: BTreeSet<&str> = requests.union(&sent).copied().collect();
    assert!(all.remove(RECEIVE_MESSAGE));
    assert_eq!(all, names());
    // `typing` goes both ways; nothing else does.
    let both: Vec<&&str> = requests.intersection(&sent).collect();
    assert_eq!(both, [&events::TYPING]);
    let address = events::receive_message(UserId::from_bytes([0; 12])).replace(&"0".repeat(24), "{userId}");
    assert_eq!(document()["channels"][RECEIVE_MESSAGE]["address"], *address);
}

#[test]
fn every_code_is_in_the_document() {
    let document = document();
    let codes = document["components"]["schemas"]["ErrorCode"]["oneOf"].as_array();
    let codes = codes
        .expect("a choice of codes")
        .iter()
        .map(|code| code["const"].as_str().expect("a code"));
    let known = ErrorCode::ALL.iter().map(|code| code.as_str());
    assert!(codes.eq(known));
}

#[test]
fn every_reference_leads_somewhere() {
    assert_references(&document(), 100);
}
