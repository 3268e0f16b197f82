//! Where the messages of a WebSocket begin and end, seen in its bytes as they pass.
//!
//! The library reads frames by itself, above everything that could count them. What must be known before it has a message
//! is little: how much of one has come that is not complete, and whether it asks to connect.

use super::names::Name;
use super::packets::{Attachments, BEGINNING, CONNECT};

/// Opcodes of frames.
const CONTINUED: u8 = 0;
const TEXT: u8 = 1;
const CONTROL: u8 = 8;
const PING: u8 = 9;

/// Bytes of the head of a frame that answers a ping.
const PONG_HEAD: usize = 2;

/// Follows one connection.
#[derive(Default)]
pub(super) struct Frames {
    /// The head of a frame, as much as has come.
    head: [u8; 14],
    length: usize,
    /// Whether the head is complete, and how much of the payload has not come.
    left: Option<u64>,
    /// How many bytes of the payload have come.
    place: usize,
    /// Where in the name of its event a message is.
    name: Name,
    /// The longest payload of a frame so far: as much as the library keeps, as long as the connection lives.
    longest: usize,
    text: bool,
    beginning: [u8; BEGINNING],
    begun: usize,
    attachments: Attachments,
    held: usize,
}

/// What was seen in what was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Messages that ask to connect.
    pub(super) connects: usize,
    /// Binary messages that no event of this connection announced.
    pub(super) unannounced: usize,
    /// Whether nothing was held at some moment.
    pub(super) completed: bool,
    /// Bytes of the frames with which the library answers pings. It keeps them until they are written, however many.
    pub(super) pongs: usize,
}

impl Frames {
    /// Bytes of messages that are not complete.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// How much the library keeps for messages that are complete.
    pub(super) fn kept(&self) -> usize {
        self.longest
    }

    /// Follows what was read, and changes what the library could not read.
    pub(super) fn read(&mut self, mut read: &mut [u8]) -> Seen {
        let mut seen = Seen::default();
        while !read.is_empty() {
            let left = match self.left {
                Some(left) => left,
                None => match self.read_head(&mut read) {
                    Some(length) => length,
                    None => break,
                },
            };
            let part = usize::try_from(left).map_or(read.len(), |left| left.min(read.len()));
            let (payload, rest) = std::mem::take(&mut read).split_at_mut(part);
            read = rest;
            self.left = Some(left - part as u64);
            if self.opcode() < CONTROL {
                self.follow(payload);
            }
            if left == part as u64 {
                self.end_frame(&mut seen);
            }
        }
        seen
    }

    /// Takes what it can of a frame's head off, and returns the length of the payload if that was all of it.
    fn read_head(&mut self, read: &mut &mut [u8]) -> Option<u64> {
        while let Some((byte, rest)) = std::mem::take(read).split_first_mut() {
            self.head[self.length] = *byte;
            self.length += 1;
            *read = rest;
            let extended = match self.head[1] & 127 {
                _ if self.length < 2 => continue,
                126 => 2,
                127 => 8,
                _ => 0,
            };
            if self.length < 2 + extended + self.mask_length() {
                continue;
            }
            let length = self.head[2..2 + extended]
                .iter()
                .fold(0, |length, byte| length << 8 | u64::from(*byte));
            self.place = 0;
            if self.opcode() != CONTINUED && self.opcode() < CONTROL {
                self.text = self.opcode() == TEXT;
                self.name = if self.text { Name::default() } else { Name::Done };
                self.begun = 0;
            }
            return Some(if extended > 0 {
                length
            } else {
                u64::from(self.head[1] & 127)
            });
        }
        None
    }

    fn opcode(&self) -> u8 {
        self.head[0] & 15
    }

    fn mask_length(&self) -> usize {
        if self.head[1] & 128 == 0 { 0 } else { 4 }
    }

    /// The mask at the end of a complete head, if there is one.
    fn mask(&self) -> &[u8] {
        &self.head[self.length - self.mask_length()..self.length]
    }

    /// A part of a message.
    fn follow(&mut self, payload: &mut [u8]) {
        self.held += payload.len();
        let mask: [u8; 4] = self.mask().try_into().unwrap_or_default();
        for (place, byte) in (self.place..).zip(payload.iter_mut()) {
            if self.begun == BEGINNING && self.name.is_done() {
                break;
            }
            let mask = mask[place % 4];
            let plain = *byte ^ mask;
            if self.begun < BEGINNING {
                self.beginning[self.begun] = plain;
                self.begun += 1;
            }
            *byte = self.name.byte(plain) ^ mask;
        }
        self.place += payload.len();
        self.longest = self.longest.max(self.place);
    }

    fn end_frame(&mut self, seen: &mut Seen) {
        let (last, control) = (self.head[0] & 128 != 0, self.opcode() >= CONTROL);
        self.left = None;
        self.length = 0;
        if self.opcode() == PING {
            seen.pongs += PONG_HEAD + usize::from(self.head[1] & 127);
        }
        if !last || control {
            return;
        }
        let beginning = &self.beginning[..self.begun];
        seen.unannounced += usize::from(!self.attachments.after(beginning, !self.text));
        seen.connects += usize::from(self.text && beginning.starts_with(CONNECT));
        if !self.attachments.are_missing() {
            self.held = 0;
            seen.completed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..126 => frame.push(128 | length as u8),
            length @ 126..65_536 => {
                frame.push(128 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(128 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn read(bytes: &[u8], piece: usize) -> (Frames, usize) {
        let mut frames = Frames::default();
        let mut bytes = bytes.to_vec();
        let seen = bytes.chunks_mut(piece).map(|bytes| frames.read(bytes).connects).sum();
        (frames, seen)
    }

    #[test]
    fn connects_are_seen_however_they_come() {
        let mask = [1, 2, 3, 4];
        let mut bytes = Vec::new();
        for length in [2, 125, 126, 70_000] {
            bytes.extend(frame(0x81, "40".repeat(length / 2).as_bytes(), mask));
            bytes.extend(frame(0x81, "42".repeat(length / 2).as_bytes(), mask));
            bytes.extend(frame(0x82, "40".repeat(length / 2).as_bytes(), mask));
        }
        // In parts, one of them empty, with a ping between.
        bytes.extend(frame(1, b"4", mask));
        bytes.extend(frame(0x89, b"40", mask));
        bytes.extend(frame(0, b"", mask));
        bytes.extend(frame(0x80, b"0{}", mask));
        bytes.extend(frame(0x81, b"", mask));
        for piece in [1, 2, 3, 7, 4_096, usize::MAX] {
            let (frames, seen) = read(&bytes, piece);
            assert_eq!((frames.held(), seen), (0, 5), "{piece}");
        }
    }

    #[test]
    fn answers_to_pings_are_counted() {
        let whole = [
            frame(0x89, b"", [0; 4]),
            frame(0x8a, b"pong", [0; 4]),
            frame(0x89, &[b'x'; 125], [7; 4]),
        ]
        .concat();
        for piece in [1, 3, usize::MAX] {
            let (mut frames, mut bytes) = (Frames::default(), whole.clone());
            let pongs: usize = bytes.chunks_mut(piece).map(|bytes| frames.read(bytes).pongs).sum();
            assert_eq!((pongs, frames.held()), (2 + 127, 0));
        }
    }

    #[test]
    fn what_is_not_complete_is_held() {
        let whole = frame(0x81, &[b'4'; 70_000], [9; 4]);
        assert_eq!(read(&whole[..whole.len() - 1], 1_000).0.held(), 69_999);
        let parts = [frame(1, &[b'4'; 60_000], [0; 4]), frame(0, &[b'4'; 60_000], [0; 4])].concat();
        assert_eq!(read(&parts, 1_000).0.held(), 120_000);
    }

    #[test]
    fn an_event_that_announces_its_attachments_oddly_is_never_complete() {
        for announced in ["450001-[]", "45000-[]", "45", "45x"] {
            let bytes = [
                frame(0x81, announced.as_bytes(), [0; 4]),
                frame(0x82, &[7; 100], [0; 4]),
            ]
            .concat();
            assert!(read(&bytes, 100).0.held() >= 100, "{announced}");
        }
        assert_eq!(read(&frame(0x81, b"450-[]", [0; 4]), 100).0.held(), 0);
    }

    #[test]
    fn an_event_is_complete_with_its_attachments() {
        let mut bytes = frame(0x81, b"4512-[]", [0; 4]);
        for _ in 0..11 {
            bytes.extend(frame(0x82, &[7; 1_000], [0; 4]));
            bytes.extend(frame(0x81, b"3", [0; 4]));
        }
        assert!(read(&bytes, 100).0.held() >= 11_000);
        bytes.extend(frame(0x82, &[7; 1_000], [0; 4]));
        assert_eq!(read(&bytes, 100).0.held(), 0);
    }
}
