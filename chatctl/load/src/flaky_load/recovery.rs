//! How a client gets what it missed: from its cursor, as PROTOCOL.md describes, or by the connection state recovery of
//! Socket.IO, where the server keeps a session for a while.

use memchr::memmem;
use serde::Deserialize;
use shared::events::{self, Answer};
use shared::sync::{SyncDone, SyncEvent, SyncRequest, Synced};

use crate::wire;

/// Which of the two a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryKind {
    /// Cursors and `sync`.
    Cursor,
    /// `connectionStateRecovery` of Socket.IO alone.
    Session,
}

/// What a client remembers between two connections.
#[derive(Debug)]
pub(super) enum Recovery {
    /// The last cursor it was given; empty at first.
    Cursor(String),
    /// The session, and the offset of the last event in it.
    Session {
        pid: Option<String>,
        offset: Option<String>,
    },
}

impl Recovery {
    pub(super) fn new(kind: RecoveryKind) -> Self {
        match kind {
            RecoveryKind::Cursor => Self::Cursor(String::new()),
            RecoveryKind::Session => Self::Session {
                pid: None,
                offset: None,
            },
        }
    }

    /// The frame that connects and asks for what was missed.
    pub(super) fn connect(&self, token: &str) -> String {
        match self {
            Self::Cursor(cursor) => wire::connect_since(token, cursor),
            Self::Session {
                pid: Some(pid),
                offset: Some(offset),
            } => format!(r#"40{{"token":"{token}","pid":"{pid}","offset":"{offset}"}}"#),
            Self::Session { .. } => wire::connect(token),
        }
    }

    /// Reads what the server said to it. Whether there is nothing more to wait for before what is missed is known to be here.
    pub(super) fn connected(&mut self, frame: &str) -> bool {
        #[derive(Deserialize)]
        struct Connected {
            pid: Option<String>,
        }
        match self {
            Self::Cursor(_) => false,
            Self::Session { pid, offset } => {
                let given = frame
                    .get(2..)
                    .and_then(|json| serde_json::from_str::<Connected>(json).ok());
                let given = given.and_then(|connected| connected.pid);
                if given != *pid {
                    // Another session: the offset was of the one that is gone.
                    *offset = None;
                }
                *pid = given;
                true
            }
        }
    }

    /// Remembers how far an event takes it.
    pub(super) fn heard(&mut self, frame: &str) {
        match self {
            Self::Cursor(cursor) => {
                if let Some(found) = last_text(frame, r#",{"cursor":""#, r#""}]"#) {
                    found.clone_into(cursor);
                }
            }
            Self::Session { offset, .. } => {
                if let Some(found) = last_text(frame, r#",""#, r#""]"#) {
                    *offset = Some(found.to_owned());
                }
            }
        }
    }

    /// Goes on from this cursor; the empty one begins anew.
    pub(super) fn go_on(&mut self, next: &str) {
        if let Self::Cursor(cursor) = self {
            next.clone_into(cursor);
        }
    }

    /// The frame that asks for the next page of what was missed.
    pub(super) fn page(&self, number: u32) -> String {
        let since = match self {
            Self::Cursor(cursor) => Some(cursor.clone()),
            Self::Session { .. } => None,
        };
        let request = SyncRequest { since, limit: None };
        let json = serde_json::to_string(&(events::SYNC, request)).expect("wire types have a JSON form");
        format!("42{number}{json}")
    }
}

/// The text between `before` and `after` at the very end of a frame, if it is one that needs no escapes.
fn last_text<'a>(frame: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let whole = frame.strip_suffix(after)?;
    let start = memmem::rfind(whole.as_bytes(), before.as_bytes())? + before.len();
    let text = &whole[start..];
    (!text.contains(['"', '\\', '{', '}'])).then_some(text)
}

/// What `sync_done` says.
pub(super) fn sync_done(frame: &str) -> Option<SyncDone> {
    let json = frame.find('[').map(|start| &frame[start..])?;
    let (_, done): (String, SyncDone) = serde_json::from_str(json).ok()?;
    Some(done)
}

/// A page of what was missed: the messages as JSON, and from where it goes on; none if the server refused.
pub(super) fn page(answer: &str) -> Option<(Vec<String>, String, bool)> {
    let (answer,): (Answer<Synced>,) = serde_json::from_str(answer).ok()?;
    let Answer::Ok(synced) = answer else { return None };
    let messages = synced.events.iter().filter_map(|event| match event {
        SyncEvent::Message { message } => serde_json::to_string(message).ok(),
        _ => None,
    });
    Some((messages.collect(), synced.next, synced.has_more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_kept_from_whatever_has_one() {
        let mut recovery = Recovery::new(RecoveryKind::Cursor);
        assert_eq!(recovery.connect("t"), r#"40{"token":"t","since":""}"#);
        assert!(!recovery.connected(r#"40{"sid":"x"}"#));
        recovery.heard(r#"42["receive_message_1",{"message":"a"},{"cursor":"AQ-_"}]"#);
        recovery.heard(r#"42["typing",{"from":"1"}]"#);
        assert_eq!(recovery.connect("t"), r#"40{"token":"t","since":"AQ-_"}"#);
        recovery.go_on("AR");
        assert_eq!(recovery.page(7), r#"427["sync",{"since":"AR"}]"#);
    }

    #[test]
    fn a_session_is_kept_as_long_as_it_is_the_same() {
        let mut recovery = Recovery::new(RecoveryKind::Session);
        assert_eq!(recovery.connect("t"), r#"40{"token":"t"}"#);
        assert!(recovery.connected(r#"40{"sid":"x","pid":"p"}"#));
        assert_eq!(recovery.connect("t"), r#"40{"token":"t"}"#, "there is no offset yet");
        recovery.heard(r#"42["receive_message_1",{"message":"a"},"0-f"]"#);
        recovery.heard(r#"42["other",{"message":"a"}]"#);
        assert_eq!(recovery.connect("t"), r#"40{"token":"t","pid":"p","offset":"0-f"}"#);
        assert!(recovery.connected(r#"40{"sid":"y","pid":"q"}"#));
        assert_eq!(recovery.connect("t"), r#"40{"token":"t"}"#);
    }

    #[test]
    fn pages_are_read() {
        let answer = r#"[{"ok":true,"events":[{"type":"message","message":{"_id":"6b040f7eb209ada4add1c867"}}],"next":"AQ","hasMore":true}]"#;
        let (messages, next, has_more) = page(answer).unwrap();
        assert!(messages[0].contains("6b040f7eb209ada4add1c867"), "{messages:?}");
        assert_eq!((next.as_str(), has_more), ("AQ", true));
        assert!(page(r#"[{"ok":false,"error":{"code":"internal","message":"no"}}]"#).is_none());
        assert!(
            !sync_done(r#"42["sync_done",{"next":"AQ","hasMore":false,"protocol":1}]"#)
                .unwrap()
                .has_more
        );
    }
}
