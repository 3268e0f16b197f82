//! Values of settings that need more than their type: what is allowed, in words that say what to write.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use super::Secret;

/// What a part of `LOG_LEVEL` may say.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// A number of this range.
pub(super) fn number<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: FromStr + PartialOrd + std::fmt::Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let number = text.trim().parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("write a number from {} to {}", range.start(), range.end()))
    }
}

/// Whether something is on.
pub(super) fn flag(text: &str) -> Result<bool, &'static str> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" | "on" | "t" => Ok(true),
        "false" | "0" | "no" | "n" | "off" | "f" => Ok(false),
        _ => Err("write true or false"),
    }
}

/// A connection string. Whether it can be used is found out later, without showing it.
pub(super) fn mongo_uri(text: &str) -> Result<Secret, &'static str> {
    match text {
        "" => Err("it is empty; name a MongoDB, or remove it to have an embedded database in DATA_DIR"),
        _ => Ok(text.into()),
    }
}

/// A directory, which need not exist yet.
pub(super) fn data_dir(path: OsString) -> Result<PathBuf, &'static str> {
    match path.is_empty() {
        true => Err("it is empty; name a directory, or remove it to have ./data"),
        false => Ok(path.into()),
    }
}

/// A secret, of a flag: an empty one in the environment counts as none.
pub(super) fn jwt_secret(text: &str) -> Result<Secret, &'static str> {
    match text.trim() {
        "" => Err("the secret must not be empty; leave JWT_SECRET unset to have one created"),
        _ => Ok(text.into()),
    }
}

/// A filter whose every part says a level: the library takes a word that is none for the name of a module, and then nothing
/// else is logged.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    for part in &parts {
        let level = part.rsplit('=').next().unwrap_or_default();
        if !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
            let levels = LEVELS.join(", ");
            return Err(format!(
                "`{level}` is no level; write one of {levels}, or a level and modules with theirs, such as \
                 info,server::chat=debug"
            ));
        }
    }
    let filter = parts.join(",");
    match tracing_subscriber::EnvFilter::try_new(&filter) {
        Ok(_) => Ok(filter),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_levels_are_checked() {
        assert_eq!(log_filter("info"), Ok("info".to_owned()));
        assert_eq!(
            log_filter("WARN, server::chat=debug"),
            Ok("WARN,server::chat=debug".to_owned())
        );
        for wrong in [
            "",
            "warning",
            "infoo,server=debug",
            "info,server",
            "info,server=",
            "info,,",
        ] {
            assert!(
                log_filter(wrong).is_err_and(|why| why.contains("error, warn, info")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn numbers_are_checked_in_words() {
        let port = number(0..=u16::MAX);
        assert_eq!(port(" 6001 "), Ok(6_001));
        for wrong in ["http", "-1", "65536", "5000x", ""] {
            assert_eq!(port(wrong), Err("write a number from 0 to 65535".to_owned()), "{wrong}");
        }
    }
}
