//! Fuzz target of this module: values of settings.

use std::str::FromStr;

use axum::http::HeaderValue;

use super::{Host, Origins, paths, values};

/// A value of a setting, and an origin and a host that are compared with it, a line each.
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let value = line();
    if let Ok(host) = Host::from_str(value) {
        assert_eq!(host.to_string().parse(), Ok(host));
    }
    if let Ok(path) = paths::setting(value) {
        assert_eq!(paths::setting(&path), Ok(path));
    }
    let _ = paths::setting_of_one(value);
    let _ = values::flag(value);
    let _ = values::number(0..=u16::MAX)(value);
    if let Ok(filter) = values::log_filter(value) {
        assert_eq!(values::log_filter(&filter), Ok(filter));
    }
    if let Ok(origins) = Origins::from_str(value)
        && let (Ok(origin), Ok(host)) = (HeaderValue::from_str(line()), HeaderValue::from_str(line()))
    {
        origins.allow(&origin, Some(&host));
        assert!(origins != Origins::Any || origins.allow(&origin, None));
    }
}
