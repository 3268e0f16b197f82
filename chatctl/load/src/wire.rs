//! The few Engine.IO and Socket.IO frames that the benchmark speaks, as texts; the transport is [`super::connection`].
//!
//! Frames are told apart by their first bytes and never parsed as JSON: at a high rate that would cost the machine
//! more than the server under test.

use std::fmt::Write;

use memchr::memmem;
use shared::{MessageId, UserId};
use uuid::Uuid;

/// Answer to the server's ping.
pub const PONG: &str = "3";

/// A frame from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Engine.IO is open; the client may connect now.
    Open,
    /// The token was accepted.
    Connected,
    /// The token was refused; the JSON that says why.
    Refused(&'a str),
    /// The server ends the connection.
    Disconnected,
    /// To be answered with [`PONG`].
    Ping,
    /// The answer to the event that carried this number.
    Answer(u32, &'a str),
    /// An event: its name, and all of the frame.
    Event(&'a str, &'a str),
    /// Anything else, to be ignored.
    Other,
}

impl<'a> Frame<'a> {
    /// What this text is.
    pub fn of(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        match (bytes.first(), bytes.get(1)) {
            (Some(b'4'), Some(b'2')) => event(text),
            (Some(b'4'), Some(b'3')) => answer(text),
            (Some(b'2'), _) => Self::Ping,
            (Some(b'0'), _) => Self::Open,
            (Some(b'4'), Some(b'0')) => Self::Connected,
            (Some(b'4'), Some(b'4')) => Self::Refused(&text[2..]),
            (Some(b'4'), Some(b'1')) | (Some(b'1'), _) => Self::Disconnected,
            _ => Self::Other,
        }
    }
}

fn answer(text: &str) -> Frame<'_> {
    let digits = text[2..].bytes().take_while(u8::is_ascii_digit).count();
    match text[2..2 + digits].parse() {
        Ok(number) => Frame::Answer(number, &text[2 + digits..]),
        Err(_) => Frame::Other,
    }
}

fn event(text: &str) -> Frame<'_> {
    let name = text.split_once("[\"").and_then(|(_, rest)| rest.split_once('"'));
    name.map_or(Frame::Other, |(name, _)| Frame::Event(name, text))
}

/// Whether an answer reports an error; everything else counts as done, whatever a server says when it is.
pub fn is_error(answer: &str) -> bool {
    // The search is for servers that write the fields in another order; quotes inside a text would be escaped.
    !answer.starts_with(r#"[{"ok":true"#) && memmem::find(answer.as_bytes(), br#""ok":false"#).is_some()
}

/// The frame that connects with a token.
pub fn connect(token: &str) -> String {
    format!(r#"40{{"token":"{token}"}}"#)
}

/// The same, with a cursor from which the server goes on; empty to begin.
pub fn connect_since(token: &str, since: &str) -> String {
    format!(r#"40{{"token":"{token}","since":"{since}"}}"#)
}

/// The id of the first message in a frame.
pub fn message_id(frame: &str) -> Option<MessageId> {
    const FIELD: &str = r#""_id":""#;
    let start = memmem::find(frame.as_bytes(), FIELD.as_bytes())? + FIELD.len();
    frame.get(start..start + 24)?.parse().ok()
}

/// The cursor of a `sync_done` event, if this is one.
pub fn sync_done<'a>(frame: &Frame<'a>) -> Option<&'a str> {
    let Frame::Event("sync_done", text) = frame else {
        return None;
    };
    let (_, rest) = text.split_once(r#""next":""#)?;
    rest.split_once('"').map(|(cursor, _)| cursor)
}

/// A `send_message` event; `number` asks for an answer. `text` writes the message, which must need no escapes.
pub fn send_message(
    number: Option<u32>,
    receiver: UserId,
    client_id: Option<Uuid>,
    text: impl FnOnce(&mut String),
) -> String {
    let mut frame = String::with_capacity(256);
    frame.push_str("42");
    if let Some(number) = number {
        // Writing to a string can't fail, here and below.
        let _ = write!(frame, "{number}");
    }
    let _ = write!(frame, r#"["send_message",{{"receiverId":"{receiver}","message":""#);
    text(&mut frame);
    if let Some(id) = client_id {
        let _ = write!(frame, r#"","clientMessageId":"{id}"#);
    }
    frame.push_str(r#""}]"#);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart() {
        assert_eq!(Frame::of(r#"0{"sid":"x"}"#), Frame::Open);
        assert_eq!(Frame::of(r#"40{"sid":"x"}"#), Frame::Connected);
        assert_eq!(
            Frame::of(r#"44{"message":"no"}"#),
            Frame::Refused(r#"{"message":"no"}"#)
        );
        assert_eq!(Frame::of("2"), Frame::Ping);
        assert_eq!(Frame::of("41"), Frame::Disconnected);
        assert_eq!(Frame::of(r#"4317[{"ok":true}]"#), Frame::Answer(17, r#"[{"ok":true}]"#));
        assert_eq!(Frame::of("43[]"), Frame::Other);
        let event = r#"42["receive_message_1",{"message":"a"}]"#;
        assert_eq!(Frame::of(event), Frame::Event("receive_message_1", event));
        let asking = r#"427["x"]"#;
        assert_eq!(Frame::of(asking), Frame::Event("x", asking));
        for other in ["", "6", "4", "é", "42", "42[]"] {
            assert_eq!(Frame::of(other), Frame::Other, "{other}");
        }
    }

    #[test]
    fn cursors_are_found() {
        let done = Frame::of(r#"42["sync_done",{"next":"AQ-_","hasMore":false}]"#);
        assert_eq!(sync_done(&done), Some("AQ-_"));
        assert_eq!(sync_done(&Frame::of(r#"42["presence",{"next":"AQ"}]"#)), None);
        assert_eq!(connect_since("t", "AQ"), r#"40{"token":"t","since":"AQ"}"#);
    }

    #[test]
    fn messages_are_found() {
        let id = "6945576383968f286a0ff5f9";
        let frame =
            format!(r#"42["conversation_updated",{{"peerId":"x","lastMessage":{{"_id":"{id}","message":""}}}}]"#);
        assert_eq!(message_id(&frame), Some(id.parse().unwrap()));
        assert_eq!(message_id(r#"42["presence",{"_id":"short"}]"#), None);
    }

    #[test]
    fn errors_are_seen() {
        assert!(is_error(r#"[{"ok":false,"error":{"code":"overloaded"}}]"#));
        assert!(is_error(r#"[{"error":{"code":"overloaded"},"ok":false}]"#));
        for done in [r#"[{"ok":true}]"#, "[]", r#"[{"status":"sent","text":"\"ok\":false"}]"#] {
            assert!(!is_error(done), "{done}");
        }
    }

    #[test]
    fn events_are_what_the_server_reads() {
        let receiver: UserId = "6945576383968f286a0ff5f9".parse().unwrap();
        let plain = send_message(None, receiver, None, |text| text.push_str("hi"));
        assert_eq!(
            plain,
            r#"42["send_message",{"receiverId":"6945576383968f286a0ff5f9","message":"hi"}]"#
        );
        let id = Uuid::now_v7();
        let whole = send_message(Some(7), receiver, Some(id), |text| text.push_str("hi"));
        let json = whole.strip_prefix("427").expect("the number follows the packet type");
        let value: (String, shared::events::SendMessage) = serde_json::from_str(json).unwrap();
        assert_eq!(value.1.client_message_id, Some(id.to_string()));
        assert_eq!(value.1.message, "hi");
    }
}
