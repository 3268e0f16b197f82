//! Timestamps: milliseconds since the Unix epoch in memory, `2026-11-23T10:03:42.886Z` on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment, to the millisecond.
///
/// Written with exactly three decimals and `Z`, as JavaScript's `Date.toISOString` does; any RFC 3339 text is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            // A database may hold a date beyond the years ±9999; it has no text in this format.
            Err(_) if self.0 < 0 => write!(f, "{:.3}", jiff::Timestamp::MIN),
            Err(_) => write!(f, "{:.3}", jiff::Timestamp::MAX),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a timestamp is RFC 3339 with a time zone, such as 2026-11-23T10:03:42.886Z")]
pub struct InvalidTimestamp;

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        Ok(Self(parsed.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_always_three_decimals() {
        assert_eq!(
            Timestamp::from_millis(1_795_428_222_886).to_string(),
            "2026-11-23T10:03:42.886Z"
        );
        assert_eq!(
            Timestamp::from_millis(1_795_428_222_000).to_string(),
            "2026-11-23T10:03:42.000Z"
        );
    }

    #[test]
    fn what_has_no_text_is_the_last_or_first_that_has_one() {
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "9999-12-30T22:00:00.999Z");
        assert_eq!(
            Timestamp::from_millis(i64::MIN).to_string(),
            "-009999-01-02T01:59:59.000Z"
        );
    }

    #[test]
    fn reads_what_it_writes_and_other_zones() {
        let at = Timestamp::from_millis(1_795_428_222_886);
        assert_eq!(at.to_string().parse(), Ok(at));
        assert_eq!("2026-11-23T11:03:42.886+01:00".parse(), Ok(at));
        assert_eq!("yesterday".parse::<Timestamp>(), Err(InvalidTimestamp));
    }
}
