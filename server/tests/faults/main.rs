//! What goes wrong in real life: kills, stops, a database that is away or hangs, full disks, bad networks, settings that
//! make no sense.

#![expect(clippy::disallowed_methods, reason = "tests wait for times and hold little")]

mod crowds;
mod data_dir;
mod deployments;
mod disk;
mod env_file;
mod failover;
mod floods;
mod greeting;
mod hang;
mod inspect;
mod kill;
mod large;
mod limits;
mod listening;
mod logs;
mod network;
mod nobody;
mod nodes;
mod outage;
mod parts;
mod proxied;
mod rates;
mod reads;
mod requests;
mod settings;
mod start;
mod stop;
mod storm;
mod stuck;
mod sync;
mod unread;
mod waiting;

use serde_json::Value;
use testkit::Server;

/// The text and the `_id` of each message of a history, in its order.
fn listed(history: &[Value]) -> Vec<(String, String)> {
    let text = |document: &Value, name: &str| document[name].as_str().unwrap_or_default().to_owned();
    history
        .iter()
        .map(|document| (text(document, "message"), text(document, "_id")))
        .collect()
}

/// Whether a server says that it is ready, and says so in both ways.
fn ready(server: &Server) -> bool {
    let answer = server.get("/readyz", "");
    assert!([200, 503].contains(&answer.status), "{}", answer.body);
    assert_eq!(answer.json()["ready"], answer.status == 200, "{}", answer.body);
    answer.status == 200
}
