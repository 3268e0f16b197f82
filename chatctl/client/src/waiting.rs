//! Telling that a request takes long, and whether because the server's database is away. A server asks that itself for many seconds
//! before it answers with an error, and that error is answered with further tries.
//!
//! At a terminal something turns meanwhile; in words it is told once, and only of the database.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long a request may take before it is looked at why.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// The pause between two looks after that, and how long one may take.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Whom to tell. Its clones are the same one, which tells once.
#[derive(Clone)]
pub(super) struct Waiting {
    notify: Arc<dyn Fn() + Send + Sync>,
    notified: Arc<AtomicBool>,
    /// Something else turns already.
    is_shown: bool,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("notified", &self.notified)
            .finish_non_exhaustive()
    }
}

/// A request under way; it is watched until this is dropped.
#[derive(Debug)]
pub(super) struct Watched {
    _under_way: Sender<()>,
    bar: ProgressBar,
}

impl Drop for Watched {
    /// The line is free again before the answer is printed there.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Waiting {
    /// `is_shown` if the caller shows by itself that something is under way.
    pub(super) fn new(notify: impl Fn() + Send + Sync + 'static, is_shown: bool) -> Self {
        Self {
            notify: Arc::new(notify),
            notified: Arc::default(),
            is_shown,
        }
    }

    /// Watches a request that begins now, from a thread that ends with it. Nobody is told where there can't be one.
    /// `url` is the server's; `lacks_database` asks it, for so long at most, whether its database is away.
    #[expect(clippy::disallowed_methods, reason = "one message")]
    pub(super) fn watch(&self, url: String, lacks_database: impl Fn(Duration) -> bool + Send + 'static) -> Watched {
        let (under_way, ended) = channel();
        let Self {
            notify,
            notified,
            is_shown,
        } = self.clone();
        let bar = ProgressBar::hidden();
        let shown = bar.clone();
        let watch = move || {
            if ended.recv_timeout(SLOW_AFTER) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            if !is_shown {
                show_spinner(&shown, &url);
            }
            while !notified.load(Ordering::Relaxed) {
                let lacks_database = lacks_database(CHECK_TIMEOUT);
                // The answer may have come meanwhile.
                let waits = ended.try_recv() == Err(TryRecvError::Empty);
                if lacks_database && waits && !notified.swap(true, Ordering::Relaxed) {
                    shown.suspend(|| notify());
                }
                if ended.recv_timeout(CHECK_INTERVAL) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        let _ = thread::Builder::new().name("waiting".to_owned()).spawn(watch);
        Watched {
            _under_way: under_way,
            bar,
        }
    }
}

/// Shows that the answer of the server at `url` is awaited, where standard error is a terminal.
fn show_spinner(bar: &ProgressBar, url: &str) {
    let style = ProgressStyle::with_template("{spinner} {elapsed:>4}  {msg}").expect("the template is sound");
    bar.set_style(style);
    bar.set_message(format!("waiting for the server at {url}"));
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.enable_steady_tick(Duration::from_millis(200));
}
