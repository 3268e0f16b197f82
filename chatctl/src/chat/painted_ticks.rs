//! Where the ticks of one's own messages stand on the screen, so that they can change there.
//!
//! What is printed stands above the prompt, row by row, and moves up together. So a spot is known by how many rows were
//! printed since, until something disturbs that: another width of the terminal, a cleared screen, a question.

use std::collections::VecDeque;
use std::fmt::Write;

use chatctl_terminal::output;
use unicode_width::UnicodeWidthChar;

use crate::ticks::{Position, Tick};

/// Stands in a text directly before each tick that may change; [`output::harmless`] lets none through.
pub(crate) const TICK_PLACEHOLDER: char = output::NO_CHARACTER;
/// Ticks that are remembered. More rows than that has no terminal.
const MAX_TICKS: usize = 1_000;

/// A tick on the screen.
#[derive(Debug)]
struct PaintedTick {
    position: Position,
    tick: Tick,
    /// In which row of all that was printed, and how many columns stand before it.
    row: usize,
    column: usize,
}

/// The ticks that can be reached.
#[derive(Debug, Default)]
pub(crate) struct PaintedTicks {
    marks: VecDeque<PaintedTick>,
    /// Rows printed since the last disturbance.
    rows: usize,
    columns: usize,
}

impl PaintedTicks {
    /// Nothing stands any more where it did.
    pub(crate) fn forget(&mut self) {
        self.marks.clear();
        self.rows = 0;
    }

    /// A text without its marks is printed now, on a screen of so many columns; `ticks` are those that were marked in it.
    pub(crate) fn printed(&mut self, text: &str, ticks: Vec<(Position, Tick)>, columns: usize) -> String {
        if std::mem::replace(&mut self.columns, columns) != columns {
            self.forget();
        }
        let mut ticks = ticks.into_iter();
        let (mut row, mut column) = (self.rows, 0);
        for c in output::plain(text).chars() {
            if c == '\n' {
                (row, column) = (row + 1, 0);
            } else if c == TICK_PLACEHOLDER {
                // Two ticks have to fit.
                if let Some((position, tick)) = ticks.next()
                    && column + 2 <= columns
                {
                    self.marks.push_back(PaintedTick {
                        position,
                        tick,
                        row,
                        column,
                    });
                }
            } else {
                let width = c.width().unwrap_or(0);
                if column + width > columns {
                    (row, column) = (row + 1, 0);
                }
                column += width;
            }
        }
        self.rows = row + 1;
        let many = self.marks.len().saturating_sub(MAX_TICKS);
        self.marks.drain(..many);
        text.replace(TICK_PLACEHOLDER, "")
    }

    /// What paints them without colours: the moves of the cursor stay.
    pub(crate) fn plain(painted: &str) -> String {
        let colours = [Tick::Delivered, Tick::Read].map(Tick::sign);
        colours.iter().fold(painted.to_owned(), |text, sign| {
            text.replace(sign.as_str(), &output::plain(sign))
        })
    }

    /// What paints the ticks that are others `now`, with the cursor at the begin of the row below all that was printed, and
    /// leaves it there. Those more than `reach` rows above can't be reached any more.
    pub(crate) fn changed(&mut self, now: impl Fn(Position) -> Tick, reach: usize) -> Option<String> {
        let rows = self.rows;
        self.marks.retain(|mark| rows - mark.row <= reach);
        let mut out = String::new();
        for mark in &mut self.marks {
            let tick = now(mark.position);
            if tick != mark.tick {
                mark.tick = tick;
                let (up, column) = (rows - mark.row, mark.column + 1);
                // Writing to a string can't fail.
                let _ = write!(out, "\x1b[{up}A\x1b[{column}G{}\x1b[{up}B\r", tick.sign());
            }
        }
        self.marks.retain(|mark| mark.tick != Tick::Read);
        (!out.is_empty()).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use shared::MessageId;

    use super::*;

    fn position(number: u8) -> Position {
        Position::unknown(MessageId::from_bytes([number; 12]))
    }

    #[test]
    fn a_tick_is_found_behind_wrapped_and_wide_text() {
        let mut marks = PaintedTicks::default();
        let stored = |number| vec![(position(number), Tick::Stored)];
        // Three rows of ten columns: the wide character does not fit into the last column of the first.
        let text = format!("123456789漢字\nab {TICK_PLACEHOLDER}✓");
        assert_eq!(marks.printed(&text, stored(1), 10), "123456789漢字\nab ✓");
        assert_eq!(marks.printed("another", Vec::new(), 10), "another");
        let painted = marks.changed(|_| Tick::Delivered, 5).unwrap();
        assert_eq!(output::plain(&painted).trim(), "✓✓");
        assert!(
            painted.starts_with("\x1b[2A\x1b[4G") && painted.ends_with("\x1b[2B\r"),
            "{painted:?}"
        );
        assert_eq!(marks.changed(|_| Tick::Delivered, 5), None);
        // Another width: nothing is where it was.
        marks.printed("narrow", Vec::new(), 9);
        assert_eq!(marks.changed(|_| Tick::Read, 5), None);
    }

    #[test]
    fn what_can_not_be_reached_is_left_alone() {
        let mut marks = PaintedTicks::default();
        marks.printed(&format!("{TICK_PLACEHOLDER}✓"), vec![(position(1), Tick::Stored)], 10);
        marks.printed("1\n2\n3", Vec::new(), 10);
        assert_eq!(marks.changed(|_| Tick::Read, 3), None);
        // And one at the very end of a row has no room to grow.
        marks.printed(
            &format!("123456789{TICK_PLACEHOLDER}✓"),
            vec![(position(2), Tick::Stored)],
            10,
        );
        assert_eq!(marks.changed(|_| Tick::Read, 3), None);
    }
}
