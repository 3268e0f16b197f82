//! Where the packets of polling bodies begin and end, and which events wait for their attachments.
//!
//! The library keeps an event until its attachments have come. By polling that may be in another body: stock clients fill
//! each with whole packets. So what waits is known to the session, see [`Waiting`].
//!
//! The library takes packets a little later than they are seen here, and the bodies of one session could cross a message of its
//! WebSocket. So that both come to the same count of missing attachments, whatever the order, everything that is not allowed
//! where it comes ends the session here too, also what the library only refuses.

use super::end_reason::EndReason;
use super::intake::{self, Charge};

/// As many bytes of a packet's beginning as say what it is: `40`, or `45`, at most two digits and a dash.
pub(super) const BEGINNING: usize = 5;

/// How a packet begins that asks to connect.
pub(super) const CONNECT: &[u8] = b"40";

/// How an attachment begins that comes by polling.
pub(super) const ATTACHMENT: u8 = b'b';

/// What stands between two packets.
pub(super) const SEPARATOR: u8 = 0x1e;

/// Attachments that the last event announced and that have not come.
#[derive(Default)]
pub(super) struct Attachments(usize);

impl Attachments {
    /// Something came that begins like this. False if it is not allowed here: an attachment that none was announced for, or
    /// anything else in the middle of an event.
    pub(super) fn after(&mut self, beginning: &[u8], attachment: bool) -> bool {
        match beginning {
            _ if attachment && self.0 == 0 => return false,
            _ if attachment => self.0 -= 1,
            [b'4', ..] if self.0 > 0 => return false,
            [b'4', b'5' | b'6', count @ ..] => self.0 = announced(count),
            _ => {}
        }
        true
    }

    /// Whether some have not come.
    pub(super) fn are_missing(&self) -> bool {
        self.0 > 0
    }
}

/// How many attachments the text after `45` announces. One that is written at greater length is never complete: the
/// library takes leading zeros.
fn announced(text: &[u8]) -> usize {
    let mut count = 0;
    for byte in text {
        match byte {
            b'0'..=b'9' => count = count * 10 + usize::from(byte - b'0'),
            b'-' => return count,
            _ => break,
        }
    }
    usize::MAX
}

/// Follows the packets of one body.
#[derive(Default)]
pub(super) struct Packets {
    beginning: [u8; BEGINNING],
    /// How much of the packet that comes was read.
    length: usize,
}

impl Packets {
    /// Follows what was read, and calls `may` with the beginning and length of each packet that it completes. False as soon as one
    /// may not be.
    pub(super) fn read(&mut self, read: &[u8], mut may: impl FnMut(&[u8], usize) -> bool) -> bool {
        read.split(|byte| *byte == SEPARATOR).enumerate().all(|(number, part)| {
            let goes_on = number == 0 || self.end(&mut may);
            for (place, byte) in self.beginning.iter_mut().skip(self.length).zip(part) {
                *place = *byte;
            }
            self.length += part.len();
            goes_on
        })
    }

    /// The body has ended, and with it the last packet.
    pub(super) fn end(&mut self, mut may: impl FnMut(&[u8], usize) -> bool) -> bool {
        match std::mem::take(&mut self.length) {
            0 => true,
            length => may(&self.beginning[..length.min(BEGINNING)], length),
        }
    }
}

/// An event that came by polling and waits for its attachments.
#[derive(Default)]
pub(super) struct Waiting {
    attachments: Attachments,
    /// How much of it has come.
    bytes: usize,
    charge: Option<Charge>,
    /// The second in which it began.
    since: u32,
}

impl Waiting {
    /// A whole packet came.
    ///
    /// # Errors
    /// If it may not come, or so much of an event may not wait: the session is then to be ended.
    pub(super) fn came(
        &mut self,
        beginning: &[u8],
        bytes: usize,
        now: u32,
        owner: impl FnOnce() -> Option<Charge>,
    ) -> Result<(), EndReason> {
        let attachment = match beginning {
            [b'2' | b'3', b'p', b'r', b'o', b'b'] => return Err(EndReason::Protocol),
            // A close, pings and pongs.
            [b'1'..=b'3', ..] => return Ok(()),
            [b'4', ..] => false,
            [ATTACHMENT, ..] => true,
            _ => return Err(EndReason::Protocol),
        };
        let waited = self.attachments.are_missing();
        if !self.attachments.after(beginning, attachment) {
            return Err(EndReason::Protocol);
        }
        if !self.attachments.are_missing() {
            *self = Self::default();
            return Ok(());
        }
        if !waited {
            self.since = now;
        }
        self.bytes += bytes;
        match intake::charge(&mut self.charge, self.bytes, owner) {
            true => Ok(()),
            false => Err(EndReason::Intake),
        }
    }

    /// Attachments came over the WebSocket that the session has moved to.
    pub(super) fn came_elsewhere(&mut self, attachments: usize) {
        self.attachments.0 = self.attachments.0.saturating_sub(attachments);
        if !self.attachments.are_missing() {
            *self = Self::default();
        }
    }

    /// Since which second something waits.
    pub(super) fn since(&self) -> Option<u32> {
        self.attachments.are_missing().then_some(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(body: &[u8], piece: usize) -> Vec<(Vec<u8>, usize)> {
        let (mut packets, mut seen) = (Packets::default(), Vec::new());
        let mut note = |beginning: &[u8], length| {
            seen.push((beginning.to_vec(), length));
            true
        };
        for read in body.chunks(piece) {
            assert!(packets.read(read, &mut note));
        }
        assert!(packets.end(&mut note));
        assert!(packets.end(&mut note), "it ends once");
        seen
    }

    #[test]
    fn packets_are_seen_however_they_come() {
        let body = b"40\x1e40{\"a\":1}\x1e2\x1e\x1e4\x1e042[\"40\"]\x1e451-[]\x1ebAAAA";
        let expected: [(&[u8], usize); 7] = [
            (b"40", 2),
            (b"40{\"a", 9),
            (b"2", 1),
            (b"4", 1),
            (b"042[\"", 9),
            (b"451-[", 6),
            (b"bAAAA", 5),
        ];
        for piece in 1..=body.len() {
            let seen = packets(body, piece);
            let seen: Vec<_> = seen
                .iter()
                .map(|(beginning, length)| (&beginning[..], *length))
                .collect();
            assert_eq!(seen, expected, "{piece}");
        }
    }

    #[test]
    fn reading_ends_with_a_packet_that_may_not_be() {
        let mut seen = 0;
        let may = |_: &[u8], _| {
            seen += 1;
            seen < 2
        };
        assert!(!Packets::default().read(b"1\x1e2\x1e3\x1e", may));
        assert_eq!(seen, 2);
    }

    #[test]
    fn an_event_waits_for_its_attachments_only() {
        let mut waiting = Waiting::default();
        let mut came = |beginning: &[u8], now| {
            assert_eq!(waiting.came(beginning, 100, now, || None), Ok(()), "{beginning:?}");
            (waiting.since(), waiting.bytes)
        };
        assert_eq!(came(b"42[\"a", 1), (None, 0));
        assert_eq!(came(b"450-[", 1), (None, 0));
        assert_eq!(came(b"452-[", 2), (Some(2), 100));
        assert_eq!(came(b"3", 3), (Some(2), 100));
        assert_eq!(came(b"bAAAA", 4), (Some(2), 200));
        assert_eq!(came(b"bAAAA", 5), (None, 0));
        assert_eq!(came(b"46000", 6), (Some(6), 100), "never complete");
    }

    #[test]
    fn what_may_not_come_ends_the_session() {
        let outcome = |packets: &[&[u8]]| {
            let mut waiting = Waiting::default();
            let mut came = |packet: &&[u8]| waiting.came(packet, packet.len(), 0, || None);
            packets.iter().try_for_each(&mut came)
        };
        for wrong in [&b"6"[..], b"5", b"0{", b"2prob", b"3prob", b"x"] {
            assert_eq!(outcome(&[b"451-[", wrong]), Err(EndReason::Protocol), "{wrong:?}");
        }
        assert_eq!(outcome(&[b"bAAAA"]), Err(EndReason::Protocol), "nobody announced it");
        assert_eq!(outcome(&[b"451-[", b"450-["]), Err(EndReason::Protocol));
        assert_eq!(outcome(&[b"451-[", b"42[\"a"]), Err(EndReason::Protocol));
        assert_eq!(outcome(&[b"1", b"2", b"3", b"2pro", b"40", b"41", b"43[]"]), Ok(()));
    }

    #[test]
    fn attachments_may_come_over_the_websocket() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.came(b"452-[", 9_000, 7, || None), Ok(()));
        waiting.came_elsewhere(1);
        assert_eq!(waiting.since(), Some(7));
        waiting.came_elsewhere(1);
        assert_eq!((waiting.since(), waiting.bytes), (None, 0));
    }
}
