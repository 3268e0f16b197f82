//! What proxies that are trusted say of where their clients are. What anybody else says of it counts for nothing.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, header};

use super::unserved;
use crate::config::{Limits, Networks, ProxyHeader};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Most proxies that a request is taken to have passed. The header can be as long as a head.
const MAX_PROXIES: usize = 32;

/// Whose word is believed, and in which header it stands.
pub(super) struct Proxies {
    trusted: Networks,
    header: ProxyHeader,
    protocol: bool,
}

impl Proxies {
    /// As configured.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            trusted: limits.trusted_proxies.clone(),
            header: limits.proxy_header,
            protocol: limits.proxy_protocol,
        }
    }

    /// Whether this is a proxy that is trusted.
    pub(super) fn trust(&self, peer: IpAddr) -> bool {
        self.trusted.contain(peer)
    }

    /// Whether a connection from here begins with the PROXY protocol.
    pub(super) fn speak_first(&self, peer: IpAddr) -> bool {
        self.protocol && self.trust(peer)
    }

    /// Where the client of a request is that `peer` sent, unless that is the peer.
    ///
    /// Each proxy adds the address that it was called from at the end. So from the end on all are true that trusted proxies have
    /// added, and the first that is none of these proxies is the client. What stands before it, the client itself can have
    /// written. Where a proxy added what is no address, the proxy stands for its client.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let name = match self.header {
            ProxyHeader::XForwardedFor => X_FORWARDED_FOR,
            ProxyHeader::Forwarded => header::FORWARDED,
        };
        if !self.trust(peer) {
            if headers.contains_key(&name) && self.trusted.is_empty() {
                unserved::say(unserved::PROXY);
            }
            return None;
        }
        let lines = headers.get_all(name).into_iter().rev();
        let added = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        let mut client = None;
        for added in added.take(MAX_PROXIES) {
            let Some(address) = self.address(added) else { break };
            client = Some(address);
            if !self.trust(address) {
                break;
            }
        }
        client
    }

    /// The address in what one proxy added.
    fn address(&self, added: &[u8]) -> Option<IpAddr> {
        let added = str::from_utf8(added).ok()?.trim();
        match self.header {
            ProxyHeader::XForwardedFor => address(added),
            ProxyHeader::Forwarded => added.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                let value = value.trim();
                let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
                let is_for = name.trim().eq_ignore_ascii_case("for");
                is_for.then(|| address(quoted.unwrap_or(value)))?
            }),
        }
    }
}

/// An address, with or without brackets, port and zone.
fn address(text: &str) -> Option<IpAddr> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        // Of IPv6 without brackets all colons are the address's.
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, &text[host.len()..][..port.len() + 1]),
            _ => (text, ""),
        },
    };
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return None;
    }
    let host = host.split_once('%').map_or(host, |(host, _zone)| host);
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use clap::Parser;

    use super::*;
    use crate::config::Config;

    fn proxies(header: &str) -> Proxies {
        let header = format!("--proxy-header={header}");
        let arguments = ["server", "--trusted-proxies=10.0.0.0/8,fd00::/8", &header];
        Proxies::new(&Config::parse_from(arguments).limits)
    }

    fn client(header: &str, peer: &str, lines: &[&str]) -> String {
        let name = match header {
            "forwarded" => header::FORWARDED,
            _ => X_FORWARDED_FOR,
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let peer: IpAddr = peer.parse().unwrap();
        proxies(header).client(peer, &headers).unwrap_or(peer).to_string()
    }

    #[test]
    fn the_last_that_is_no_proxy_is_the_client() {
        for (peer, lines, expected) in [
            ("10.0.0.1", &["192.0.2.1"][..], "192.0.2.1"),
            // The client wrote the first one.
            ("10.0.0.1", &["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.9, 192.0.2.1, 10.0.0.7,10.3.3.3"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.9", "192.0.2.1, 10.0.0.7"], "192.0.2.1"),
            ("10.0.0.1", &["10.0.0.8, 10.0.0.9"], "10.0.0.8"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            // Whoever is no proxy is not believed.
            ("192.0.2.77", &["198.51.100.9"], "192.0.2.77"),
            ("::ffff:10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
        ] {
            assert_eq!(client("x-forwarded-for", peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn addresses_are_read_however_they_are_written() {
        for (text, expected) in [
            ("192.0.2.1:4711", Some("192.0.2.1")),
            ("2001:db8::7", Some("2001:db8::7")),
            ("[2001:db8::7]", Some("2001:db8::7")),
            ("[2001:db8::7]:4711", Some("2001:db8::7")),
            ("[fe80::7%eth0]:4711", Some("fe80::7")),
            ("fe80::7%eth0", Some("fe80::7")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:", Some("192.0.2.1")),
            ("unknown", None),
            ("_hidden", None),
            ("192.0.2.1:http", None),
            ("192.0.2.1:123456", None),
            ("[192.0.2.1", None),
            ("[2001:db8::7]x", None),
            ("192.0.2.256", None),
            ("1", None),
            ("", None),
            (":", None),
            ("]", None),
            ("[]", None),
            ("%", None),
        ] {
            let expected = expected.map(|expected| expected.parse().unwrap());
            assert_eq!(address(text), expected, "{text}");
        }
    }

    #[test]
    fn a_proxy_that_names_nobody_stands_for_its_client() {
        for lines in [
            &["192.0.2.1, unknown"][..],
            &["192.0.2.1, \"192.0.2.2\""],
            &["192.0.2.1,"],
            &["192.0.2.1, \u{e4}"],
        ] {
            assert_eq!(client("x-forwarded-for", "10.0.0.1", lines), "10.0.0.1", "{lines:?}");
        }
        // The one before the garbage was added by a proxy.
        assert_eq!(client("x-forwarded-for", "10.0.0.1", &["x, 10.0.0.5"]), "10.0.0.5");
    }

    #[test]
    fn a_header_of_8_kib_is_read_from_its_end() {
        let mut long = "198.51.100.9, ".repeat(600);
        long.push_str("192.0.2.1");
        assert!(long.len() > 8_192);
        assert_eq!(client("x-forwarded-for", "10.0.0.1", &[&long]), "192.0.2.1");
        let proxies = vec!["10.0.0.2"; 900].join(",");
        assert_eq!(client("x-forwarded-for", "10.0.0.1", &[&proxies]), "10.0.0.2");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_says() {
        for (line, expected) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=192.0.2.1;proto=https;by=10.0.0.1", "192.0.2.1"),
            ("proto=https; for=\"192.0.2.1:4711\"", "192.0.2.1"),
            ("for=198.51.100.9, for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("for=192.0.2.1, for=10.0.0.9", "192.0.2.1"),
            ("for=198.51.100.9, for=unknown", "10.0.0.1"),
            ("for=198.51.100.9, for=_hidden", "10.0.0.1"),
            ("for=198.51.100.9, proto=https", "10.0.0.1"),
            // What a client leaves open takes nothing of what the proxy adds.
            ("for=\"198.51.100.9, for=192.0.2.1", "192.0.2.1"),
            ("for=", "10.0.0.1"),
            ("=", "10.0.0.1"),
            (";;;", "10.0.0.1"),
        ] {
            assert_eq!(client("forwarded", "10.0.0.1", &[line]), expected, "{line}");
        }
    }

    #[test]
    fn the_header_that_the_proxy_does_not_set_is_the_clients_and_not_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::FORWARDED, HeaderValue::from_static("for=198.51.100.9"));
        let peer = "10.0.0.1".parse().unwrap();
        assert_eq!(proxies("x-forwarded-for").client(peer, &headers), None);
    }
}
