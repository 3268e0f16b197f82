//! How a setting says how often something may be done, or how many bytes may come: `20/s:100`, `100MiB/day`, `off`.

use std::fmt;
use std::time::Duration;

/// Times: what is written after the slash.
const TIMES: [(&str, u64); 8] = [
    ("s", 1),
    ("m", 60),
    ("h", 3_600),
    ("d", 86_400),
    ("second", 1),
    ("minute", 60),
    ("hour", 3_600),
    ("day", 86_400),
];

/// Units of bytes, the longer names first.
const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// The smallest quota: the longest message fits into it.
const MIN_QUOTA: u64 = 64 << 10;

/// How often something may be done: so many times in a span, and so many at once; without one, as often as one likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub Option<Allowed>);

/// How many bytes may come. All of a span may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota(pub Option<Allowed>);

/// So many in a span, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// How many in each span.
    pub count: u32,
    /// The span.
    pub span: Duration,
    /// How many at once.
    pub burst: u32,
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.span.as_secs() {
            60 => "a minute",
            3_600 => "an hour",
            86_400 => "a day",
            _ => "a second",
        };
        write!(f, "{} in {name}, {} at once", self.count, self.burst)
    }
}

/// A rate, as a setting has it.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    let why = || {
        "write a number of times, such as 20/s, 300/m, 1000/h or 5000/d; with a colon and how many at once, as in 20/s:100; or off"
            .to_owned()
    };
    if is_off(text) {
        return Ok(Rate(None));
    }
    let (often, burst) = match text.trim().split_once(':') {
        Some((often, burst)) => (often, Some(positive(burst).ok_or_else(why)?)),
        None => (text.trim(), None),
    };
    let (count, span) = often.split_once('/').ok_or_else(why)?;
    let count = positive(count).ok_or_else(why)?;
    let span = self::span(span).ok_or_else(why)?;
    let burst = burst.unwrap_or(count);
    Ok(Rate(Some(Allowed { count, span, burst })))
}

/// A quota, as a setting has it.
pub(super) fn quota(text: &str) -> Result<Quota, String> {
    if is_off(text) {
        return Ok(Quota(None));
    }
    let allowed = (|| {
        let (bytes, span) = text.trim().split_once('/')?;
        let bytes = self::bytes(bytes.trim()).filter(|bytes| *bytes >= MIN_QUOTA)?;
        let count = u32::try_from(bytes).ok()?;
        let span = self::span(span)?;
        Some(Allowed {
            count,
            span,
            burst: count,
        })
    })();
    allowed.map(|allowed| Quota(Some(allowed))).ok_or_else(|| {
        "write bytes in a time, such as 100MiB/day or 10MB/hour, from 64KiB to less than 4GiB; or off".to_owned()
    })
}

fn is_off(text: &str) -> bool {
    ["off", "none", "0"].contains(&text.trim().to_ascii_lowercase().as_str())
}

/// A number from 1 to a million.
fn positive(text: &str) -> Option<u32> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| (1..=1_000_000).contains(number))
}

fn span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let known = TIMES.iter().find(|(name, _)| *name == text);
    known.map(|(_, seconds)| Duration::from_secs(*seconds))
}

fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
        .unwrap_or((text, 1));
    number.trim().parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(count: u32, seconds: u64, burst: u32) -> Option<Allowed> {
        let span = Duration::from_secs(seconds);
        Some(Allowed { count, span, burst })
    }

    #[test]
    fn rates_are_read() {
        for (text, expected) in [
            ("20/s:100", allowed(20, 1, 100)),
            (" 20 / s : 100 ", allowed(20, 1, 100)),
            ("300/m", allowed(300, 60, 300)),
            ("5/hour:1", allowed(5, 3_600, 1)),
            ("1/d", allowed(1, 86_400, 1)),
            ("off", None),
            ("OFF", None),
            ("0", None),
        ] {
            assert_eq!(rate(text), Ok(Rate(expected)), "{text}");
        }
        for wrong in [
            "",
            "20",
            "20/s:",
            "20/s:0",
            "0/s",
            "-1/s",
            "20/w",
            "20s",
            "20/s:100:1",
            "1.5/s",
            "9999999/s",
        ] {
            assert!(rate(wrong).is_err_and(|why| why.contains("20/s:100")), "{wrong}");
        }
    }

    #[test]
    fn quotas_are_read() {
        let day = 86_400;
        for (text, expected) in [
            ("100MiB/day", allowed(100 << 20, day, 100 << 20)),
            ("10 MB / h", allowed(10_000_000, 3_600, 10_000_000)),
            ("65536/s", allowed(65_536, 1, 65_536)),
            ("off", None),
        ] {
            assert_eq!(quota(text), Ok(Quota(expected)), "{text}");
        }
        for wrong in [
            "",
            "1KiB/day",
            "100MiB",
            "100/day",
            "4GiB/day",
            "1XB/day",
            "99999999999999GiB/day",
        ] {
            assert!(quota(wrong).is_err_and(|why| why.contains("100MiB/day")), "{wrong}");
        }
    }

    #[test]
    fn what_is_allowed_is_said_in_words() {
        let said = |text| {
            rate(text)
                .ok()
                .and_then(|rate| rate.0)
                .map(|allowed| allowed.to_string())
        };
        assert_eq!(said("20/s:100").as_deref(), Some("20 in a second, 100 at once"));
        assert_eq!(said("5/h").as_deref(), Some("5 in an hour, 5 at once"));
    }
}
