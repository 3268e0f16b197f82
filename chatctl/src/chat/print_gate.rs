//! Keeps output away from the terminal in the moments when the line editor neither reads nor has ended.
//!
//! rustyline's external printer looks whether the editor is in raw mode, and if not writes to the terminal at once. A
//! message that arrives just when Enter is pressed could so land in the middle of the editor's own output. The printer
//! therefore passes this gate before each message, and the editor closes it from a key handler, while it is still in
//! raw mode.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest wait for a message that is being handed over. It takes microseconds; only a printer that waits inside
/// rustyline for its turn takes longer, and that one has passed the dangerous moment.
const HANDOVER_TIMEOUT: Duration = Duration::from_millis(50);

/// What the editor does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EditorMode {
    /// It is about to read or has just read: nothing may be printed.
    #[default]
    Between,
    /// It reads: print through it.
    Editing,
    /// It has ended, or never could start: print directly.
    Ended,
}

#[derive(Debug, Default)]
struct GateState {
    mode: EditorMode,
    printing: bool,
    /// How often what was printed may have been moved by something else.
    disturbances: u64,
}

/// The gate. The lock is held for moments only, never while printing.
#[derive(Debug, Default)]
pub(crate) struct PrintGate {
    state: Mutex<GateState>,
    changed: Condvar,
}

impl PrintGate {
    /// Runs `print` as soon as printing is possible, and tells it how.
    pub(crate) fn print_when_open(&self, print: impl FnOnce(EditorMode)) {
        let mut state = self.lock();
        while state.mode == EditorMode::Between {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.printing = true;
        let mode = state.mode;
        drop(state);
        print(mode);
        self.lock().printing = false;
        self.changed.notify_all();
    }

    /// The editor has painted its line.
    pub(crate) fn open(&self) {
        self.set(EditorMode::Editing);
    }

    /// The editor moves what was printed, or its own rows stay among it.
    pub(crate) fn disturb(&self) {
        self.lock().disturbances += 1;
    }

    /// How often that happened.
    pub(crate) fn disturbances(&self) -> u64 {
        self.lock().disturbances
    }

    /// The editor is about to leave its line.
    pub(crate) fn close(&self) {
        self.disturb();
        self.set(EditorMode::Between);
        let state = self.lock();
        let handed_over = self
            .changed
            .wait_timeout_while(state, HANDOVER_TIMEOUT, |state| state.printing);
        drop(handed_over);
    }

    /// There is no editor any more.
    pub(crate) fn end(&self) {
        self.set(EditorMode::Ended);
    }

    fn set(&self, mode: EditorMode) {
        self.lock().mode = mode;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests wait for times and hold little")]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn nothing_is_printed_in_between() {
        let gate = Arc::new(PrintGate::default());
        let (printed, prints) = channel();
        let printer = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.print_when_open(|mode| printed.send(mode).unwrap()))
        };
        assert!(prints.recv_timeout(Duration::from_millis(30)).is_err());
        gate.open();
        assert_eq!(prints.recv(), Ok(EditorMode::Editing));
        printer.join().unwrap();
        gate.end();
        gate.print_when_open(|mode| assert_eq!(mode, EditorMode::Ended));
    }

    #[test]
    fn closing_waits_for_the_message_that_is_handed_over() {
        let gate = Arc::new(PrintGate::default());
        gate.open();
        let (begun, begin) = channel();
        let (finish, finished) = channel::<()>();
        let printer = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                gate.print_when_open(|_| {
                    begun.send(()).unwrap();
                    finished.recv().unwrap();
                });
            })
        };
        begin.recv().unwrap();
        let closer = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                gate.close();
                gate.lock().printing
            })
        };
        finish.send(()).unwrap();
        assert!(!closer.join().unwrap());
        printer.join().unwrap();
    }
}
