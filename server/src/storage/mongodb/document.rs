//! Documents as Mongoose writes them, to and from the wire types.
//!
//! Reading is forgiving, as Mongoose is: a number where a text belongs becomes text, and a field of any other wrong
//! type is left out. One odd document never spoils a page.

use bson::oid::ObjectId;
use bson::raw::{RawBsonRef, RawDocument, RawDocumentBuf, cstr};
use bson::{Bson, DateTime, Document, doc};
use shared::{Message, MessageId, Settings, Timestamp, User, UserId};

use crate::domain::{AvatarUrl, DisplayName, NewMessage, Position};

/// The field that holds the client's own id of a message.
pub(super) const CLIENT_MESSAGE_ID: &str = "clientMessageId";

/// The field that holds what another system calls a user.
pub(super) const EXTERNAL_ID: &str = "externalId";

/// The document of a new message. The order of the fields is Mongoose's.
pub(super) fn encode(message: &NewMessage, updated_at: Timestamp) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), ObjectId::from_bytes(message.id.bytes()));
    document.append(cstr!("sender"), ObjectId::from_bytes(message.sender.bytes()));
    document.append(cstr!("receiver"), ObjectId::from_bytes(message.receiver.bytes()));
    document.append(cstr!("message"), message.text.as_str());
    document.append(cstr!("createdAt"), date(message.created_at));
    document.append(cstr!("updatedAt"), date(updated_at));
    document.append(cstr!("__v"), 0_i32);
    if let Some(id) = &message.client_message_id {
        document.append(cstr!("clientMessageId"), id.as_str());
    }
    document
}

/// Reads a message, or `None` if the document's `_id` is none of ours.
pub(super) fn message(document: &RawDocument) -> Option<Message> {
    let mut id = None;
    let mut message = Message {
        id: MessageId::from_bytes([0; 12]),
        sender: None,
        receiver: None,
        message: None,
        created_at: None,
        updated_at: None,
        version: None,
    };
    for (key, value) in fields(document) {
        match key {
            "_id" => id = value.as_object_id(),
            "sender" => message.sender = value.as_object_id().map(user_id),
            "receiver" => message.receiver = value.as_object_id().map(user_id),
            "message" => message.message = text(value),
            "createdAt" => message.created_at = value.as_datetime().map(timestamp),
            "updatedAt" => message.updated_at = value.as_datetime().map(timestamp),
            "__v" => message.version = integer(value),
            _ => {}
        }
    }
    message.id = MessageId::from_bytes(id?.bytes());
    Some(message)
}

/// Reads a message and its `clientMessageId`.
pub(super) fn with_client_id(document: &RawDocument) -> Option<(Message, Option<String>)> {
    let client_id = document.get_str(CLIENT_MESSAGE_ID).ok().map(str::to_owned);
    Some((message(document)?, client_id))
}

/// Reads a user, or `None` if the document's `_id` is none of ours. A user without a name has an empty one.
pub(super) fn user(document: &RawDocument) -> Option<User> {
    let mut id = None;
    let mut user = User::new(UserId::from_bytes([0; 12]), String::new());
    for (key, value) in fields(document) {
        match key {
            "_id" => id = value.as_object_id(),
            "username" => user.username = text(value).unwrap_or_default(),
            "isOnline" => user.is_online |= value.as_bool().unwrap_or(false),
            // Another program may say otherwise: it sees its own connections only.
            "onlineNodes" => user.is_online |= value.as_array().is_some_and(|nodes| !nodes.is_empty()),
            "lastSeen" => user.last_seen = value.as_datetime().map(timestamp),
            // Of another type, or longer than one can be, it is another program's.
            EXTERNAL_ID => user.external_id = value.as_str().and_then(|id| id.parse().ok()),
            // Likewise: as long as it likes, and a script where an address belongs.
            "displayName" => {
                user.display_name = value.as_str().and_then(DisplayName::from_text).map(String::from);
            }
            "avatarUrl" => {
                let url = value.as_str().map(str::to_owned);
                user.avatar_url = url.and_then(|url| AvatarUrl::new(url).ok()).map(String::from);
            }
            _ => {}
        }
    }
    user.id = user_id(id?);
    Some(user)
}

/// The `_id` of a document, if it is an ObjectId.
pub(super) fn object_id(document: &RawDocument) -> Option<ObjectId> {
    document.get("_id").ok().flatten()?.as_object_id()
}

/// A user's id as BSON.
pub(super) fn user_key(user: UserId) -> Bson {
    ObjectId::from_bytes(user.bytes()).into()
}

/// A user's id from BSON.
pub(super) fn user_id(id: ObjectId) -> UserId {
    UserId::from_bytes(id.bytes())
}

/// A moment as BSON.
pub(super) fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.millis())
}

/// A message's id as BSON.
pub(super) fn message_key(message: MessageId) -> ObjectId {
    ObjectId::from_bytes(message.bytes())
}

/// A message's id from BSON.
pub(super) fn message_id(id: ObjectId) -> MessageId {
    MessageId::from_bytes(id.bytes())
}

/// The time in an id, in seconds.
pub(super) fn id_seconds(id: MessageId) -> u32 {
    let bytes = id.bytes();
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// A position in a conversation as the time that messages have in the database: none, for those without one.
pub(super) fn position_date(position: Position) -> Bson {
    match position.created_at {
        Position::UNDATED => Bson::Null,
        at => date(at).into(),
    }
}

/// A position in a conversation as a document. Such documents are ordered as the positions are.
pub(super) fn encode_position(position: Position) -> Document {
    doc! { "at": position_date(position), "id": message_key(position.id) }
}

/// Reads what [`encode_position`] wrote.
pub(super) fn position(document: &RawDocument) -> Option<Position> {
    let at = document.get("at").ok().flatten().and_then(RawBsonRef::as_datetime);
    Some(Position {
        created_at: at.map_or(Position::UNDATED, timestamp),
        id: message_id(document.get_object_id("id").ok()?),
    })
}

/// Reads a user's settings from the user's document: the default where nothing is stored.
pub(super) fn settings(user: &RawDocument) -> Settings {
    let default = Settings::default();
    let Ok(stored) = user.get_document("settings") else {
        return default;
    };
    Settings {
        read_receipts: stored.get_bool("readReceipts").unwrap_or(default.read_receipts),
        invisible: stored.get_bool("invisible").unwrap_or(default.invisible),
        version: version(stored),
    }
}

/// How often settings were changed, as far as that was counted: earlier versions did not.
pub(super) fn version(settings: &RawDocument) -> u64 {
    let changes = settings.get_i64("changes").ok();
    changes
        .and_then(|changes| u64::try_from(changes).ok())
        .unwrap_or_default()
}

/// A moment from BSON.
pub(super) fn timestamp(date: DateTime) -> Timestamp {
    Timestamp::from_millis(date.timestamp_millis())
}

/// The fields that can be read; one with a broken value is left out.
fn fields(document: &RawDocument) -> impl Iterator<Item = (&str, RawBsonRef<'_>)> {
    let elements = document.iter_elements().map_while(Result::ok);
    elements.filter_map(|element| Some((element.key().as_str(), element.value().ok()?)))
}

/// Casts to text what Mongoose does: texts, numbers, booleans and ids.
fn text(value: RawBsonRef<'_>) -> Option<String> {
    match value {
        RawBsonRef::String(text) => Some(text.to_owned()),
        RawBsonRef::Int32(number) => Some(number.to_string()),
        RawBsonRef::Int64(number) => Some(number.to_string()),
        RawBsonRef::Double(number) => Some(javascript(number)),
        RawBsonRef::Boolean(truth) => Some(truth.to_string()),
        RawBsonRef::ObjectId(id) => Some(id.to_hex()),
        _ => None,
    }
}

/// A double as JavaScript prints it.
fn javascript(number: f64) -> String {
    if number == 0.0 {
        "0".into() // Also for minus zero.
    } else if number.is_infinite() {
        let sign = if number < 0.0 { "-" } else { "" };
        format!("{sign}Infinity")
    } else if number.is_nan() || (1e-6..1e21).contains(&number.abs()) {
        number.to_string()
    } else {
        let text = format!("{number:e}");
        if number.abs() < 1.0 {
            text
        } else {
            text.replace('e', "e+")
        }
    }
}

fn integer(value: RawBsonRef<'_>) -> Option<i32> {
    match value {
        RawBsonRef::Int32(number) => Some(number),
        RawBsonRef::Int64(number) => number.try_into().ok(),
        RawBsonRef::Double(number) if number.fract() == 0.0 => i32::try_from(number as i64).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    const ID: ObjectId = ObjectId::from_bytes([7; 12]);

    #[test]
    fn wrong_types_are_cast_or_left_out() {
        let odd = rawdoc! { "_id": ID, "sender": "nobody", "receiver": 5, "message": 12345, "createdAt": "today",
        "updatedAt": null, "__v": 0.0, "more": { "deep": [1] } };
        let read = message(&odd).unwrap();
        assert_eq!(
            (read.sender, read.receiver, read.created_at, read.updated_at),
            (None, None, None, None)
        );
        assert_eq!((read.message.as_deref(), read.version), (Some("12345"), Some(0)));

        let read = user(&rawdoc! { "_id": ID, "isOnline": "yes", "lastSeen": 3 }).unwrap();
        assert_eq!(
            (read.username.as_str(), read.is_online, read.last_seen),
            ("", false, None)
        );
        let names = rawdoc! { "_id": ID, "displayName": "é".repeat(4_000), "avatarUrl": "javascript:alert(1)" };
        let read = user(&names).unwrap();
        assert_eq!((read.display_name, read.avatar_url), (Some("é".repeat(128)), None));
        assert_eq!(message(&rawdoc! { "_id": "own id", "message": "a" }), None);
    }

    #[test]
    fn a_broken_text_is_passed_over() {
        let mut bytes = rawdoc! { "_id": ID, "message": "xx", "__v": 3 }.into_bytes();
        let place = bytes.windows(2).position(|pair| pair == b"xx").unwrap();
        bytes[place] = 0xff;
        let read = message(&RawDocumentBuf::from_bytes(bytes).unwrap()).unwrap();
        assert_eq!((read.message, read.version), (None, Some(3)));
    }

    #[test]
    fn numbers_print_as_in_javascript() {
        for (number, printed) in [
            (12345.0, "12345"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e-7, "-1.5e-7"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(javascript(number), printed);
        }
    }
}
