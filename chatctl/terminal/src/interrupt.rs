//! The signals by which a person, or whoever runs the program, ends what goes on until then.

use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit status after Ctrl-C, as shells have it.
pub const EXIT_STATUS: u8 = 130;

/// To how many Ctrl-C now means something else than the end of the process.
static LISTENERS: AtomicUsize = AtomicUsize::new(0);

/// How often it came since the first question. Locked for moments.
static SIGNALS: Mutex<u64> = Mutex::new(0);
static SIGNAL_CAME: Condvar = Condvar::new();
/// How long a signal that was sent may take to come.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Ctrl-C and SIGTERM, which mean the same. While it lives, neither ends the process by itself.
#[derive(Debug)]
pub struct InterruptSignals {
    interrupt: Signal,
    terminate: Signal,
    _listening: ListenerGuard,
}

impl InterruptSignals {
    /// Listens from now on; must be called in a runtime.
    ///
    /// # Errors
    /// If the system has no room for it.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            _listening: ListenerGuard::begin(),
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one. Returns false if none can come any more.
    pub async fn next(&mut self) -> bool {
        let one = tokio::select! {
            one = self.interrupt.recv() => one,
            one = self.terminate.recv() => one,
        };
        one.is_some()
    }
}

/// Counts in [`LISTENERS`].
#[derive(Debug)]
struct ListenerGuard(());

impl ListenerGuard {
    fn begin() -> Self {
        LISTENERS.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for ListenerGuard {
    fn drop(&mut self) {
        LISTENERS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A question at the terminal. While it lives, Ctrl-C does not end the process, which would leave the terminal without a
/// cursor: whoever reads the keys is told of it.
#[derive(Debug)]
pub struct Question {
    _listening: ListenerGuard,
    before: u64,
    _keys: Option<KeyMode>,
}

/// The terminal gives keys as they are pressed, Ctrl-C too: the question reads one key at a time, and a signal that came
/// between two keys would be lost on it. Dropping it brings back how the terminal was.
#[derive(Debug)]
struct KeyMode(Termios);

impl KeyMode {
    /// None if standard input is no terminal.
    fn begin() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut modes = before.clone();
        modes.local_modes -= LocalModes::ISIG | LocalModes::ICANON | LocalModes::ECHO;
        tcsetattr(io::stdin(), OptionalActions::Drain, &modes).ok()?;
        Some(Self(before))
    }
}

impl Drop for KeyMode {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

impl Question {
    /// Begins to keep the process alive.
    #[expect(clippy::disallowed_methods, reason = "one message")]
    pub fn begin() -> Self {
        // The system's own answer to the signal is gone once it was listened for, so it is given here from then on.
        static LISTENER: Once = Once::new();
        let listening_guard = ListenerGuard::begin();
        LISTENER.call_once(|| {
            let (listening, listens) = channel();
            let listener = thread::Builder::new().name("ctrl-c".to_owned());
            // Without a thread the signal ends the process, as ever.
            if listener.spawn(|| answer(listening)).is_ok() {
                let _ = listens.recv();
            }
        });
        Self {
            _listening: listening_guard,
            before: *SIGNALS.lock(),
            _keys: KeyMode::begin(),
        }
    }

    /// Waits for the signal that the reading of a key has sent, so that it can't be taken for a later one.
    pub fn interrupted(&self) {
        let mut came = SIGNALS.lock();
        SIGNAL_CAME.wait_while_for(&mut came, |came| *came == self.before, SIGNAL_TIMEOUT);
    }
}

fn answer(listening: Sender<()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else {
        return;
    };
    runtime.block_on(async {
        let Ok(mut interrupt) = signal(SignalKind::interrupt()) else {
            return;
        };
        drop(listening);
        while interrupt.recv().await.is_some() {
            if LISTENERS.load(Ordering::SeqCst) == 0 {
                std::process::exit(EXIT_STATUS.into());
            }
            *SIGNALS.lock() += 1;
            SIGNAL_CAME.notify_all();
        }
    });
}
