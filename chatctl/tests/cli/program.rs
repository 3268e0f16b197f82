//! `chatctl` without a terminal: run to its end, or kept running with its lines.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::Server;
use testkit::process::Process;

/// How long anything may take; slow machines are meant to pass.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// The path of the program.
pub(crate) const CHATCTL: &str = env!("CARGO_BIN_EXE_chatctl");

/// The variables of this process that `chatctl` may see: none that it reads itself.
pub(crate) fn environment() -> Vec<(&'static str, String)> {
    let names = ["PATH", "HOME", "TMPDIR", "LLVM_PROFILE_FILE"];
    let kept = names
        .into_iter()
        .filter_map(|name| Some((name, std::env::var(name).ok()?)));
    kept.chain([("TZ", "UTC".to_owned())]).collect()
}

/// The command with nothing set, to be run in `folder`.
pub(crate) fn bare(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(CHATCTL);
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(environment());
    command
}

/// The command, talking to this server.
pub(crate) fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = bare(server.folder(), arguments);
    command
        .env("CHAT_URL", server.url())
        .env("CHAT_ADMIN_URL", server.admin_url());
    command.env("JWT_SECRET", server.secret());
    command
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it was not killed"),
            stdout: String::from_utf8(output.stdout).expect("output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("output is UTF-8"),
        }
    }
}

impl Ended {
    /// Standard output of a run that must have succeeded and have had nothing to complain of.
    #[track_caller]
    pub(crate) fn output(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self.stdout
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let output = self.output();
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("no JSON ({error}): {output}"))
    }

    /// The one line of complaint of a run that must have failed with `code` and printed nothing else.
    #[track_caller]
    pub(crate) fn complaint(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{}", self.stderr);
        let line = self
            .stderr
            .strip_prefix("error: ")
            .expect("a complaint begins with error:");
        assert_eq!(line.trim_end().lines().count(), 1, "{line}");
        line.trim_end().to_owned()
    }
}

/// Runs a command to its end, with empty input.
pub(crate) fn ended(mut command: Command) -> Ended {
    command
        .stdin(Stdio::null())
        .output()
        .expect("chatctl can be started")
        .into()
}

/// Runs `chatctl` against this server to its end, with empty input.
pub(crate) fn chatctl(server: &Server, arguments: &[&str]) -> Ended {
    ended(command(server, arguments))
}

/// Events of `chat` about something else than messages: they come whenever they like.
const AROUND: [&str; 6] = [
    "sync_done",
    "delivered",
    "read",
    "typing",
    "presence",
    "conversation_updated",
];

fn is_around(event: &Value) -> bool {
    AROUND.iter().any(|name| event["event"] == *name)
}

/// A running `chatctl` that prints JSON lines, mostly a `chat` without a terminal.
pub(crate) struct Script {
    process: Process,
    position: usize,
}

impl Script {
    /// Starts a chat of `me` with `peer`, both names.
    pub(crate) fn start(server: &Server, me: &str, peer: &str, more: &[&str]) -> Self {
        Self::run(server, &[&["chat", "--as", me, "--with", peer], more].concat())
    }

    /// Starts any command that prints JSON lines.
    pub(crate) fn run(server: &Server, arguments: &[&str]) -> Self {
        Self::of(&mut command(server, arguments))
    }

    /// Starts this command, which prints JSON lines.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self {
            process: Process::spawn(command),
            position: 0,
        }
    }

    /// As [`Self::start`], and waits until it is connected.
    pub(crate) fn connected(server: &Server, me: &str, peer: &str, more: &[&str]) -> Self {
        let mut script = Self::start(server, me, peer, more);
        assert_eq!(script.event()["event"], "connected");
        script
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Gives it a line of input.
    pub(crate) fn line(&mut self, line: &str) {
        self.process.write_line(line);
    }

    /// Ends its input.
    pub(crate) fn close(&mut self) {
        self.process.close_stdin();
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// The next event about messages or the connection.
    #[track_caller]
    pub(crate) fn event(&mut self) -> Value {
        loop {
            let event = self.any_event();
            if !is_around(&event) {
                return event;
            }
        }
    }

    /// The next event it prints.
    #[track_caller]
    pub(crate) fn any_event(&mut self) -> Value {
        let line = self.process.next_line(&mut self.position, Instant::now() + TIMEOUT);
        let line = line.unwrap_or_else(|| panic!("no further event; {}", self.process.stderr()));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("no JSON ({error}): {line}"))
    }

    /// The next event of this name; others are skipped.
    #[track_caller]
    pub(crate) fn event_named(&mut self, name: &str) -> Value {
        loop {
            let event = self.any_event();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Waits for its end. The exit status, the events about messages that nobody has read, and standard error.
    #[track_caller]
    pub(crate) fn end(mut self) -> (i32, Vec<Value>, String) {
        let status = self.process.wait(TIMEOUT).expect("it ends");
        let unread = &self.process.stdout()[self.position..];
        let events = unread
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON lines"))
            .filter(|event| !is_around(event));
        (
            status.code().expect("it was not killed"),
            events.collect(),
            self.process.stderr(),
        )
    }
}
