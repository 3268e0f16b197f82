//! The line that a person types: keys, commands, and what was sent before.
//!
//! The editor is rustyline 19, not reedline 0.52, which was tried beside it in a pseudo-terminal. Both are well kept. But
//! reedline's external printer guesses the height of the typed line from its bytes: with a wrapped line that holds
//! umlauts, 17 of 40 messages were overwritten; it also polls, and needs a terminal that answers cursor queries.
//! rustyline repaints from its own layout and lost none.
//!
//! Enter does not end the line: a key handler takes the text and clears it, so that the editor stays in place and the
//! message appears above, once it is stored. Only what changes the prompt leaves the editor, through the [`Gate`].

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
use super::command::Line;
use super::editor_context::Desk;
use super::gate::Gate;
use super::rows::Rows;
use super::screen::Printer;
use super::status::Board;
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

struct Handler(Key, Arc<Desk>);

impl ConditionalEventHandler for Handler {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        let (line, desk) = (context.line(), &self.1);
        match self.0 {
            Key::Enter => Some(desk.submit(line)),
            // In a text of several lines the arrows move the cursor.
            Key::Up | Key::Down if line.contains('\n') => None,
            Key::Up => {
                let text = desk.recall().up(line).map(str::to_owned);
                Some(desk.replace(text))
            }
            Key::Down => {
                let text = desk.recall().down().map(str::to_owned);
                Some(desk.replace(text))
            }
            Key::Cancel if !line.is_empty() => Some(Cmd::Kill(Movement::WholeBuffer)),
            Key::Cancel => Some(desk.leave(Cmd::Interrupt)),
            Key::End if line.is_empty() => Some(desk.leave(Cmd::EndOfFile)),
            Key::End => None,
            Key::Clear => {
                desk.gate.disturb();
                None
            }
        }
    }
}

/// The prompt, as the editor measures it: an empty row, which [`Rows`] paints, and the sign before what is typed. Its
/// first painting tells that the editor reads.
struct Ready {
    plain: String,
    gate: Arc<Gate>,
    opened: AtomicBool,
}

impl Prompt for Ready {
    fn raw(&self) -> &str {
        if !self.opened.swap(true, Ordering::Relaxed) {
            self.gate.open();
        }
        &self.plain
    }
}

/// The line editor of one chat.
pub(crate) struct Editor {
    rustyline: rustyline::Editor<Rows, MemHistory>,
    desk: Arc<Desk>,
    http: Http,
    board: Board,
    /// The terminal can't move its cursor: prompts are printed as they are.
    dumb: bool,
}

impl Editor {
    /// An editor below what `board` tells.
    ///
    /// # Errors
    /// If the terminal can't be used.
    pub(crate) fn new(desk: Desk, http: Http, colours: bool, board: Board) -> rustyline::Result<Self> {
        // Forced, for without it the rows would not be painted; they know whether there are colours.
        let config = Config::builder()
            .color_mode(ColorMode::Forced)
            // The other types go on reading keys by themselves.
            .completion_type(CompletionType::List)
            .build();
        let mut rustyline = rustyline::Editor::with_history(config, MemHistory::new())?;
        let desk = Arc::new(desk);
        rustyline.set_helper(Some(Rows::new(board.clone(), Arc::clone(&desk), colours)));
        for (key, event) in Key::ALL {
            let handler = Handler(key, Arc::clone(&desk));
            rustyline.bind_sequence(event, EventHandler::Conditional(Box::new(handler)));
        }
        Ok(Self {
            rustyline,
            desk,
            http,
            board,
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
        let gate = Arc::clone(&self.desk.gate);
        // First the editor, which may hold a printer that waits for its turn.
        drop(self);
        gate.end();
    }

    fn ready(&self) -> Ready {
        let plain = if self.dumb {
            Rows::dumb(&self.board)
        } else {
            Rows::EMPTY.to_owned()
        };
        Ready {
            plain,
            gate: Arc::clone(&self.desk.gate),
            opened: AtomicBool::new(false),
        }
    }

    /// Does what can't be done inside the editor. False to leave.
    fn outside(&mut self, line: &str) -> bool {
        match Line::parse(line) {
            Line::Quit => false,
            Line::With(name) => {
                self.change_peer(name.as_deref());
                true
            }
            // Only a terminal without cursor movements comes here: its lines end at Enter.
            _ => self.desk.submit(line) != Cmd::Interrupt,
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
                let _ = self.desk.inputs.blocking_send(Input::Open(user.id));
            }
            Err(error) => self.desk.show(format!("{DIM}{error:#}{DIM:#}")),
        }
    }
}
