//! A supervisor, as systemd would be one: starts a server again whenever it has ended, however it ended.
//!
//! For programs that are given a command which restarts the server.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;

use crate::Server;

/// How often it looks whether it is to end.
const TICK: Duration = Duration::from_millis(100);

/// Looks after a server until it is asked to give it back.
#[derive(Debug)]
pub struct Supervisor {
    folder: TempDir,
    url: String,
    restarts: Arc<AtomicU64>,
    /// Its life; its only owner besides the thread says that it goes on.
    goes_on: Arc<()>,
    thread: JoinHandle<Server>,
}

impl Supervisor {
    /// Takes over a running server.
    pub fn of(mut server: Server) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (url, pid_file) = (server.url(), folder.path().join("pid"));
        write_whole(&pid_file, server.pid());
        let (restarts, goes_on) = (Arc::new(AtomicU64::new(0)), Arc::new(()));
        let (counter, owner) = (Arc::clone(&restarts), Arc::downgrade(&goes_on));
        let thread = thread::spawn(move || {
            while owner.strong_count() > 0 {
                if server.ends_within(TICK) {
                    server.restart();
                    counter.fetch_add(1, Ordering::Relaxed);
                    write_whole(&pid_file, server.pid());
                }
            }
            server
        });
        Self {
            folder,
            url,
            restarts,
            goes_on,
            thread,
        }
    }

    /// `http://127.0.0.1:<port>`, the same after every restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A command for `sh` that kills the server (`kill -9`) and returns when it runs again.
    pub fn kill_command(&self) -> String {
        let file = self.folder.path().join("pid");
        let file = file.display();
        format!(r#"pid=$(cat '{file}') && kill -9 "$pid" && while [ "$(cat '{file}')" = "$pid" ]; do sleep 0.05; done"#)
    }

    /// How often the server was started again.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Gives the server back; it runs.
    ///
    /// # Panics
    /// If it could not be started again.
    pub fn release(self) -> Server {
        drop(self.goes_on);
        self.thread
            .join()
            .unwrap_or_else(|cause| std::panic::resume_unwind(cause))
    }
}

/// Readers see the old number or the new one, never an empty file.
fn write_whole(file: &PathBuf, pid: u32) {
    let new = file.with_extension("new");
    fs::write(&new, pid.to_string())
        .and_then(|()| fs::rename(&new, file))
        .expect("the folder is writable");
}
