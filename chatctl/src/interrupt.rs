//! The signals by which a person, or whoever runs the program, ends what goes on until then.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C and SIGTERM, which mean the same. While it lives, neither ends the process by itself.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Listens from now on; must be called in a runtime.
    ///
    /// # Errors
    /// If the system has no room for it.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one. Returns false if none can come any more.
    pub(crate) async fn next(&mut self) -> bool {
        let one = tokio::select! {
            one = self.interrupt.recv() => one,
            one = self.terminate.recv() => one,
        };
        one.is_some()
    }
}
