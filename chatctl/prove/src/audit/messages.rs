//! Every acknowledged message is in history exactly once, as it was acknowledged.

use std::collections::HashMap;

use shared::UserId;
use uuid::Uuid;

use super::Index;
use crate::document::Document;
use crate::record::{Contradiction, History, Sending};
use crate::violation::{Example, Findings, Kind};

pub(super) fn compare(index: &Index<'_>, findings: &mut Findings) {
    let mut stored: HashMap<Uuid, Vec<&Document>> = HashMap::new();
    for history in &index.server_state.histories {
        list(history, findings);
        for document in &history.documents {
            if let Some(key) = document.key {
                stored.entry(key).or_default().push(document);
            }
        }
    }
    let mut sent: HashMap<Uuid, (UserId, &Sending)> = HashMap::new();
    for user in index.users {
        for sending in &user.sent {
            sent.insert(sending.key, (user.id, sending));
            let found = stored.get(&sending.key).map_or(&[][..], Vec::as_slice);
            acknowledged(user.id, sending, found, findings);
        }
    }
    for document in index.documents.values() {
        let meant = document.key.and_then(|key| sent.get(&key));
        if !meant.is_some_and(|(sender, sending)| *sender == document.sender && sending.receiver == document.receiver) {
            let what = format!(
                "no message of this run from {} to {}",
                document.sender, document.receiver
            );
            findings.add(Kind::Unknown, Example::new(what).messages([document.position.id]));
        }
    }
}

/// What a history shows by itself.
fn list(history: &History, findings: &mut Findings) {
    let (one, other) = history.between;
    let example = |what: &str| Example::new(what).of(one).with(other);
    for pair in history.documents.windows(2) {
        let [earlier, later] = [pair[0].position, pair[1].position];
        if earlier >= later {
            let what = "the first is listed before the second";
            findings.add(Kind::Unsorted, example(what).messages([earlier.id, later.id]));
        }
    }
    for document in &history.documents {
        let between = (document.sender, document.receiver);
        if between != (one, other) && between != (other, one) {
            let what = format!("from {} to {}", document.sender, document.receiver);
            findings.add(Kind::Unknown, example(&what).messages([document.position.id]));
        }
    }
    for id in &history.malformed {
        findings.add(Kind::Malformed, example("it lacks a field").messages([*id]));
    }
}

fn acknowledged(sender: UserId, sending: &Sending, stored: &[&Document], findings: &mut Findings) {
    let example = |what: String| Example::new(what).of(sender).with(sending.receiver).key(sending.key);
    let ids = stored.iter().map(|document| document.position.id);
    if stored.len() > 1 {
        let what = format!("{} times", stored.len());
        findings.add(Kind::StoredTwice, example(what).messages(ids.clone()));
    }
    if let Some(code) = &sending.refused {
        findings.add(Kind::Refused, example(format!("send_message: {code}")));
    }
    let Some(acked) = &sending.acked else { return };
    if let Some(contradiction) = sending.contradiction {
        let (what, other) = match contradiction {
            Contradiction::Other(other) => ("as two messages", Some(other)),
            Contradiction::NewTwice => ("twice with duplicate: false", None),
        };
        let ids = std::iter::once(acked.position.id).chain(other);
        findings.add(Kind::Contradiction, example(what.to_owned()).messages(ids));
    }
    let is_it = |document: &&&Document| document.position.id == acked.position.id;
    match stored.iter().find(is_it) {
        Some(document) if **document == *acked => {}
        Some(_) => {
            let what = "a field differs from that of the acknowledgement".to_owned();
            findings.add(Kind::Altered, example(what).messages([acked.position.id]));
        }
        None if stored.is_empty() => {
            let what = "history has neither this _id nor this clientMessageId".to_owned();
            findings.add(Kind::Lost, example(what).messages([acked.position.id]));
        }
        None => {
            let what = "the first _id was acknowledged, history has the others".to_owned();
            let all = std::iter::once(acked.position.id).chain(ids);
            findings.add(Kind::Altered, example(what).messages(all));
        }
    }
}
