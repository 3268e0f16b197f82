//! The text of a message as it comes. The replaced program stored numbers and booleans as JavaScript writes them, and its
//! clients rely on that.

use std::fmt;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A text, or the text of a number or a boolean.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct LooseText(pub(super) String);

impl<'de> Deserialize<'de> for LooseText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw).map(Self).map_err(de::Error::custom),
            Some(b't' | b'f') => Ok(Self(raw.to_owned())),
            Some(b'-' | b'0'..=b'9') => {
                let number: f64 = raw.parse().map_err(de::Error::custom)?;
                Ok(Self(Number(number).to_string()))
            }
            Some(b'n') => Err(de::Error::invalid_type(de::Unexpected::Unit, &"a text")),
            Some(b'[') => Err(de::Error::invalid_type(de::Unexpected::Seq, &"a text")),
            _ => Err(de::Error::invalid_type(de::Unexpected::Map, &"a text")),
        }
    }
}

/// A number as JavaScript writes it: ECMAScript, `Number::toString`.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = *self;
        let size = number.abs();
        if number.is_infinite() {
            f.write_str(if number < 0.0 { "-Infinity" } else { "Infinity" })
        } else if number == 0.0 {
            f.write_str("0")
        } else if (1e-6..1e21).contains(&size) {
            write!(f, "{number}")
        } else {
            // Rust writes 1e21 where JavaScript has 1e+21.
            let text = format!("{number:e}");
            f.write_str(&if size < 1.0 { text } else { text.replace('e', "e+") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_texts_as_javascript_writes_them() {
        for (json, text) in [
            ("\"a \\u00e9\"", "a é"),
            ("\"\"", ""),
            ("42", "42"),
            ("42.0", "42"),
            ("-0", "0"),
            ("-7.50", "-7.5"),
            ("1e3", "1000"),
            ("9007199254740993", "9007199254740992"),
            ("123456789012345680000", "123456789012345680000"),
            ("1e21", "1e+21"),
            ("1.5e300", "1.5e+300"),
            ("0.000001", "0.000001"),
            ("1.5e-7", "1.5e-7"),
            ("0.1", "0.1"),
            ("1e400", "Infinity"),
            ("true", "true"),
            ("false", "false"),
        ] {
            let LooseText(read) = serde_json::from_str(json).unwrap();
            assert_eq!(read, text, "{json}");
        }
        for json in ["null", "{}", "[\"a\"]", "\"\\ud83d\""] {
            assert!(serde_json::from_str::<LooseText>(json).is_err(), "{json}");
        }
    }
}
