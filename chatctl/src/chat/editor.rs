//! The line that a person types: keys, commands, and what was sent before.
//!
//! The editor is rustyline 19, not reedline 0.52, which was tried beside it in a pseudo-terminal. Both are well kept. But
//! reedline's external printer guesses the height of the typed line from its bytes: with a wrapped line that holds
//! umlauts, 17 of 40 messages were overwritten; it also polls, and needs a terminal that answers cursor queries.
//! rustyline repaints from its own layout and lost none.
//!
//! Enter does not end the line: a key handler takes the text and clears it, so that the editor stays in place and the
//! message appears above, once it is stored. Only what changes the prompt leaves the editor, through the [`PrintGate`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chatctl_client::http::Http;
use chatctl_terminal::output::DIM;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{
    Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Event, EventContext, EventHandler, KeyCode,
    KeyEvent, Modifiers, Movement, Prompt, RepeatCount,
};

use super::Input;
use super::command::InputLine;
use super::editor_context::EditorContext;
use super::print_gate::PrintGate;
use super::prompt_renderer::PromptRenderer;
use super::screen::Printer;
use super::status::Dashboard;
use crate::prompt;

/// The keys that mean something of their own here.
#[derive(Debug, Clone, Copy)]
enum Key {
    Enter,
    Up,
    Down,
    /// Ctrl-C: empties the line, then leaves.
    Cancel,
    /// Ctrl-D: leaves, if the line is empty.
    End,
    /// Ctrl-L: clears the screen.
    Clear,
}

impl Key {
    const ALL: [(Self, KeyEvent); 7] = [
        (Self::Enter, KeyEvent(KeyCode::Enter, Modifiers::NONE)),
        (Self::Enter, KeyEvent(KeyCode::Char('J'), Modifiers::CTRL)),
        (Self::Up, KeyEvent(KeyCode::Up, Modifiers::NONE)),
        (Self::Down, KeyEvent(KeyCode::Down, Modifiers::NONE)),
        (Self::Cancel, KeyEvent(KeyCode::Char('C'), Modifiers::CTRL)),
        (Self::End, KeyEvent(KeyCode::Char('D'), Modifiers::CTRL)),
        (Self::Clear, KeyEvent(KeyCode::Char('L'), Modifiers::CTRL)),
    ];
}

struct Handler(Key, Arc<EditorContext>);

impl ConditionalEventHandler for Handler {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        let (line, editor_context) = (context.line(), &self.1);
        match self.0 {
            Key::Enter => Some(editor_context.submit(line)),
            // In a text of several lines the arrows move the cursor.
            Key::Up | Key::Down if line.contains('\n') => None,
            Key::Up => {
                let text = editor_context.input_history().up(line).map(str::to_owned);
                Some(editor_context.replace(text))
            }
            Key::Down => {
                let text = editor_context.input_history().down().map(str::to_owned);
                Some(editor_context.replace(text))
            }
            Key::Cancel if !line.is_empty() => Some(Cmd::Kill(Movement::WholeBuffer)),
            Key::Cancel => Some(editor_context.leave(Cmd::Interrupt)),
            Key::End if line.is_empty() => Some(editor_context.leave(Cmd::EndOfFile)),
            Key::End => None,
            Key::Clear => {
                editor_context.gate.disturb();
                None
            }
        }
    }
}

/// The prompt, as the editor measures it: an empty row, which [`PromptRenderer`] paints, and the sign before what is typed. Its
/// first painting tells that the editor reads.
struct MeasuredPrompt {
    plain: String,
    gate: Arc<PrintGate>,
    opened: AtomicBool,
}

impl Prompt for MeasuredPrompt {
    fn raw(&self) -> &str {
        if !self.opened.swap(true, Ordering::Relaxed) {
            self.gate.open();
        }
        &self.plain
    }
}

/// The line editor of one chat.
pub(crate) struct Editor {
    rustyline: rustyline::Editor<PromptRenderer, MemHistory>,
    editor_context: Arc<EditorContext>,
    http: Http,
    dashboard: Dashboard,
    /// The terminal can't move its cursor: prompts are printed as they are.
    dumb: bool,
}

impl Editor {
    /// An editor below what `dashboard` tells.
    ///
    /// # Errors
    /// If the terminal can't be used.
    pub(crate) fn new(
        editor_context: EditorContext,
        http: Http,
        colours: bool,
        dashboard: Dashboard,
    ) -> rustyline::Result<Self> {
        // Forced, for without it the rows would not be painted; they know whether there are colours.
        let config = Config::builder()
            .color_mode(ColorMode::Forced)
            // The other types go on reading keys by themselves.
            .completion_type(CompletionType::List)
            .build();
        let mut rustyline = rustyline::Editor::with_history(config, MemHistory::new())?;
        let editor_context = Arc::new(editor_context);
        rustyline.set_helper(Some(PromptRenderer::new(
            dashboard.clone(),
            Arc::clone(&editor_context),
            colours,
        )));
        for (key, event) in Key::ALL {
            let handler = Handler(key, Arc::clone(&editor_context));
            rustyline.bind_sequence(event, EventHandler::Conditional(Box::new(handler)));
        }
        Ok(Self {
            rustyline,
            editor_context,
            http,
            dashboard,
            dumb: false,
        })
    }

    /// What prints above the line while it is typed; none if the terminal can't do that.
    pub(crate) fn printer(&mut self) -> Option<Printer> {
        let printer = self.rustyline.create_external_printer();
        self.dumb = printer.is_err();
        Some(Box::new(printer.ok()?))
    }

    /// Reads until the user leaves.
    pub(crate) fn run(mut self) {
        loop {
            let ready = self.ready();
            let line = self.rustyline.readline(&ready);
            let stay = match line {
                Ok(line) => self.outside(&line),
                Err(ReadlineError::Signal(_)) => true,
                // Ctrl-D, Ctrl-C, or the terminal is gone.
                Err(_) => false,
            };
            if !stay {
                break;
            }
        }
        let gate = Arc::clone(&self.editor_context.gate);
        // First the editor, which may hold a printer that waits for its turn.
        drop(self);
        gate.end();
    }

    fn ready(&self) -> MeasuredPrompt {
        let plain = if self.dumb {
            PromptRenderer::dumb(&self.dashboard)
        } else {
            PromptRenderer::EMPTY_PROMPT.to_owned()
        };
        MeasuredPrompt {
            plain,
            gate: Arc::clone(&self.editor_context.gate),
            opened: AtomicBool::new(false),
        }
    }

    /// Does what can't be done inside the editor. False to leave.
    fn outside(&mut self, line: &str) -> bool {
        match InputLine::parse(line) {
            InputLine::Quit => false,
            InputLine::With(name) => {
                self.change_peer(name.as_deref());
                true
            }
            // Only a terminal without cursor movements comes here: its lines end at Enter.
            _ => self.editor_context.submit(line) != Cmd::Interrupt,
        }
    }

    fn change_peer(&mut self, name: Option<&str>) {
        let user = match name {
            Some(name) => self.http.resolve(name).map_err(anyhow::Error::from),
            None => prompt::user(&self.http, "With whom?"),
        };
        match user {
            Ok(user) => {
                // If the chat has ended, the next line finds that out.
                let _ = self.editor_context.inputs.blocking_send(Input::Open(user.id));
            }
            Err(error) => self.editor_context.show(format!("{DIM}{error:#}{DIM:#}")),
        }
    }
}
