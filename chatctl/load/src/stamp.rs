//! What stands in the text of a benchmark's message: who sent it as which, and when. The receiver reads from it how
//! long the delivery took, and the [`super::ledger`] whether anything was lost, doubled or out of order.
//!
//! `~<run>.<sender>.<sequence>.<time>~`, hexadecimal and of fixed width, is found by byte search wherever a server puts
//! the text, and needs no escapes in JSON.

use std::fmt::Write;

use memchr::memmem::Finder;

/// The shortest text that holds a stamp, in bytes.
pub const STAMP_BYTES: usize = 45;

/// Writes and reads the stamps of one run; those of other runs are not recognised.
#[derive(Debug)]
pub struct Stamper {
    run: u32,
    marker: Finder<'static>,
    size: usize,
}

/// What a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The sender's number among the users of this run.
    pub sender: u32,
    /// Which of the sender's messages it is, from 0.
    pub sequence: u32,
    /// When it was, or should have been, sent: nanoseconds since the run's epoch.
    pub at: u64,
}

impl Stamper {
    /// A stamper of a run that no other run is mistaken for; its texts are `size` bytes long, at least [`STAMP_BYTES`].
    pub fn new(run: u32, size: usize) -> Self {
        Self {
            run,
            marker: Finder::new(&format!("~{run:08x}.")).into_owned(),
            size,
        }
    }

    /// Appends a text.
    pub fn write(&self, out: &mut String, stamp: Stamp) {
        let Stamp { sender, sequence, at } = stamp;
        // Writing to a string can't fail.
        let _ = write!(out, "~{:08x}.{sender:08x}.{sequence:08x}.{at:016x}~", self.run);
        out.extend(std::iter::repeat_n('x', self.size.saturating_sub(STAMP_BYTES)));
    }

    /// The stamp in a frame, if one of this run is in it.
    pub fn read(&self, frame: &str) -> Option<Stamp> {
        let start = self.marker.find(frame.as_bytes())? + self.marker.needle().len();
        let number = |from: usize, digits: usize| u64::from_str_radix(frame.get(from..from + digits)?, 16).ok();
        Some(Stamp {
            sender: number(start, 8)? as u32,
            sequence: number(start + 9, 8)? as u32,
            at: number(start + 18, 16)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        sender: 17_999,
        sequence: 12,
        at: 123_456_789_012,
    };

    #[test]
    fn reads_what_it_wrote() {
        for size in [0, STAMP_BYTES, 200] {
            let stamper = Stamper::new(7, size);
            let mut text = String::new();
            stamper.write(&mut text, STAMP);
            assert_eq!(text.len(), size.max(STAMP_BYTES));
            let frame = format!(r#"42["receive_message_x",{{"message":"{text}","__v":0}}]"#);
            assert_eq!(stamper.read(&frame), Some(STAMP));
        }
    }

    #[test]
    fn other_texts_are_no_stamps() {
        let mut text = String::new();
        Stamper::new(7, 0).write(&mut text, STAMP);
        let other = Stamper::new(8, 0);
        for frame in [
            text.as_str(),
            "",
            "~00000008.",
            "~00000008.zzzzzzzz.00000000.0000000000000000~",
        ] {
            assert_eq!(other.read(frame), None, "{frame}");
        }
    }
}
