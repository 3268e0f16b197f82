//! Telling that a request takes long because the server's database is away. A server asks that itself for many seconds before it
//! answers with an error, and that error is answered with further tries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use super::http::Http;

/// How long a request may take before it is looked at why.
const SILENCE: Duration = Duration::from_secs(2);
/// The pause between two looks after that, and how long one may take.
const LOOKS: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_secs(5);

/// Whom to tell. Its clones are the same one, which tells once.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    tell: fn(),
    told: Arc<AtomicBool>,
}

/// A request under way; it is watched until this is dropped.
#[derive(Debug)]
pub(super) struct Watched {
    _under_way: Sender<()>,
}

impl Waiting {
    pub(super) fn new(tell: fn()) -> Self {
        Self {
            tell,
            told: Arc::default(),
        }
    }

    /// Watches a request that begins now, from a thread that ends with it. Nobody is told where there can't be one.
    pub(super) fn watch(&self, http: &Http) -> Watched {
        let (under_way, ended) = channel();
        let (Self { tell, told }, http) = (self.clone(), http.clone());
        let watch = move || {
            let mut pause = SILENCE;
            while !told.load(Ordering::Relaxed) && ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let lacks_database = http.lacks_database(LOOK);
                // The answer may have come meanwhile.
                let waits = ended.try_recv() == Err(TryRecvError::Empty);
                if lacks_database && waits && !told.swap(true, Ordering::Relaxed) {
                    tell();
                }
                pause = LOOKS;
            }
        };
        let _ = thread::Builder::new().name("waiting".to_owned()).spawn(watch);
        Watched { _under_way: under_way }
    }
}
