//! What the signals of the system mean here.
//!
//! | signal | what it does |
//! |---|---|
//! | SIGTERM, SIGINT, SIGQUIT | an orderly stop, also while the server still starts; the second one ends the process at once |
//! | SIGHUP | what was read from files and can be read again, such as a certificate, is; see [`hangups`] |
//! | SIGUSR1, SIGUSR2 | nothing: there is no log file to open again |
//! | SIGXFSZ | nothing: the write that reached the limit of file sizes fails, as on a full disk |
//!
//! The default of each would end the process at once, with what is under way unanswered.

use std::io;
use std::sync::LazyLock;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::telemetry;

/// How often SIGHUP came. It is of the process, as signals are.
static HANGUPS: LazyLock<watch::Sender<u64>> = LazyLock::new(|| watch::Sender::new(0));

/// Changes whenever SIGHUP comes: files are to be read again then.
pub fn hangups() -> watch::Receiver<u64> {
    HANGUPS.subscribe()
}

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
        // Senders are answered that the disk is full, and the store heals by itself. Listening once replaces the default
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

    /// Cancels `stop` at the first signal that asks for it, and ends the process at the second. To be kept running: it logs
    /// what the others are for.
    pub async fn obey(mut self, stop: CancellationToken) {
        loop {
            let (name, stops) = tokio::select! {
                _ = self.terminate.recv() => ("SIGTERM", Some(libc::SIGTERM)),
                _ = self.interrupt.recv() => ("SIGINT", Some(libc::SIGINT)),
                _ = self.quit.recv() => ("SIGQUIT", Some(libc::SIGQUIT)),
                _ = self.hangup.recv() => ("SIGHUP", None),
                _ = self.user1.recv() => ("SIGUSR1", None),
                _ = self.user2.recv() => ("SIGUSR2", None),
            };
            match stops {
                // Who asks twice does not want to wait. Nothing acknowledged is lost by that, as by a crash.
                Some(number) if stop.is_cancelled() => {
                    tracing::warn!(signal = name, "asked to stop once more: the process ends at once");
                    telemetry::finish();
                    std::process::exit(128 + number);
                }
                Some(_) => {
                    tracing::info!(signal = name, "asked to stop");
                    stop.cancel();
                }
                None if name == "SIGHUP" && HANGUPS.receiver_count() > 0 => {
                    tracing::info!(signal = name, "files are read again");
                    HANGUPS.send_modify(|count| *count += 1);
                }
                None => tracing::info!(signal = name, "ignored: there is nothing to reload"),
            }
        }
    }
}
