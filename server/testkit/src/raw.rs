//! A connection byte by byte, for clients that do what no library would: they send half of something, or never read.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;
use socket2::SockRef;

use crate::Server;
use crate::process::eventually;

/// How long reading waits; slow machines are meant to pass.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A TCP connection to a server.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    /// Read and not looked at yet.
    read: Vec<u8>,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct RawAnswer {
    /// The status code.
    pub status: u16,
    /// All lines before the body.
    pub head: String,
    /// The body, if its length was given.
    pub body: String,
}

impl Raw {
    /// Connects.
    pub fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("the server listens");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout is no zero");
        stream.set_nodelay(true).expect("a TCP socket");
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// The same, with so small a buffer that what it does not read stays with the server.
    pub fn narrow(server: &Server) -> Self {
        let raw = Self::connect(server);
        SockRef::from(&raw.stream)
            .set_recv_buffer_size(4_096)
            .expect("a TCP socket");
        raw
    }

    /// Sends bytes; an error says that the server is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends a `GET`, without waiting for its answer.
    pub fn get(&mut self, path: &str, headers: &str) -> io::Result<()> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"))
    }

    /// Sends a `POST` of a text, without waiting for its answer.
    pub fn post(&mut self, path: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }

    /// The status of the next answer, of which no more than the head is read; `None` if the server closed instead.
    pub fn head(&mut self) -> Option<u16> {
        let end = self.fill_until(|read| read.windows(4).position(|four| four == b"\r\n\r\n"))?;
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        self.read.drain(..end + 4);
        head.split(' ').nth(1)?.parse().ok()
    }

    /// The next answer; `None` if the server closed instead.
    pub fn answer(&mut self) -> Option<RawAnswer> {
        let end = self.fill_until(|read| read.windows(4).position(|four| four == b"\r\n\r\n"))?;
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        self.read.drain(..end + 4);
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok())?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse().ok()).flatten()
        });
        let length: usize = length.unwrap_or(0);
        self.fill_until(|read| (read.len() >= length).then_some(()))?;
        let body = String::from_utf8_lossy(&self.read[..length]).into_owned();
        self.read.drain(..length);
        Some(RawAnswer { status, head, body })
    }

    /// Whether the server ends the connection while nothing but this is read of it.
    pub fn is_ended(&mut self) -> bool {
        let mut bytes = [0; 65_536];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
            }
        }
    }

    /// Ends the connection at once.
    pub fn close(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Begins a session that polls, and returns its path.
    ///
    /// # Panics
    /// If it is refused.
    pub fn begin_polling(&mut self) -> String {
        self.get("/socket.io/?EIO=4&transport=polling", "").expect("it is open");
        let answer = self.answer().expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let open: Value = serde_json::from_str(&answer.body[1..]).expect("an open packet");
        format!(
            "/socket.io/?EIO=4&transport=polling&sid={}",
            open["sid"].as_str().expect("an id")
        )
    }

    /// Begins a session that polls, authenticates it, and returns its path as soon as it is let in.
    ///
    /// # Panics
    /// If it is refused.
    pub fn authenticate_polling(&mut self, token: &str) -> String {
        let session = self.begin_polling();
        self.post(&session, &format!("40{{\"token\":\"{token}\"}}"))
            .expect("it is open");
        assert_eq!(self.answer().expect("an answer").status, 200);
        eventually("it is connected", TIMEOUT, || {
            self.get(&session, "").expect("it is open");
            self.answer().expect("an answer").body.contains("40{").then_some(())
        });
        session
    }

    /// Becomes a WebSocket that has not authenticated.
    ///
    /// # Panics
    /// If it is refused.
    pub fn upgrade(&mut self) {
        let headers = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        self.get("/socket.io/?EIO=4&transport=websocket", headers)
            .expect("it is open");
        assert_eq!(self.answer().expect("an answer").status, 101);
        self.text().expect("an open packet");
    }

    /// The same, and authenticates.
    ///
    /// # Panics
    /// If it is refused.
    pub fn authenticate(&mut self, token: &str) {
        self.upgrade();
        self.say(&format!("40{{\"token\":\"{token}\"}}")).expect("it is open");
        let answer = self.text().expect("an answer");
        assert!(answer.starts_with("40"), "{answer}");
    }

    /// Sends a text as a frame of a WebSocket.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        let mut frame = vec![0x81];
        match text.len() {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length @ 126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        // A mask of zeros leaves the text as it is.
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.send(frame)
    }

    /// The next frame of a WebSocket as a text; `None` if the server closed instead. Pings are answered.
    pub fn text(&mut self) -> Option<String> {
        loop {
            let text = self.frame()?;
            if text != "2" {
                return Some(text);
            }
            self.say("3").ok()?;
        }
    }

    fn frame(&mut self) -> Option<String> {
        self.fill_until(|read| (read.len() >= 2).then_some(()))?;
        let (head, length) = match self.read[1] & 127 {
            126 => {
                self.fill_until(|read| (read.len() >= 4).then_some(()))?;
                (4, usize::from(u16::from_be_bytes([self.read[2], self.read[3]])))
            }
            127 => {
                self.fill_until(|read| (read.len() >= 10).then_some(()))?;
                let length: [u8; 8] = self.read[2..10].try_into().expect("eight bytes");
                (10, usize::try_from(u64::from_be_bytes(length)).expect("a length"))
            }
            length => (2, usize::from(length)),
        };
        self.fill_until(|read| (read.len() >= head + length).then_some(()))?;
        let text = String::from_utf8_lossy(&self.read[head..head + length]).into_owned();
        self.read.drain(..head + length);
        Some(text)
    }

    fn fill_until<T>(&mut self, enough: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = enough(&self.read) {
                return Some(found);
            }
            let mut more = [0; 65_536];
            match self.stream.read(&mut more) {
                Ok(0) | Err(_) => return None,
                Ok(bytes) => self.read.extend_from_slice(&more[..bytes]),
            }
        }
    }
}
