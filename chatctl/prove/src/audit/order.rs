//! The order of sending. A message has a place in it if its first sending was answered as new on the connection that
//! sent it: among those, of one connection to one receiver, history and every delivery have the order in which they
//! were sent. Whatever was sent again, or never answered, has none.
//!
//! From the same order it shows, without a clock, that a delivery was dropped: a device that heard an earlier and a
//! later message of such a row live, on one connection, must have heard what lies between.

use std::collections::{HashMap, HashSet};

use shared::{MessageId, UserId};

use super::Index;
use crate::record::{DeviceRecord, How, UserRecord};
use crate::violation::{Example, Findings, Kind};

/// A connection, and to whom it sent.
type Row = (u32, UserId);

pub(super) fn compare(index: &Index<'_>, findings: &mut Findings) {
    let mut rows: HashMap<Row, Vec<(u32, MessageId)>> = HashMap::new();
    for (id, (acknowledged_order, receiver)) in &index.acknowledged {
        let row = (acknowledged_order.connection, *receiver);
        rows.entry(row).or_default().push((acknowledged_order.order, *id));
    }
    for ((_, receiver), row) in &mut rows {
        row.sort_unstable();
        let stored: Vec<_> = row.iter().filter_map(|(_, id)| index.documents.get(id)).collect();
        for pair in stored.windows(2) {
            let [sent_first, sent_next] = [pair[0], pair[1]];
            if sent_first.position > sent_next.position {
                let what = "the first was sent before the second on one connection";
                let example = Example::new(what).of(sent_first.sender).with(*receiver);
                findings.add(
                    Kind::OutOfOrder,
                    example.messages([sent_first.position.id, sent_next.position.id]),
                );
            }
        }
    }
    for user in index.users {
        for device in &user.devices {
            for session in &device.sessions {
                check_heard(index, &rows, user, device, session, findings);
            }
        }
    }
}

fn check_heard(
    index: &Index<'_>,
    rows: &HashMap<Row, Vec<(u32, MessageId)>>,
    user: &UserRecord,
    device: &DeviceRecord,
    session: &[(MessageId, How)],
    findings: &mut Findings,
) {
    let example = |what: &str| Example::new(what).of(user.id).on(device.number);
    let mut known = HashSet::new();
    // Of each row: the first and the last that were heard live.
    let mut spans: HashMap<Row, (u32, (u32, MessageId))> = HashMap::new();
    for (id, how) in session {
        if !known.insert(*id) || *how != How::Live {
            continue;
        }
        let Some((acknowledged_order, receiver)) = index.acknowledged.get(id) else {
            continue;
        };
        let heard = (acknowledged_order.order, *id);
        let (_, last) = spans
            .entry((acknowledged_order.connection, *receiver))
            .or_insert((acknowledged_order.order, heard));
        if heard.0 < last.0 {
            let what = "the first was heard before the second, which had been sent earlier on one connection";
            findings.add(Kind::DeliveredOutOfOrder, example(what).messages([last.1, *id]));
        } else {
            *last = heard;
        }
    }
    for (row, (first, (last, _))) in spans {
        let between = rows[&row]
            .iter()
            .filter(|(order, id)| (first..=last).contains(order) && !known.contains(id));
        for (_, id) in between {
            let what = "one sent before and one sent after it on the same connection were heard live";
            findings.add(Kind::MissedLive, example(what).messages([*id]));
        }
    }
}
