//! What the editor, its keys and its prompt share: the way to the conversation and to the screen, and what was sent before.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chatctl_terminal::output::DIM;
use rustyline::{Cmd, Movement};
use tokio::sync::mpsc::Sender;

use super::Input;
use super::command::{self, InputLine};
use super::input_history::InputHistory;
use super::print_gate::PrintGate;
use super::screen::ScreenUpdate;

/// Not each key is told to the conversation.
const TYPING_INTERVAL: Duration = Duration::from_secs(1);

/// What the key handlers share.
pub(crate) struct EditorContext {
    pub(super) inputs: Sender<Input>,
    shown: std::sync::mpsc::Sender<ScreenUpdate>,
    pub(super) gate: Arc<PrintGate>,
    input_history: Mutex<InputHistory>,
    /// What the editor is to put in the place of the line, as if it had completed it.
    recalled: Mutex<Option<String>>,
    typing: Mutex<Option<Instant>>,
}

impl EditorContext {
    /// The handlers' way to the conversation (`inputs`), to the screen (`shown`), and out of the editor (`gate`).
    pub(crate) fn new(
        inputs: Sender<Input>,
        shown: std::sync::mpsc::Sender<ScreenUpdate>,
        gate: Arc<PrintGate>,
    ) -> Self {
        Self {
            inputs,
            shown,
            gate,
            input_history: Mutex::default(),
            recalled: Mutex::default(),
            typing: Mutex::default(),
        }
    }

    /// The line has changed: whether a message is being typed is let known.
    pub(crate) fn edited(&self, line: &str) {
        let is_typing = matches!(InputLine::parse(line), InputLine::Say(_));
        let mut told = self.typing.lock().unwrap_or_else(PoisonError::into_inner);
        if is_typing == told.is_some_and(|at| at.elapsed() < TYPING_INTERVAL) {
            return;
        }
        // If many messages wait, they are news enough; and none must find the channel full because of this.
        let has_room = self.inputs.capacity() > self.inputs.max_capacity() / 2;
        if has_room && (is_typing || told.is_some()) && self.inputs.try_send(Input::Typing(is_typing)).is_ok() {
            *told = is_typing.then(Instant::now);
        }
    }

    pub(super) fn show(&self, text: String) {
        // The printer ends after the editor.
        let _ = self.shown.send(ScreenUpdate::Text(text));
    }

    /// Does what a line asks for, as far as that is possible inside the editor.
    pub(super) fn submit(&self, line: &str) -> Cmd {
        if self.inputs.is_closed() {
            // The chat has ended and has said why.
            return self.leave(Cmd::Interrupt);
        }
        let done = Cmd::Kill(Movement::WholeBuffer);
        let input = match InputLine::parse(line) {
            InputLine::Nothing => return done,
            InputLine::With(_) | InputLine::Quit => return self.leave(Cmd::AcceptLine),
            InputLine::Help => {
                self.show(command::help());
                return done;
            }
            InputLine::Unknown(hint) => {
                self.show(format!("{DIM}{hint}{DIM:#}"));
                return done;
            }
            InputLine::Say(text) => Input::Say(text),
            InputLine::History(count) => Input::History(count),
        };
        match self.inputs.try_send(input) {
            Ok(()) => {
                self.input_history().push(line);
                done
            }
            // A thousand messages wait: what is typed stays in the line.
            Err(_) => Cmd::Noop,
        }
    }

    /// What was recalled and is to be put in the place of the line now.
    pub(crate) fn recalled(&self) -> Option<String> {
        self.recalled.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts a text in the place of the line, with the cursor after it. Of the editor's commands only a completion does
    /// that: replacing leaves the cursor where the line begins.
    pub(super) fn replace(&self, text: Option<String>) -> Cmd {
        match text {
            Some(text) if text.is_empty() => Cmd::Kill(Movement::WholeBuffer),
            Some(text) => {
                *self.recalled.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
                Cmd::Complete
            }
            None => Cmd::Noop,
        }
    }

    pub(super) fn leave(&self, how: Cmd) -> Cmd {
        self.gate.close();
        how
    }

    pub(super) fn input_history(&self) -> MutexGuard<'_, InputHistory> {
        self.input_history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
