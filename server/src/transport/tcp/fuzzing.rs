//! Fuzz targets of this module: bytes as they come from a connection. What is seen must not depend on how they are cut.

use std::net::IpAddr;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use clap::Parser;

use super::body::readable;
use super::frames::Frames;
use super::intake::{HEADER_BYTES, Requests};
use super::names::Name;
use super::packets::{Packets, Waiting};
use super::proxies::Proxies;
use super::proxy_protocol;
use crate::config::Config;

/// The first byte says how long the pieces are in which the rest comes.
fn pieces(data: &[u8]) -> (usize, &[u8]) {
    data.split_first()
        .map_or((1, data), |(piece, rest)| (usize::from(*piece) + 1, rest))
}

/// The bytes of a WebSocket after its handshake.
pub fn frames(data: &[u8]) {
    let (piece, bytes) = pieces(data);
    let follow = |piece: usize| {
        let (mut frames, mut bytes) = (Frames::default(), bytes.to_vec());
        let (mut connects, mut unannounced) = (0, 0);
        for part in bytes.chunks_mut(piece) {
            let seen = frames.read(part);
            connects += seen.connects;
            unannounced += seen.unannounced;
        }
        assert!(frames.held() <= bytes.len() && frames.kept() <= bytes.len());
        (bytes, frames.held(), frames.kept(), connects, unannounced)
    };
    assert_eq!(follow(piece), follow(usize::MAX));
}

/// The body of a session that polls.
pub fn packets(data: &[u8]) {
    let (piece, body) = pieces(data);
    let follow = |piece: usize| {
        let (mut packets, mut seen, mut ended) = (Packets::default(), Vec::new(), None);
        let mut waiting = Waiting::default();
        let mut note = |beginning: &[u8], length: usize| {
            seen.push((beginning.to_vec(), length));
            ended = waiting.came(beginning, length, 7, || None).err();
            ended.is_none()
        };
        let goes_on = body.chunks(piece).all(|read| packets.read(read, &mut note)) && packets.end(&mut note);
        assert_eq!(goes_on, ended.is_none());
        assert!(seen.iter().map(|(_, length)| length).sum::<usize>() <= body.len());
        (seen, ended)
    };
    assert_eq!(follow(piece), follow(usize::MAX));

    let readable = |piece: usize| {
        let mut name = Name::default();
        let parts = body
            .chunks(piece)
            .map(|part| readable(&mut name, Bytes::copy_from_slice(part)));
        parts.flatten().collect::<Vec<u8>>()
    };
    let (cut, whole) = (readable(piece), readable(usize::MAX));
    assert_eq!((&cut, cut.len()), (&whole, body.len()));
    // What was a text stays one, or the library would close the session.
    assert!(std::str::from_utf8(body).is_err() || std::str::from_utf8(&whole).is_ok());
}

/// The heads of requests, one after the other.
pub fn heads(data: &[u8]) {
    let (piece, bytes) = pieces(data);
    let follow = |piece: usize| {
        let mut requests = Requests::default();
        bytes
            .chunks(piece)
            .for_each(|part| assert!(requests.read(part) <= bytes.len()));
        assert_eq!(requests.waits(), bytes.len());
        let is_one = requests.is_one_head();
        let left = requests.answered(None);
        assert!(left <= HEADER_BYTES && (!is_one || left == 0));
        (is_one, left)
    };
    assert_eq!(follow(piece), follow(usize::MAX));
}

/// What proxies say of where their clients are, in either header. What a client wrote itself changes nothing.
pub fn forwarded(data: &[u8]) {
    static BOTH: LazyLock<[(HeaderName, Proxies); 2]> = LazyLock::new(|| {
        ["x-forwarded-for", "forwarded"].map(|name| {
            let header = format!("--proxy-header={name}");
            let config = Config::parse_from(["server", "--trusted-proxies=10.0.0.0/8,fd00::/8", &header]);
            (HeaderName::from_static(name), Proxies::new(&config.limits))
        })
    });
    let (proxy, stranger): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [192, 0, 2, 1].into());
    for (name, proxies) in &*BOTH {
        let client = |peer, value: &[u8]| {
            let value = HeaderValue::from_bytes(value).ok()?;
            proxies.client(peer, &HeaderMap::from_iter([(name.clone(), value)]))
        };
        assert_eq!(client(stranger, data), None);
        let found = client(proxy, data);
        if found.is_some_and(|found| !proxies.trust(found)) {
            for forged in [&b"203.0.113.9,"[..], b"for=203.0.113.9,", b",,"] {
                assert_eq!(client(proxy, &[forged, data].concat()), found);
            }
        }
    }
}

/// The header of the PROXY protocol, as much as has come. What has come whole is the same with more after it.
pub fn proxy_header(data: &[u8]) {
    if let Ok(Some((client, length))) = proxy_protocol::parse(data) {
        assert!((1..=data.len()).contains(&length));
        assert_eq!(
            proxy_protocol::parse(&data[..length]).ok(),
            Some(Some((client, length)))
        );
        assert!(
            !matches!(proxy_protocol::parse(&data[..length - 1]), Ok(Some(_))),
            "it was not whole"
        );
    }
}
