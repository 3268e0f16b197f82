//! The front end for people: three threads around one screen. The editor reads, the conversation's loop runs, and the
//! printer words what happens and prints it above the line that is being typed.

use std::io::{self, stdout};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use chatctl_terminal::output::BAD;
use shared::User;

use super::driver::{self, ChatError, ChatOptions, ChatOutcome};
use super::editor::Editor;
use super::editor_context::EditorContext;
use super::print_gate::PrintGate;
use super::screen::{Screen, ScreenUpdate};
use super::status::Dashboard;
use super::view::View;

/// Lines typed, or pasted, ahead of the conversation's loop.
const MAX_LINES_AHEAD: usize = 1_024;

/// Chats at a terminal until the user leaves.
#[expect(
    clippy::disallowed_methods,
    reason = "what is shown is bounded by what the connection brings, and drawing keeps up with it"
)]
pub(crate) async fn run(setup: ChatOptions, me: User, peer: User) -> Result<ChatOutcome, ChatError> {
    let (inputs, incoming) = tokio::sync::mpsc::channel(MAX_LINES_AHEAD);
    let (shown, happening) = channel();
    let gate = Arc::new(PrintGate::default());
    let colours = anstream::AutoStream::choice(&stdout()) != anstream::ColorChoice::Never;

    let editor_context = EditorContext::new(inputs, shown.clone(), Arc::clone(&gate));
    let view = View::new(setup.http.clone(), me, peer);
    let dashboard = Dashboard::default();
    dashboard.update(&view.status());
    let mut editor =
        Editor::new(editor_context, setup.http.clone(), colours, dashboard.clone()).map_err(io::Error::other)?;
    let printer = editor.printer();
    if printer.is_none() {
        gate.end();
    }
    let screen = Screen::new(printer, gate, view, dashboard, colours);
    let printing = thread::spawn(move || screen.print_all(&happening));
    let editing = thread::spawn(move || editor.run());

    let outcome = driver::run(setup, incoming, |report| {
        shown
            .send(ScreenUpdate::ChatEvent(report))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    })
    .await;
    if let Err(error) = &outcome {
        // The editor can't be interrupted, and the terminal is its until it returns.
        let _ = shown.send(ScreenUpdate::Text(format!(
            "{BAD}✗ {error}{BAD:#}\nPress Enter to leave."
        )));
    }
    drop(shown);
    // A panic in there has been printed already.
    let _ = editing.join();
    let _ = printing.join();
    outcome
}
