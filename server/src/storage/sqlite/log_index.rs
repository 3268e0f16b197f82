//! How long the write-ahead log was when a process died, read from the index of the log that it left behind.
//!
//! SQLite keeps in that file, which all connections share in memory, how many pages the log has. It throws that away when no
//! process has the database open, and believes the log alone. A log that ends earlier was cut or damaged since. The number
//! is raised only after the pages were synced, so it is never too great, unless the machine itself was restarted: the file
//! is not synced. A caller must therefore make sure that it was not.
//!
//! The layout is that of section 2 of SQLite's document on the format of the log, in the byte order of the machine.

use std::fs;
use std::path::Path;

/// The size of the header. It is there twice; the two are equal unless it was being written.
const HEADER: usize = 48;

/// The version of the layout.
const VERSION: u32 = 3_007_000;

/// The name of this start of the machine, if the system says.
pub(super) fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// How many pages the log had that were not in the database file. To be read before SQLite opens anything.
pub(super) fn pages(index: &Path) -> Option<u32> {
    pages_of(&fs::read(index).ok()?)
}

fn pages_of(bytes: &[u8]) -> Option<u32> {
    let word = |place: usize| {
        Some(u32::from_ne_bytes(
            bytes.get(4 * place..4 * place + 4)?.try_into().ok()?,
        ))
    };
    let is_whole = bytes.get(..HEADER)? == bytes.get(HEADER..2 * HEADER)?;
    let is_set = *bytes.get(12)? == 1;
    let (mut first, mut second) = (0_u32, 0_u32);
    for place in (0..10).step_by(2) {
        first = first.wrapping_add(word(place)?).wrapping_add(second);
        second = second.wrapping_add(word(place + 1)?).wrapping_add(first);
    }
    let is_sound = (first, second) == (word(10)?, word(11)?);
    let (pages, copied) = (word(4)?, word(24)?);
    (word(0)? == VERSION && is_whole && is_set && is_sound && copied < pages).then_some(pages)
}
