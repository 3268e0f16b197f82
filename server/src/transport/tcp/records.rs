//! Where the records of TLS begin and end: how much was read of one that can't be opened yet.

/// Bytes before the body of a record: its kind, a version, its length.
const HEADER: usize = 5;

/// Follows the records that a client sends.
#[derive(Default)]
pub(super) struct Records {
    /// Bytes of the record that has begun and is not complete.
    partial: usize,
    /// Its length with the header, once that is known; as much as has come of the length until then.
    length: usize,
}

impl Records {
    /// Counts what was read.
    pub(super) fn read(&mut self, mut read: &[u8]) {
        while !read.is_empty() {
            if self.partial < HEADER {
                // The length is in the last two bytes of the header.
                if self.partial >= HEADER - 2 {
                    self.length = self.length << 8 | usize::from(read[0]);
                }
                self.partial += 1;
                read = &read[1..];
            } else {
                let missing = (HEADER + self.length - self.partial).min(read.len());
                self.partial += missing;
                read = &read[missing..];
            }
            if self.partial >= HEADER && self.partial == HEADER + self.length {
                *self = Self::default();
            }
        }
    }

    /// How much has come of a record that is not complete.
    pub(super) fn partial(&self) -> usize {
        self.partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_complete_is_known_however_it_comes() {
        let mut sent = vec![23, 3, 3, 1, 2];
        sent.extend([7; 258]);
        sent.extend([22, 3, 1, 0, 0]);
        sent.extend([23, 3, 3, 0x40, 0]);
        sent.extend([9; 100]);
        for piece in 1..300 {
            let mut records = Records::default();
            let mut partial = Vec::new();
            for part in sent.chunks(piece) {
                records.read(part);
                partial.push(records.partial());
            }
            assert_eq!(records.partial(), 105, "in pieces of {piece}");
            assert!(partial.iter().all(|partial| *partial <= 262), "in pieces of {piece}");
        }
    }
}
