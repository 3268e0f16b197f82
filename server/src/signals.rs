//! What the signals of the system mean here.
//!
//! | signal | what it does |
//! |---|---|
//! | SIGTERM, SIGINT, SIGQUIT | an orderly stop, also while the server still starts |
//! | SIGHUP, SIGUSR1, SIGUSR2 | nothing: there is nothing to reload, and no log file to open again |
//! | SIGXFSZ | nothing: the write that reached the limit of file sizes fails, as on a full disk |
//!
//! The default of each would end the process at once, with what is under way unanswered.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The signals, listened to from now on, for as long as the process runs.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    /// Begins to listen. To be called first of all: until then a signal ends the process.
    pub fn listen() -> io::Result<Self> {
        // Senders are told that the disk is full, and the store heals by itself. Listening once replaces the default
        // for good; nobody waits for this one.
        let _ = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Cancels `stop` at the first signal that asks for it. To be kept running: it logs what the others are for.
    pub async fn obey(mut self, stop: CancellationToken) {
        loop {
            let (name, stops) = tokio::select! {
                _ = self.terminate.recv() => ("SIGTERM", true),
                _ = self.interrupt.recv() => ("SIGINT", true),
                _ = self.quit.recv() => ("SIGQUIT", true),
                _ = self.hangup.recv() => ("SIGHUP", false),
                _ = self.user1.recv() => ("SIGUSR1", false),
                _ = self.user2.recv() => ("SIGUSR2", false),
            };
            if stops {
                tracing::info!(signal = name, "asked to stop");
                stop.cancel();
            } else {
                tracing::info!(signal = name, "ignored: there is nothing to reload");
            }
        }
    }
}
