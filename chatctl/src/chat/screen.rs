//! The thread that words what happens and prints it above the line that is being typed.

use std::io::{Write, stdout};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use chatctl_terminal::output;
use rustyline::ExternalPrinter;

use super::ChatEvent;
use super::painted_ticks::PaintedTicks;
use super::print_gate::{EditorMode, PrintGate};
use super::status::Dashboard;
use super::view::View;

/// Prints above the line that is being typed.
pub(crate) type Printer = Box<dyn ExternalPrinter + Send>;

/// Makes the editor paint its rows again and leaves nothing behind: up, and down again.
const REPAINT: &str = "\x1b[A\n";

/// What comes to the screen.
#[derive(Debug)]
pub(crate) enum ScreenUpdate {
    /// Something happened.
    ChatEvent(ChatEvent),
    /// The editor has something to say.
    Text(String),
}

/// The printer, and what it knows.
pub(super) struct Screen {
    printer: Option<Printer>,
    gate: Arc<PrintGate>,
    view: View,
    dashboard: Dashboard,
    marks: PaintedTicks,
    /// Those of the gate that are known.
    disturbances: u64,
    colours: bool,
}

impl Screen {
    /// A screen on which `printer` prints above the line, if there is one; on `dashboard` it shows how things stand.
    pub(super) fn new(
        printer: Option<Printer>,
        gate: Arc<PrintGate>,
        view: View,
        dashboard: Dashboard,
        colours: bool,
    ) -> Self {
        Self {
            printer,
            gate,
            view,
            dashboard,
            marks: PaintedTicks::default(),
            disturbances: 0,
            colours,
        }
    }

    /// Prints what comes until nothing can come any more.
    pub(super) fn print_all(mut self, happening: &Receiver<ScreenUpdate>) {
        for shown in happening {
            let text = match shown {
                ScreenUpdate::ChatEvent(report) => self.view.words(&report),
                ScreenUpdate::Text(text) => Some(text),
            };
            let changed = self.dashboard.update(&self.view.status());
            let is_quiet = text.is_none();
            if let Some(text) = text {
                self.print(&text);
            }
            if !self.change_ticks() && is_quiet && changed {
                self.repaint(REPAINT.to_owned());
            }
        }
    }

    fn print(&mut self, text: &str) {
        self.check_disturbances();
        let ticks = self.view.take_ticks();
        let mut text = self.marks.printed(text, ticks, size().0);
        if !self.colours {
            text = output::plain(&text);
        }
        text.push('\n');
        let printer = &mut self.printer;
        self.gate.print_when_open(|mode| {
            let above = match (mode, printer) {
                (EditorMode::Editing, Some(printer)) => printer.print(text.clone()).is_ok(),
                _ => false,
            };
            if !above {
                let mut out = stdout().lock();
                // A terminal that is gone ends the editor, and that the chat.
                let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            }
        });
    }

    /// Paints the ticks on the screen that have changed. False if there were none.
    fn change_ticks(&mut self) -> bool {
        self.check_disturbances();
        let (columns, rows) = size();
        let (view, reach) = (&self.view, rows.saturating_sub(self.dashboard.rows(columns)));
        let Some(mut painted) = self.marks.changed(|position| view.tick(position), reach) else {
            return false;
        };
        if !self.colours {
            painted = PaintedTicks::plain(&painted);
        }
        self.repaint(painted + REPAINT);
        true
    }

    /// Forgets where everything stands, if something has moved it.
    fn check_disturbances(&mut self) {
        let disturbances = self.gate.disturbances();
        if std::mem::replace(&mut self.disturbances, disturbances) != disturbances || self.printer.is_none() {
            self.marks.forget();
        }
    }

    /// Shows the dashboard's new state, if the editor is there to show it.
    fn repaint(&mut self, how: String) {
        let (printer, gate, known) = (&mut self.printer, &self.gate, self.disturbances);
        self.gate.print_when_open(|mode| {
            if let (EditorMode::Editing, Some(printer)) = (mode, printer)
                && gate.disturbances() == known
            {
                // It is shown with the next message otherwise.
                let _ = printer.print(how);
            }
        });
    }
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    terminal_size::terminal_size().map_or((80, 0), |(columns, rows)| (columns.0.into(), rows.0.into()))
}
