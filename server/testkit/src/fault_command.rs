//! A command for `sh` that has this test process break something, and ends when that is done: for programs that are
//! given a fault as a command.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;

/// How often it is looked whether the command runs.
const TICK: Duration = Duration::from_millis(10);

/// Something that is broken whenever its command is run.
#[derive(Debug)]
pub struct FaultCommand<T> {
    folder: TempDir,
    /// Its only owner besides the thread says that it goes on.
    goes_on: Arc<()>,
    thread: JoinHandle<(T, usize)>,
}

impl<T: Send + 'static> FaultCommand<T> {
    /// Takes `subject` over. Each run of the command calls `fault` with it and with the number of runs before.
    pub fn new(mut subject: T, mut fault: impl FnMut(&mut T, usize) + Send + 'static) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let request = Request(folder.path().join("request").into());
        let goes_on = Arc::new(());
        let owner = Arc::downgrade(&goes_on);
        let thread = thread::spawn(move || {
            let mut runs = 0;
            while owner.strong_count() > 0 {
                if request.0.exists() {
                    fault(&mut subject, runs);
                    runs += 1;
                    fs::remove_file(&request.0).expect("the folder is writable");
                }
                thread::sleep(TICK);
            }
            (subject, runs)
        });
        Self {
            folder,
            goes_on,
            thread,
        }
    }

    /// The command. It fails once the fault itself has failed.
    pub fn command(&self) -> String {
        let folder = self.folder.path().display();
        format!("cd '{folder}' && echo > request && while [ -e request ]; do sleep 0.02; done && [ ! -e failed ]")
    }

    /// Gives the subject back, and tells how often it was broken.
    ///
    /// # Panics
    /// If a fault has panicked.
    pub fn end(self) -> (T, usize) {
        drop(self.goes_on);
        self.thread
            .join()
            .unwrap_or_else(|cause| std::panic::resume_unwind(cause))
    }
}

/// The file that the command makes, and waits for until it is gone.
struct Request(Box<Path>);

impl Drop for Request {
    /// Lets a command that waits know that the fault has panicked.
    fn drop(&mut self) {
        if thread::panicking() {
            // A folder that is gone has nobody waiting.
            let _ = fs::write(self.0.with_file_name("failed"), "");
            let _ = fs::remove_file(&self.0);
        }
    }
}
