//! Values of settings that need more than their type: what is allowed, in words that say what to write.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Secret;

pub(super) use shared::values::{flag, number};

/// What a part of `LOG_LEVEL` may say.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

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

/// A filter whose every part says a level: the library takes a word that is none for the name of a module, and then nothing
/// else is logged.
/// # Errors
/// Why it is none.
pub fn log_filter(text: &str) -> Result<String, String> {
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
}
