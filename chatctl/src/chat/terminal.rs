//! The front end for people: three threads around one screen. The editor reads, the conversation's loop runs, and the
//! printer words what happens and prints it above the line that is being typed.

use std::io::{self, stdout};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use chatctl_terminal::output::BAD;
use shared::User;

use super::driver::{self, ChatError, Outcome, Setup};
use super::editor::Editor;
use super::editor_context::Desk;
use super::gate::Gate;
use super::screen::{Screen, Shown};
use super::status::Board;
use super::view::View;

/// Lines typed, or pasted, ahead of the conversation's loop.
const AHEAD: usize = 1_024;

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
    let screen = Screen::new(printer, gate, view, board, colours);
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
