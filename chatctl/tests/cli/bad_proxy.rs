//! A proxy that spoils requests, as proxies do that are set up wrong. Each connection carries one request.

#![expect(clippy::disallowed_methods, reason = "the proxy holds an answer back for a time")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Its answers have the time of long ago.
    OldDate,
    /// It takes off the headers that ask for a WebSocket, as nginx does by itself.
    NoUpgrade,
    /// It holds back answers that are waited for.
    HoldsBack,
    /// It ends connections on which nothing is said for a second.
    Impatient,
    /// Each connection goes to the next server.
    Alternating,
}

/// A running proxy to some servers, for as long as the test runs.
pub(crate) struct BadProxy {
    port: u16,
}

impl BadProxy {
    pub(crate) fn start(manner: Manner, servers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (servers, count): (Vec<u16>, _) = (servers.to_vec(), Arc::new(AtomicUsize::new(0)));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let number = count.fetch_add(1, Ordering::Relaxed);
                let server = match manner {
                    Manner::Alternating => servers[number % servers.len()],
                    _ => servers[0],
                };
                thread::spawn(move || pass(manner, client, server));
            }
        });
        Self { port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Passes one request and its answer, or an upgraded connection. What breaks ends it.
fn pass(manner: Manner, mut client: TcpStream, server: u16) -> Option<()> {
    let head = read_head(&mut client)?;
    let (mut asked, body) = (String::new(), head.1);
    let is_upgrade = head.0.to_lowercase().contains("\r\nupgrade:");
    let is_kept = is_upgrade && manner != Manner::NoUpgrade;
    for line in head.0.split("\r\n") {
        let name = line.split(':').next().unwrap_or_default().to_lowercase();
        if is_kept || !matches!(name.as_str(), "connection" | "upgrade") {
            asked.push_str(line);
            asked.push_str("\r\n");
        }
    }
    if !is_kept {
        asked.push_str("Connection: close\r\n");
    }
    asked.push_str("\r\n");
    let mut upstream = TcpStream::connect(("127.0.0.1", server)).ok()?;
    upstream.write_all(asked.as_bytes()).ok()?;
    upstream.write_all(&body).ok()?;
    let length = header(&head.0, "content-length").and_then(|length| length.parse::<u64>().ok());
    let rest = length.unwrap_or(0).saturating_sub(body.len() as u64);
    std::io::copy(&mut (&client).take(rest), &mut upstream).ok()?;
    if is_kept {
        if manner == Manner::Impatient {
            for side in [&client, &upstream] {
                side.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
            }
        }
        let (mut from, mut to) = (client.try_clone().ok()?, upstream.try_clone().ok()?);
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
        let _ = std::io::copy(&mut upstream, &mut client);
        let _ = client.shutdown(Shutdown::Both);
        return Some(());
    }
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).ok()?;
    if manner == Manner::HoldsBack && head.0.starts_with("GET") && head.0.contains("sid=") {
        thread::sleep(Duration::from_secs(6));
    }
    if manner == Manner::OldDate {
        let text = String::from_utf8(answer).ok()?;
        let old = header(&text, "date")?;
        answer = text.replacen(&old, "Sun, 06 Nov 1994 08:49:37 GMT", 1).into_bytes();
    }
    client.write_all(&answer).ok()
}

/// The head up to its empty line, and what came after it.
fn read_head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            bytes.truncate(end);
            return Some((String::from_utf8(bytes).ok()?, body));
        }
        match stream.read(&mut piece).ok()? {
            0 => return None,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    let found = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let mut found = found.filter(|(other, _)| other.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim().to_owned())
}
