//! The text after which a user's feed goes on: written and read here, opaque to everybody else.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::Timestamp;

/// The layout of the bytes; another one begins with another number.
const LAYOUT: u8 = 1;

/// Which database a cursor belongs to: random, made with the database.
pub type Instance = [u8; 6];

/// A place in a user's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The database that it was made for.
    pub instance: Instance,
    /// Whatever concerns the user and lies at or before this was given to the client: a number of commit
    /// (embedded) or a time in milliseconds (MongoDB).
    pub point: i64,
    /// Within a run of pages: up to where, after `point`, the client was given what there was.
    pub page: Option<PageEnd>,
}

/// Where a page ended whose surroundings may still change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageEnd {
    /// The `updatedAt` of its last change.
    pub at: Timestamp,
    /// What orders changes of one moment: a kind and a key, compared as bytes.
    pub key: Vec<u8>,
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor of this server")]
pub struct InvalidCursor;

/// Longest key that is read; the engines' are far shorter.
const KEY_BYTES: usize = 64;

impl Cursor {
    /// A cursor that is not within a run of pages.
    pub fn at(instance: Instance, point: i64) -> Self {
        Self {
            instance,
            point,
            page: None,
        }
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    pub fn parse(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let (layout, rest) = bytes.split_first().ok_or(InvalidCursor)?;
        let (instance, rest) = rest.split_first_chunk().ok_or(InvalidCursor)?;
        let (point, rest) = rest.split_first_chunk().ok_or(InvalidCursor)?;
        let page = match rest.split_first_chunk() {
            Some((at, key)) if key.len() <= KEY_BYTES => Some(PageEnd {
                at: Timestamp::from_millis(i64::from_be_bytes(*at)),
                key: key.to_vec(),
            }),
            None if rest.is_empty() => None,
            _ => return Err(InvalidCursor),
        };
        if *layout != LAYOUT {
            return Err(InvalidCursor);
        }
        Ok(Self {
            instance: *instance,
            point: i64::from_be_bytes(*point),
            page,
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![LAYOUT];
        bytes.extend(self.instance);
        bytes.extend(self.point.to_be_bytes());
        if let Some(page) = &self.page {
            bytes.extend(page.at.millis().to_be_bytes());
            bytes.extend(&page.key);
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let mut cursor = Cursor::at([1, 2, 3, 4, 5, 250], -7);
        assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor.clone()));
        cursor.page = Some(PageEnd {
            at: Timestamp::from_millis(1_795_428_222_886),
            key: vec![1; 25],
        });
        assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
    }

    #[test]
    fn refuses_everything_else() {
        let good = Cursor::at([0; 6], 9).to_string();
        for text in [
            "",
            "0",
            "null",
            "!",
            &good[1..],
            &good[..good.len() - 2],
            &"A".repeat(200),
        ] {
            assert_eq!(Cursor::parse(text), Err(InvalidCursor), "{text}");
        }
    }
}
