//! What a report says of the run besides its outcome: when and against what it was, and how much each promise was checked on.

use serde::Serialize;

use super::record::{ServerState, UserRecord};

/// When and against what, and how to repeat it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct About {
    /// When the run had ended, in UTC.
    pub(crate) date: String,
    /// The addresses of the servers.
    pub(crate) address: String,
    /// The version of this program.
    pub(crate) version: &'static str,
    /// The command line.
    pub(crate) command: String,
}

impl About {
    /// Of a run that ends now, against the servers at `addresses`.
    pub(crate) fn now<'a>(addresses: impl Iterator<Item = &'a str>) -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).map(|argument| quoted(&argument)).collect();
        Self {
            date: jiff::Timestamp::now().strftime("%F %T UTC").to_string(),
            address: addresses.collect::<Vec<_>>().join(","),
            version: env!("CARGO_PKG_VERSION"),
            command: format!("chatctl {}", arguments.join(" ")),
        }
    }
}

/// An argument as a shell reads it back.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// A promise, and on how many items it was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Checked {
    /// The promise.
    pub(crate) promise: &'static str,
    /// How many.
    pub(crate) items: u64,
    /// Of what.
    pub(crate) of: &'static str,
}

/// What the audit compared.
pub(crate) fn checked(users: &[UserRecord], server_state: &ServerState) -> Vec<Checked> {
    let devices = || users.iter().flat_map(|user| &user.devices);
    let acknowledged = users
        .iter()
        .flat_map(|user| &user.sent)
        .filter(|sent| sent.acked.is_some());
    let stored = server_state.histories.iter().map(|history| history.documents.len());
    let heard = devices().flat_map(|device| &device.sessions).map(Vec::len);
    let copied = devices().map(|device| device.copy.documents().len());
    let marks = users.iter().map(|user| user.marks.len());
    let settings = users.iter().filter(|user| user.settings.is_some());
    let listed = server_state.inboxes.values().map(|inbox| inbox.conversations.len());
    let rows = [
        (
            "acknowledged is stored once, as it was acknowledged",
            acknowledged.count(),
            "messages",
        ),
        ("history is in the order of sending", stored.sum(), "stored messages"),
        ("nobody hears what isn't theirs, all in order", heard.sum(), "events"),
        ("whoever catches up has everything", copied.sum(), "messages of devices"),
        ("receipts hold and only move forward", marks.sum(), "marks"),
        ("settings are as they were set last", settings.count(), "users"),
        (
            "inboxes and unread numbers equal a recount",
            listed.sum(),
            "conversations",
        ),
        ("presence is true", users.len(), "users"),
    ];
    let row = |(promise, items, of): (_, usize, _)| Checked {
        promise,
        items: items as u64,
        of,
    };
    rows.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_pasted() {
        assert_eq!(quoted("--duration"), "--duration");
        assert_eq!(quoted("kill 'it'; sleep 1"), r"'kill '\''it'\''; sleep 1'");
        assert_eq!(quoted(""), "''");
    }
}
