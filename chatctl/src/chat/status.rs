//! The line above the one that is typed: who is there and types, how far the last message came, what is unread
//! elsewhere.
//!
//! It is the first row of a prompt of two rows. rustyline measures a prompt once, when it begins to read; a row of its
//! own can change all the same, as long as it stays one row.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chatctl_terminal::output::{self, BAD, DIM, NEW, ONE, OTHER};
use unicode_width::UnicodeWidthStr;

use crate::ticks::Tick;

/// Columns of the sign before what is typed.
const SIGN_COLUMNS: usize = 2;

/// What the line tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// What one is called.
    pub(crate) me: String,
    /// What the other one is called.
    pub(crate) peer: String,
    /// There is no connection.
    pub(crate) offline: bool,
    /// Whether the other one is there, if that is known.
    pub(crate) is_online: Option<bool>,
    /// Whether the other one is there is told only once a message was exchanged.
    pub(crate) stranger: bool,
    /// Whether the other one is typing.
    pub(crate) is_typing: bool,
    /// How far one's last message came; none if there is none.
    pub(crate) tick: Option<Tick>,
    /// Unread messages of other conversations.
    pub(crate) elsewhere: u32,
}

impl Status {
    /// The line, in at most `columns`. What doesn't fit is left out, from the end.
    pub(crate) fn line(&self, columns: usize) -> String {
        let (me, peer) = (&self.me, &self.peer);
        let mut parts = vec![format!("{ONE}{me}{ONE:#} → {OTHER}{peer}{OTHER:#}")];
        if self.offline {
            parts.push(format!("{BAD}reconnecting…{BAD:#}"));
        } else if let Some(is_online) = self.is_online {
            let (style, dot) = output::presence(is_online);
            parts.push(format!("{style}{dot}{style:#}"));
        } else if self.stranger {
            parts.push(format!("{DIM}(who is there is shown after a first message){DIM:#}"));
        }
        parts.extend(self.tick.map(Tick::words));
        if self.is_typing {
            parts.push(format!("{DIM}typing…{DIM:#}"));
        }
        if self.elsewhere > 0 {
            let count = output::unread(self.elsewhere);
            parts.push(format!("{NEW}({count} unread elsewhere){NEW:#}"));
        }
        let mut line = String::new();
        let mut left = columns;
        for part in parts {
            let width = output::plain(&part).width() + usize::from(!line.is_empty());
            if width > left {
                break;
            }
            left -= width;
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&part);
        }
        line
    }
}

/// The status as the printer knows it and the editor shows it. The lock is held for moments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dashboard {
    status: Arc<Mutex<Status>>,
    /// Columns that are typed.
    typed: Arc<AtomicUsize>,
}

impl Dashboard {
    /// The status now.
    pub(crate) fn read(&self) -> Status {
        self.lock().clone()
    }

    /// What is typed now.
    pub(crate) fn typed(&self, line: &str) {
        let columns = line.lines().map(|line| line.width() + SIGN_COLUMNS).sum();
        self.typed.store(columns, Ordering::Relaxed);
    }

    /// Rows that the prompt and what is typed take at most, where a row has so many columns.
    pub(crate) fn rows(&self, columns: usize) -> usize {
        // One for the status, and one for each that is not full.
        3 + self.typed.load(Ordering::Relaxed) / columns.max(2) * 2
    }

    /// Puts up another one. False if it is the same.
    pub(crate) fn update(&self, status: &Status) -> bool {
        let mut dashboard = self.lock();
        let changed = *dashboard != *status;
        dashboard.clone_from(status);
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            me: "ada".to_owned(),
            peer: "grace".to_owned(),
            is_online: Some(true),
            is_typing: true,
            tick: Some(Tick::Read),
            elsewhere: 3,
            offline: false,
            stranger: false,
        }
    }

    fn line(status: &Status, columns: usize) -> String {
        output::plain(&status.line(columns))
    }

    #[test]
    fn tells_what_is_known() {
        assert_eq!(
            line(&status(), 80),
            "ada → grace ● ✓✓ read typing… (3 unread elsewhere)"
        );
        let nothing = Status {
            me: "ada".to_owned(),
            peer: "grace".to_owned(),
            ..Status::default()
        };
        assert_eq!(line(&nothing, 80), "ada → grace");
        let stranger = Status {
            stranger: true,
            ..nothing.clone()
        };
        assert_eq!(
            line(&stranger, 80),
            "ada → grace (who is there is shown after a first message)"
        );
        let offline = Status {
            offline: true,
            is_online: Some(true),
            ..nothing
        };
        assert_eq!(line(&offline, 80), "ada → grace reconnecting…");
    }

    #[test]
    fn never_takes_a_second_row() {
        assert_eq!(line(&status(), 21), "ada → grace ● ✓✓ read");
        assert_eq!(line(&status(), 20), "ada → grace ●");
        assert_eq!(line(&status(), 5), "");
    }
}
