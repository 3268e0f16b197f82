//! The two rows that the editor paints as its prompt: what the [`Board`] tells now, and the sign before what is typed.

use std::borrow::Cow;
use std::sync::Arc;

use chatctl_terminal::output;
use rustyline::Changeset;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::line_buffer::LineBuffer;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::editor_context::Desk;
use super::status::Board;

/// Columns of a terminal that does not tell.
const COLUMNS: u16 = 80;

/// Paints the rows, and sees what is typed.
pub(crate) struct Rows {
    board: Board,
    desk: Arc<Desk>,
    colours: bool,
}

impl Rows {
    /// The prompt as the editor measures it, whatever stands in the first row.
    pub(crate) const EMPTY: &str = "\n› ";

    /// Rows that show `board` and tell `desk` what is typed.
    pub(crate) fn new(board: Board, desk: Arc<Desk>, colours: bool) -> Self {
        Self { board, desk, colours }
    }

    /// The prompt for a terminal on which nothing is painted twice.
    pub(crate) fn dumb(board: &Board) -> String {
        format!("{} › ", output::plain(&board.read().line(usize::from(COLUMNS))))
    }
}

impl Highlighter for Rows {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, default: bool) -> Cow<'b, str> {
        if !default {
            return prompt.into();
        }
        let columns = terminal_size::terminal_size().map_or(COLUMNS, |(width, _)| width.0);
        // One column stays free: a full row would make some terminals begin another.
        let line = self.board.read().line(usize::from(columns).saturating_sub(1));
        let line = if self.colours { line } else { output::plain(&line) };
        format!("{line}{prompt}").into()
    }
}

impl Hinter for Rows {
    type Hint = String;

    /// Never hints: it is called whenever the line has changed.
    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.board.typed(line);
        self.desk.edited(line);
        None
    }
}

impl Completer for Rows {
    type Candidate = String;

    /// What was recalled with the arrow keys, in the place of the whole line. Nothing else is completed.
    fn complete(&self, _: &str, _: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok((0, self.desk.recalled().into_iter().collect()))
    }

    fn update(&self, line: &mut LineBuffer, _: usize, text: &str, changes: &mut Changeset) {
        line.update(text, text.len(), changes);
    }
}

impl Validator for Rows {}

impl Helper for Rows {}
