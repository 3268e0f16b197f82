//! `CORS_ORIGINS`: the pages that browsers may connect from.

use std::str::FromStr;

use axum::http::HeaderValue;
use axum::http::uri::Authority;

/// From where browsers may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// From anywhere.
    Any,
    /// From these only, and from the server's own host.
    Only(Vec<Pattern>),
}

/// Origins that are listed by one part of the setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// What browsers send for pages without an origin, such as files.
    Null,
    /// An origin, or many.
    Of {
        /// In lower case.
        scheme: String,
        /// In lower case; after `*.` if hosts below it are meant.
        host: String,
        /// Whether hosts below it are meant, and not itself.
        below: bool,
        /// The port.
        port: Port,
    },
}

/// A port of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Whichever.
    Any,
    /// This one; `None` where the scheme has none by itself and none is named.
    One(Option<u16>),
}

/// A scheme, a host and a port, as they are compared.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// Reads what a client sends.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let authority: Authority = authority.parse().ok()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let port = authority.port_u16().or_else(|| default_port(&scheme));
        let host = authority.host().to_ascii_lowercase();
        Some(Self { scheme, host, port })
    }
}

/// The port of a scheme that is not written.
fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

impl Origins {
    /// Whether a page of this origin may connect to a server that it calls by this host: any that is listed, and those of the
    /// same host, which native clients send, too.
    pub fn allow(&self, origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
        let Self::Only(patterns) = self else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        if origin == "null" {
            return patterns.contains(&Pattern::Null);
        }
        let Some(origin) = Origin::parse(origin) else {
            return false;
        };
        is_of_host(&origin, host) || patterns.iter().any(|pattern| pattern.matches(&origin))
    }
}

/// Whether an origin is the host and port that a request goes to. A proxy that ends TLS before this server leaves both as they are.
fn is_of_host(origin: &Origin, host: Option<&HeaderValue>) -> bool {
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    authority.is_some_and(|authority| {
        let port = authority.port_u16().or_else(|| default_port(&origin.scheme));
        default_port(&origin.scheme).is_some()
            && authority.host().eq_ignore_ascii_case(&origin.host)
            && port == origin.port
    })
}

impl Pattern {
    fn matches(&self, origin: &Origin) -> bool {
        let Self::Of {
            scheme,
            host,
            below,
            port,
        } = self
        else {
            return false;
        };
        let is_host = match below {
            false => origin.host == *host,
            true => origin
                .host
                .strip_suffix(host.as_str())
                .is_some_and(|name| name.len() > 1 && name.ends_with('.')),
        };
        let is_port = match port {
            Port::Any => true,
            Port::One(port) => origin.port == *port,
        };
        origin.scheme == *scheme && is_host && is_port
    }
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.contains(&"*") {
            return Ok(Self::Any);
        }
        parts
            .into_iter()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self::Only)
    }
}

impl FromStr for Pattern {
    type Err = String;

    /// Refuses what no browser sends: it would never match.
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = |why: &str| {
            Err(format!(
                "`{text}` is not an origin: {why}; write * or a list such as https://app.example.com, https://*.example.com, \
                 http://localhost:*, capacitor://localhost, null"
            ))
        };
        if text.eq_ignore_ascii_case("null") {
            return Ok(Self::Null);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return refused("it has no scheme, such as https://");
        };
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
        match &*scheme.to_ascii_lowercase() {
            "ws" | "wss" | "ftp" | "data" | "blob" => return refused("pages have no such scheme"),
            _ if !is_scheme => return refused("it has no scheme, such as https://"),
            _ => {}
        }
        if rest.contains(['/', '?', '#']) {
            return refused("nothing stands after the host and port, not even a slash");
        }
        let (rest, any_port) = match rest.strip_suffix(":*") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (name, below) = match rest.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (rest, false),
        };
        if name.contains('*') {
            return refused("a * stands for the names below a host, or for the port, and nowhere else");
        }
        if !name.is_ascii() {
            return refused("browsers send names of other scripts as xn--…");
        }
        let has_port = name.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let Some(origin) = Origin::parse(&format!("{scheme}://{name}")) else {
            return refused("it has no host");
        };
        if has_port
            && (any_port
                || name
                    .rsplit_once(':')
                    .is_none_or(|(_, port)| port.parse::<u16>().is_err()))
        {
            return refused("its port is none");
        }
        if origin.host.is_empty() {
            return refused("it has no host");
        }
        Ok(Self::Of {
            scheme: origin.scheme,
            host: origin.host,
            below,
            port: if any_port { Port::Any } else { Port::One(origin.port) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(list: &str, origin: &'static str, host: &'static str) -> bool {
        let origins: Origins = list.parse().unwrap();
        origins.allow(
            &HeaderValue::from_static(origin),
            Some(&HeaderValue::from_static(host)).filter(|host| !host.is_empty()),
        )
    }

    #[test]
    fn what_is_meant_is_allowed() {
        for (list, origin) in [
            ("*", "https://any.example"),
            ("https://a.example, *", "https://any.example"),
            ("https://a.example, http://localhost:3000", "http://localhost:3000"),
            ("https://Shop.Example", "https://shop.example"),
            ("HTTPS://shop.example:443", "https://shop.example"),
            ("https://shop.example", "https://SHOP.example:443"),
            ("http://shop.example:80", "http://shop.example"),
            ("https://*.shop.example", "https://a.b.shop.example"),
            ("http://localhost:*", "http://localhost:5173"),
            ("http://localhost:*", "http://localhost"),
            ("https://*.shop.example:*", "https://a.shop.example:8443"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("http://[::1]:*", "http://[::1]:3000"),
            ("capacitor://localhost, ionic://localhost", "ionic://localhost"),
            ("tauri://localhost", "tauri://localhost"),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
            ("null", "null"),
        ] {
            assert!(allow(list, origin, ""), "{list} {origin}");
        }
    }

    #[test]
    fn what_is_not_is_refused() {
        for (list, origin) in [
            ("https://shop.example", "http://shop.example"),
            ("https://shop.example", "https://shop.example:8443"),
            ("https://shop.example", "https://shop.example.evil.example"),
            ("https://*.shop.example", "https://shop.example"),
            ("https://*.shop.example", "https://evilshop.example"),
            ("https://*.shop.example", "https://.shop.example"),
            ("https://*.shop.example", "https://a.shop.example:8443"),
            ("http://localhost:*", "http://localhost.evil.example"),
            ("http://localhost:*", "https://localhost"),
            ("capacitor://localhost", "capacitor://localhost:1"),
            ("https://shop.example", "null"),
            ("null", "https://null"),
            ("https://shop.example", "https://user@shop.example"),
            ("https://shop.example", "shop.example"),
        ] {
            assert!(!allow(list, origin, ""), "{list} {origin}");
        }
    }

    #[test]
    fn pages_of_the_same_host_pass() {
        let list = "https://a.example";
        for (origin, host) in [
            ("http://chat.example:5000", "chat.example:5000"),
            ("https://chat.example", "chat.example"),
            ("https://chat.example", "Chat.example:443"),
            ("http://[::1]:5000", "[::1]:5000"),
            ("ws://chat.example:5000", "chat.example:5000"),
        ] {
            assert!(allow(list, origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://chat.example:3000", "chat.example:5000"),
            ("https://evil.example", "chat.example"),
            ("capacitor://chat.example", "chat.example"),
            ("null", "null"),
        ] {
            assert!(!allow(list, origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn what_cant_match_is_refused_at_the_start() {
        for wrong in [
            "",
            "a.example",
            "localhost:3000",
            "https://a.example/",
            "https://a.example/app",
            "https://a.example?b",
            "ftp://a.example",
            "wss://a.example",
            "https://a.example,,",
            "https://*",
            "https://a.*.example",
            "https://a*.example",
            "http://localhost:3*",
            "http://localhost:99999",
            "http://localhost:",
            "http://localhost:3000:*",
            "https://user@a.example",
            "https://",
            "://a.example",
            "https://b\u{fc}cher.example",
        ] {
            let error = wrong.parse::<Origins>().expect_err(wrong);
            assert!(error.contains("is not an origin"), "{error}");
        }
    }
}
