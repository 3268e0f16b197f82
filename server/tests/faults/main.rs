//! What goes wrong in real life: kills, stops, a database that is away, settings that make no sense.

mod kill;
mod limits;
mod logs;
mod outage;
mod settings;
mod start;
mod stop;

use serde_json::Value;

/// The text and the `_id` of each message of a history, in its order.
fn listed(history: &[Value]) -> Vec<(String, String)> {
    let text = |document: &Value, name: &str| document[name].as_str().unwrap_or_default().to_owned();
    history
        .iter()
        .map(|document| (text(document, "message"), text(document, "_id")))
        .collect()
}
