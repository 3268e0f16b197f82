//! The clients of `shared/examples`, started as their first lines say.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Server;
use crate::process::Process;

/// How long an example may take to print a line or to end; slow machines are meant to pass.
pub const TIMEOUT: Duration = Duration::from_secs(180);

/// The language of an example.
#[derive(Debug, Clone, Copy)]
pub enum Language {
    /// `client.mjs`, with socket.io-client.
    JavaScript,
    /// `client.py`, with python-socketio.
    Python,
    /// `client.rs`, with rust_socketio.
    Rust,
}

/// A running client of one user, with its copy in a folder. Dropping it kills it.
#[derive(Debug)]
pub struct Client {
    process: Process,
    read: usize,
}

impl Client {
    /// Starts one in `folder`, where an earlier one may have left its file `copy`. Without a receiver it only listens.
    pub fn start(language: Language, folder: &Path, server: &Server, token: &str, receiver: Option<&str>) -> Self {
        let examples = crate::workspace().join("shared/examples");
        let mut command = match language {
            Language::JavaScript => {
                // A module looks for its packages beside itself only.
                fs::copy(examples.join("client.mjs"), folder.join("client.mjs")).expect("the folder is writable");
                let _ = symlink(crate::node::modules(), folder.join("node_modules"));
                let mut command = Command::new(crate::node::program("NODE", "node"));
                command.arg("client.mjs").env_remove("NODE_OPTIONS");
                command
            }
            Language::Python => {
                let mut command = Command::new("python3");
                command
                    .arg(examples.join("client.py"))
                    .env("PYTHONPATH", crate::python::packages());
                command
            }
            Language::Rust => Command::new(crate::build::example("client")),
        };
        command
            .arg(server.url())
            .arg("copy")
            .args(receiver)
            .env("TOKEN", token)
            .current_dir(folder);
        Self {
            process: Process::spawn(&mut command),
            read: 0,
        }
    }

    /// Types a line.
    pub fn types(&mut self, line: &str) {
        self.process.write_line(line);
    }

    /// Waits until it prints this line; what it printed before that, since the last time.
    ///
    /// # Panics
    /// If it never does.
    #[track_caller]
    pub fn prints(&mut self, line: &str) -> Vec<String> {
        let deadline = Instant::now() + TIMEOUT;
        let mut before = Vec::new();
        while let Some(next) = self.process.next_line(&mut self.read, deadline) {
            if next == line {
                return before;
            }
            before.push(next);
        }
        panic!("it never printed {line:?} but {before:?}; {}", self.process.stderr());
    }

    /// Waits until it has printed all these lines, in any order.
    #[track_caller]
    pub fn prints_all(&mut self, lines: &[&str]) {
        let (start, last) = (self.read, &mut 0);
        for line in lines {
            self.read = start;
            self.prints(line);
            *last = self.read.max(*last);
        }
        self.read = *last;
    }

    /// The process, to be killed or waited for.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
