//! The two rows that the editor paints as its prompt: what the [`Dashboard`] tells now, and the sign before what is typed.

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

use super::editor_context::EditorContext;
use super::status::Dashboard;

/// Columns of a terminal that does not tell.
const DEFAULT_COLUMNS: u16 = 80;

/// Paints the rows, and sees what is typed.
pub(crate) struct PromptRenderer {
    dashboard: Dashboard,
    editor_context: Arc<EditorContext>,
    colours: bool,
}

impl PromptRenderer {
    /// The prompt as the editor measures it, whatever stands in the first row.
    pub(crate) const EMPTY_PROMPT: &str = "\n› ";

    /// Rows that show `dashboard` and tell `editor_context` what is typed.
    pub(crate) fn new(dashboard: Dashboard, editor_context: Arc<EditorContext>, colours: bool) -> Self {
        Self {
            dashboard,
            editor_context,
            colours,
        }
    }

    /// The prompt for a terminal on which nothing is painted twice.
    pub(crate) fn dumb(dashboard: &Dashboard) -> String {
        format!(
            "{} › ",
            output::plain(&dashboard.read().line(usize::from(DEFAULT_COLUMNS)))
        )
    }
}

impl Highlighter for PromptRenderer {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, default: bool) -> Cow<'b, str> {
        if !default {
            return prompt.into();
        }
        let columns = terminal_size::terminal_size().map_or(DEFAULT_COLUMNS, |(width, _)| width.0);
        // One column stays free: a full row would make some terminals begin another.
        let line = self.dashboard.read().line(usize::from(columns).saturating_sub(1));
        let line = if self.colours { line } else { output::plain(&line) };
        format!("{line}{prompt}").into()
    }
}

impl Hinter for PromptRenderer {
    type Hint = String;

    /// Never hints: it is called whenever the line has changed.
    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.dashboard.typed(line);
        self.editor_context.edited(line);
        None
    }
}

impl Completer for PromptRenderer {
    type Candidate = String;

    /// What was recalled with the arrow keys, in the place of the whole line. Nothing else is completed.
    fn complete(&self, _: &str, _: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok((0, self.editor_context.recalled().into_iter().collect()))
    }

    fn update(&self, line: &mut LineBuffer, _: usize, text: &str, changes: &mut Changeset) {
        line.update(text, text.len(), changes);
    }
}

impl Validator for PromptRenderer {}

impl Helper for PromptRenderer {}
