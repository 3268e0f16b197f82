//! The frames that a device speaks beyond those of [`chatctl_load::wire`]. They are parsed as JSON: here it is
//! correctness that counts.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use shared::events::Answer;
use shared::sync::Resume;

/// The frame that connects with a token and a cursor, empty to begin.
pub(super) fn connect(token: &str, since: &str) -> String {
    #[derive(Serialize)]
    struct Auth<'a> {
        token: &'a str,
        since: &'a str,
    }
    format!("40{}", json(&Auth { token, since }))
}

/// An event that asks for an answer of this number.
pub(super) fn request(number: u32, event: &str, payload: &impl Serialize) -> String {
    format!("42{number}{}", json(&(event, payload)))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("wire types have a JSON form")
}

/// The arguments of an event: what it says, and the cursor of one that can be resumed from.
pub(super) struct Arguments<'a> {
    payload: &'a RawValue,
    /// The second argument's cursor.
    pub(super) cursor: Option<String>,
}

impl<'a> Arguments<'a> {
    /// Takes the frame of an event apart.
    ///
    /// # Errors
    /// If it is not a JSON array of the name, a payload, and perhaps a cursor.
    pub(super) fn of(frame: &'a str) -> Result<Self, serde_json::Error> {
        let array = frame.find('[').map_or("", |start| &frame[start..]);
        let parts: Vec<&RawValue> = serde_json::from_str(array)?;
        let missing = || serde::de::Error::custom("an event without a payload");
        let resume = parts.get(2).map(|text| serde_json::from_str::<Resume>(text.get()));
        Ok(Self {
            payload: parts.get(1).copied().ok_or_else(missing)?,
            cursor: resume.transpose()?.map(|resume| resume.cursor),
        })
    }

    /// The payload.
    ///
    /// # Errors
    /// If it is none of that type.
    pub(super) fn payload<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.payload.get())
    }
}

/// An answer.
///
/// # Errors
/// If it is not `[{"ok":…}]` of that type.
pub(super) fn answer<T: DeserializeOwned>(body: &str) -> Result<Answer<T>, serde_json::Error> {
    serde_json::from_str::<(Answer<T>,)>(body).map(|(answer,)| answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_what_the_server_reads() {
        assert_eq!(connect("t", ""), r#"40{"token":"t","since":""}"#);
        assert_eq!(request(7, "sync", &()), r#"427["sync",null]"#);
    }

    #[test]
    fn events_are_taken_apart() {
        let plain = Arguments::of(r#"42["x",5]"#).unwrap();
        assert_eq!((plain.payload::<u8>().unwrap(), plain.cursor), (5, None));
        let resumable = Arguments::of(r#"42["x",5,{"cursor":"AQ"}]"#).unwrap();
        assert_eq!(resumable.cursor.as_deref(), Some("AQ"));
        for wrong in [r#"42["x"]"#, "42", r#"42["x",5,"AQ"]"#] {
            assert!(Arguments::of(wrong).is_err(), "{wrong}");
        }
    }
}
