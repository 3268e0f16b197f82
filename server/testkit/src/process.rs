//! A child process that tests start: its output is kept, its end awaited, and it dies with the test process.
//!
//! What is started, and what its output means, is not known here: see [`crate::server`] and [`crate::node`].

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// A running or ended child process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Arc<Output>,
    stderr: Arc<Output>,
    watcher: Option<Watcher>,
}

impl Process {
    /// Starts `command` with its three standard streams piped to this process.
    ///
    /// # Panics
    /// If the command can't be started; the panic names it.
    pub fn spawn(command: &mut Command) -> Self {
        Self::spawn_in(command, None)
    }

    /// As [`spawn`](Self::spawn), for a process whose folder must go too if this process dies without cleaning up.
    pub fn spawn_in(command: &mut Command, folder: Option<&Path>) -> Self {
        let mut child = command
            // A group of its own: an interrupt from the terminal must reach the test process only.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("can't start {:?}: {error}", command.get_program()));
        let watcher = Some(Watcher::of(child.id(), folder));
        let stdin = child.stdin.take();
        let stdout = Output::keep(child.stdout.take().expect("stdout is piped"));
        let stderr = Output::keep(child.stderr.take().expect("stderr is piped"));
        Self {
            child,
            stdin,
            stdout,
            stderr,
            watcher,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// The first complete line of standard output at or after `*position` (a byte offset, moved past the line).
    ///
    /// `None` if the output ended or `deadline` passed before there was one.
    pub fn next_line(&self, position: &mut usize, deadline: Instant) -> Option<String> {
        let line = self.stdout.wait(deadline, |text| {
            let rest = &text[*position..];
            rest.find('\n').map(|end| rest[..end].to_owned())
        })?;
        *position += line.len() + 1;
        Some(line)
    }

    /// Writes one line to its standard input. A process that no longer reads is not an error: its end says more.
    pub fn write_line(&mut self, line: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
        }
    }

    /// Ends its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends it a signal, such as `TERM`, `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits until it has ended by itself; `None` if it hasn't when `timeout` is over.
    pub fn wait(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + timeout;
        if !(self.stdout.ended(deadline) && self.stderr.ended(deadline)) {
            return None;
        }
        // Its output is closed, so it is gone or about to be, unless it never wrote here.
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be awaited") {
                self.watcher = None;
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it (`kill -9`) and waits until it is gone.
    pub fn kill(&mut self) {
        // The watcher goes first: afterwards the process id may belong to another process.
        self.watcher = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Lets this process have so many files and connections open, or as many as the system allows.
pub fn allow_files(wanted: u64) -> u64 {
    rlimit::increase_nofile_limit(wanted).expect("a limit can be raised up to the one of the system")
}

/// Sends a signal to a process that this process started.
///
/// # Panics
/// If there is no such process.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("sh")
        .args(["-c", r#"kill -s "$1" "$2""#, "signal", name, &pid.to_string()])
        .status()
        .expect("sh can be started");
    assert!(status.success(), "can't send SIG{name} to process {pid}");
    if name == "STOP" {
        // On a busy machine its threads stop one after the other, and the last ones still answer.
        eventually("all its threads have stopped", Duration::from_secs(60), || {
            is_stopped(pid).then_some(())
        });
    }
}

fn is_stopped(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs, on Linux");
    let state = |thread: std::fs::DirEntry| {
        let status = std::fs::read_to_string(thread.path().join("stat")).ok()?;
        // The name, in brackets, can hold anything.
        status.rsplit(')').next()?.trim_start().chars().next()
    };
    threads
        .flatten()
        .all(|thread| state(thread).is_none_or(|state| state == 'T'))
}

/// Asks `condition` again and again until it answers, for what can't be awaited otherwise.
///
/// # Panics
/// With `what`, if there was no answer for `timeout`.
pub fn eventually<T>(what: &str, timeout: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(answer) = condition() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {timeout:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A shell that kills a process, and removes its folder, when its own standard input ends, which happens when this
/// process dies, however it dies.
#[derive(Debug)]
struct Watcher(Child);

impl Watcher {
    fn of(pid: u32, folder: Option<&Path>) -> Self {
        const SCRIPT: &str = r#"read -r _; kill -s KILL "$1"; [ -z "$2" ] || { sleep 0.2; rm -rf "$2"; }"#;
        Self(
            Command::new("sh")
                .args(["-c", SCRIPT, "watcher", &pid.to_string()])
                .args(folder)
                .process_group(0)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("sh can be started"),
        )
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All that came out of one stream, filled by a thread of its own so that the process never waits for a reader.
#[derive(Debug, Default)]
struct Output {
    state: Mutex<OutputState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct OutputState {
    text: String,
    ended: bool,
}

impl Output {
    fn keep(stream: impl Read + Send + 'static) -> Arc<Self> {
        let output = Arc::new(Self::default());
        let writer = Arc::clone(&output);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
                writer.lock().text.push_str(&String::from_utf8_lossy(&line));
                writer.changed.notify_all();
                line.clear();
            }
            writer.lock().ended = true;
            writer.changed.notify_all();
        });
        output
    }

    fn lock(&self) -> MutexGuard<'_, OutputState> {
        self.state
            .lock()
            .expect("a thread that holds the output does not panic")
    }

    fn text(&self) -> String {
        self.lock().text.clone()
    }

    fn wait<T>(&self, deadline: Instant, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(found) = find(&state.text) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self.changed.wait_timeout(state, left).expect("as in lock").0;
        }
    }

    fn ended(&self, deadline: Instant) -> bool {
        let mut state = self.lock();
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).expect("as in lock").0;
        }
        true
    }
}
