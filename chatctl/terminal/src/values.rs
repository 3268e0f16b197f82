//! Values of arguments that need more than their type: what is allowed, in words that say what to write.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::Uri;

/// The address of a server, without a slash at its end.
pub fn url(text: &str) -> Result<String, String> {
    const BEGINNING: &str = "it must begin with http:// or https://, such as http://127.0.0.1:5000";
    let url: Uri = text.trim().parse().map_err(|error| match text.contains("://") {
        true => format!("it is no address ({error}); write one such as http://127.0.0.1:5000"),
        false => BEGINNING.to_owned(),
    })?;
    let scheme = url.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
    let (Some(scheme), Some(authority)) = (scheme, url.authority()) else {
        return Err(BEGINNING.to_owned());
    };
    let place = authority.as_str().rsplit('@').next().unwrap_or_default();
    if place.len() > authority.host().len() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err("its port must be a number from 1 to 65535".to_owned());
    }
    if url.query().is_some() || text.contains('#') {
        return Err("nothing may follow its path, no ? and no #".to_owned());
    }
    let address = format!("{scheme}://{authority}{}", url.path());
    Ok(address.trim_end_matches('/').to_owned())
}

/// A number of this range.
pub fn number<T>(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: TryFrom<u64>,
{
    move |text| {
        let number = text.trim().parse().ok().filter(|number| range.contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| format!("write a number from {} to {}", range.start(), range.end()))
    }
}

/// A number of things within these limits.
pub fn count(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync {
    number(range)
}

/// Messages a second.
pub fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.01..=10_000_000.0).contains(rate));
    rate.ok_or_else(|| "a number of messages a second, 0.01 to 10000000".to_owned())
}

/// How long a token holds.
pub fn lifetime(text: &str) -> Result<Duration, String> {
    let time = duration(text, "90s, 1h or 7d")?;
    if time < Duration::from_secs(1) || time > Duration::from_secs(100 * 365 * 86_400) {
        return Err("between 1s and 100 years".to_owned());
    }
    Ok(time)
}

/// A span of time of at most a day.
pub fn time(text: &str) -> Result<Duration, String> {
    let time = duration(text, "500ms, 10s or 2m")?;
    (time <= Duration::from_secs(86_400))
        .then_some(time)
        .ok_or_else(|| "at most a day".to_owned())
}

/// Seconds, which may have a fraction.
pub fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| *duration <= Duration::from_secs(10 * 365 * 86_400))
        .ok_or_else(|| "write a number of seconds".to_owned())
}

fn duration(text: &str, examples: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("write a number with its unit, such as {examples}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_slash_and_need_all_their_parts() {
        for (given, read) in [
            ("http://chat.example:5000/", "http://chat.example:5000"),
            (" HTTPS://chat.example/api/ ", "https://chat.example/api"),
            ("http://[::1]:5000", "http://[::1]:5000"),
            ("http://me:secret@chat.example", "http://me:secret@chat.example"),
        ] {
            assert_eq!(url(given).as_deref(), Ok(read));
        }
        for (wrong, what) in [
            ("localhost:5000", "begin with"),
            ("ftp://chat.example", "begin with"),
            ("", "begin with"),
            ("http://", "no address"),
            ("http://[::1", "no address"),
            ("http://127.0.0.1: 5000", "no address"),
            ("http://127.0.0.1:99999", "port"),
            ("http://127.0.0.1:http", "port"),
            ("http://[::1]:0", "port"),
            ("http://127.0.0.1:", "port"),
            ("http://127.0.0.1/?x=1", "no ?"),
            ("http://127.0.0.1/#x", "no #"),
        ] {
            let error = url(wrong).expect_err(wrong);
            assert!(error.contains(what), "{wrong}: {error}");
        }
    }

    #[test]
    fn numbers_and_times_say_what_to_write() {
        let small = number::<u8>(1..=64);
        assert_eq!((small("1"), small(" 64 ")), (Ok(1), Ok(64)));
        for wrong in ["0", "65", "many", "-1", ""] {
            assert_eq!(small(wrong), Err("write a number from 1 to 64".to_owned()), "{wrong}");
        }
        let wrong = "write a number with its unit, such as 500ms, 10s or 2m".to_owned();
        assert_eq!((time("5"), time("soon")), (Err(wrong.clone()), Err(wrong)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
    }
}
