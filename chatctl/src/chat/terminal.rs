//! The front end for people: three threads around one screen. The editor reads, the conversation's loop runs, and the
//! printer words what happens and prints it above the line that is being typed.

use std::io::{self, Write, stdout};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustyline::ExternalPrinter;
use shared::User;

use super::Report;
use super::driver::{self, ChatError, Outcome, Setup};
use super::editor::{Desk, Editor};
use super::gate::{Gate, Mode};
use super::status::Board;
use super::view::View;
use crate::output::{self, BAD};

/// Lines typed, or pasted, ahead of the conversation's loop.
const AHEAD: usize = 1_024;

/// Prints above the line that is being typed.
pub(crate) type Printer = Box<dyn ExternalPrinter + Send>;

/// Makes the editor paint its rows again and leaves nothing behind: up, and down again.
const REPAINT: &str = "\x1b[A\n";

/// What comes to the screen.
#[derive(Debug)]
pub(crate) enum Shown {
    /// Something happened.
    Report(Report),
    /// The editor has something to say.
    Text(String),
}

/// Chats at a terminal until the user leaves.
pub(crate) async fn run(setup: Setup, me: User, peer: User) -> Result<Outcome, ChatError> {
    let (inputs, incoming) = tokio::sync::mpsc::channel(AHEAD);
    let (shown, happening) = channel();
    let gate = Arc::new(Gate::default());
    let colours = anstream::AutoStream::choice(&stdout()) != anstream::ColorChoice::Never;

    let desk = Desk::new(inputs, shown.clone(), Arc::clone(&gate));
    let view = View::new(setup.http.clone(), me, peer);
    let board = Board::default();
    board.put(&view.status());
    let mut editor = Editor::new(desk, setup.http.clone(), colours, board.clone()).map_err(io::Error::other)?;
    let printer = editor.printer();
    if printer.is_none() {
        gate.end();
    }
    let screen = Screen {
        printer,
        gate,
        view,
        board,
        colours,
    };
    let printing = thread::spawn(move || screen.print_all(&happening));
    let editing = thread::spawn(move || editor.run());

    let outcome = driver::run(setup, incoming, |report| {
        shown
            .send(Shown::Report(report))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    })
    .await;
    if let Err(error) = &outcome {
        // The editor can't be interrupted, and the terminal is its until it returns.
        let _ = shown.send(Shown::Text(format!("{BAD}✗ {error}{BAD:#}\nPress Enter to leave.")));
    }
    drop(shown);
    // A panic in there has been printed already.
    let _ = editing.join();
    let _ = printing.join();
    outcome
}

/// The printer, and what it knows.
struct Screen {
    printer: Option<Printer>,
    gate: Arc<Gate>,
    view: View,
    board: Board,
    colours: bool,
}

impl Screen {
    fn print_all(mut self, happening: &Receiver<Shown>) {
        for shown in happening {
            let text = match shown {
                Shown::Report(report) => self.view.words(&report),
                Shown::Text(text) => Some(text),
            };
            let changed = self.board.put(&self.view.status());
            match text {
                Some(text) => self.print(text),
                None if changed => self.repaint(),
                None => {}
            }
        }
    }

    fn print(&mut self, mut text: String) {
        if !self.colours {
            text = output::plain(&text);
        }
        text.push('\n');
        let printer = &mut self.printer;
        self.gate.pass(|mode| {
            let above = match (mode, printer) {
                (Mode::Editing, Some(printer)) => printer.print(text.clone()).is_ok(),
                _ => false,
            };
            if !above {
                let mut out = stdout().lock();
                // A terminal that is gone ends the editor, and that the chat.
                let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            }
        });
    }

    /// Shows the board's new state, if the editor is there to show it.
    fn repaint(&mut self) {
        let printer = &mut self.printer;
        self.gate.pass(|mode| {
            if let (Mode::Editing, Some(printer)) = (mode, printer) {
                // It is shown with the next message otherwise.
                let _ = printer.print(REPAINT.to_owned());
            }
        });
    }
}
