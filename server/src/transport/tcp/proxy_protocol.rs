//! The header of the PROXY protocol, versions 1 and 2, with which a proxy begins a connection to say who its client is.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use proxy_header::{Error, ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::socket::Socket;

/// Longest header that is read. Version 1 has at most 107 bytes; version 2 has 52 and what the proxy adds.
const MAX_BYTES: usize = 2_048;

/// Bytes that each header has: what version 2 begins with, and less than the shortest one of version 1.
const BEGINNING: usize = 12;

/// Bytes of version 2 up to the end of its length.
const HEAD: usize = 16;

/// How long a proxy may take to send it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Takes the header off a connection, and returns where the client is; `None` if the proxy speaks for itself.
///
/// # Errors
/// The connection does not begin with a header.
pub(super) async fn take(socket: &mut Socket) -> io::Result<Option<IpAddr>> {
    let reading = async {
        match socket {
            Socket::Tcp(tcp) => read(tcp).await,
            Socket::Unix(unix) => read(unix).await,
        }
    };
    match tokio::time::timeout(TIMEOUT, reading).await {
        Ok(read) => read,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Reads no more at a time than the header is sure to have: what comes after it is left for others.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut bytes = [0; MAX_BYTES];
    let mut end = 0;
    loop {
        let missing = match &bytes[..end] {
            [] => BEGINNING,
            [b'\r', ..] if end < HEAD => HEAD - end,
            [b'\r', ..] => (HEAD + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]))).saturating_sub(end),
            _ => 1,
        };
        let step = bytes.get_mut(end..end + missing).filter(|step| !step.is_empty());
        stream.read_exact(step.ok_or(io::ErrorKind::InvalidData)?).await?;
        end += missing;
        if let Some((client, _)) = parse(&bytes[..end])? {
            return Ok(client);
        }
    }
}

/// The client and the length of a header; `None` if there is more to come.
pub(super) fn parse(bytes: &[u8]) -> io::Result<Option<(Option<IpAddr>, usize)>> {
    let config = ParseConfig {
        include_tlvs: false,
        ..ParseConfig::default()
    };
    match ProxyHeader::parse(bytes, config) {
        Ok((header, length)) => {
            let client = header
                .proxied_address()
                .map(|proxied| proxied.source.ip().to_canonical());
            Ok(Some((client, length)))
        }
        // All of it has come, and an address does not fit into it.
        Err(Error::BufferTooShort) if is_complete(bytes) => Err(io::ErrorKind::InvalidData.into()),
        Err(Error::BufferTooShort) => Ok(None),
        Err(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Whether all of a header of version 2 is there, as long as it says that it is.
fn is_complete(bytes: &[u8]) -> bool {
    let length = bytes.get(14..16).and_then(|length| length.try_into().ok());
    let length = length.map(u16::from_be_bytes);
    bytes.first() == Some(&b'\r') && length.is_some_and(|length| bytes.len() >= 16 + usize::from(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(bytes: &[u8]) -> Option<Option<String>> {
        let (client, length) = parse(bytes).ok()??;
        assert_eq!(length, bytes.len());
        Some(client.map(|client| client.to_string()))
    }

    fn version_2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, addresses].concat()
    }

    #[test]
    fn both_versions_are_read() {
        let four = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0, 80];
        let mut six = [0; 36];
        six[..2].copy_from_slice(&[0x20, 0x01]);
        six[15] = 7;
        for (bytes, expected) in [
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n".to_vec(), Some("192.0.2.1")),
            (b"PROXY TCP6 2001::7 fd00::1 4711 80\r\n".to_vec(), Some("2001::7")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (version_2(0x21, 0x11, &four), Some("192.0.2.1")),
            (version_2(0x21, 0x21, &six), Some("2001::7")),
            // What a proxy adds.
            (
                version_2(0x21, 0x11, &[&four[..], &[4, 0, 1, 0]].concat()),
                Some("192.0.2.1"),
            ),
            // It asks for itself whether the server is there.
            (version_2(0x20, 0, &[]), None),
        ] {
            assert_eq!(client(&bytes), Some(expected.map(str::to_owned)), "{bytes:?}");
            for end in 1..bytes.len() {
                assert!(matches!(parse(&bytes[..end]), Ok(None)), "{end} of {bytes:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_comes_after_a_header_is_left_for_others() {
        let four = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0, 80, 4, 0, 1, 0];
        for (header, expected) in [
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n".to_vec(), Some("192.0.2.1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (version_2(0x21, 0x11, &four), Some("192.0.2.1")),
            (version_2(0x20, 0, &[]), None),
        ] {
            let sent = [&header[..], b"GET /"].concat();
            let mut sent = &sent[..];
            let client = read(&mut sent).await.unwrap();
            assert_eq!(client.map(|client| client.to_string()).as_deref(), expected);
            assert_eq!(sent, b"GET /");
            assert!(read(&mut &header[..header.len() - 1]).await.is_err());
        }
        for wrong in [
            &[b'P'; 3_000][..],
            &version_2(0x21, 0x11, &[4; 3_000]),
            b"GET / HTTP/1.1\r\n\r\n",
        ] {
            assert!(read(&mut &wrong[..]).await.is_err());
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            b"PROXY TCP4 2001::7 10.0.0.1 4711 80\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 99999 80\r\n",
            b"PROXY UDP4 192.0.2.1 10.0.0.1 4711 80\r\n",
            &[b'P'; 200],
            b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c............",
            &version_2(0x31, 0x11, &[0; 12]),
            &version_2(0x21, 0x11, &[0; 4]),
            b"\x16\x03\x01\x02\0",
        ] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
