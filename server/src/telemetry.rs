//! Logging: structured lines on standard error. Standard output is kept for what a person who starts the server reads.
//!
//! What is logged, and where: an error once, where it is turned into its wire form ([`crate::error`]); starts, stops
//! and changes of state at `info`; connections, and requests that were refused, at `debug`. Ids may be logged; tokens, secrets and the
//! texts of messages never.
//!
//! No thread waits for a line and nothing ends because of one: all that this program says goes through [`Lines`].
//! `println!` and `eprintln!` would block at a reader that has stalled, and panic at one that is gone.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock::now;
use crate::config::{Config, LogFormat};

mod level;
mod lines;

pub use level::{Level as LogLevel, level};
use lines::Lines;

/// Libraries that log, at `debug` or `trace`, what they carry: tokens and texts. No setting turns that on.
const CARRIERS: [&str; 2] = ["tungstenite", "tokio_tungstenite"];

/// The target of panics. Whatever `LOG_LEVEL` says, they are logged.
const PANIC: &str = "panic";

/// How long the last lines may take to get out when the process ends.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How lines for people are written: once it is known, as the log is.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Sets how the lines of [`say`] and [`complain`] are written. The first call counts.
pub fn write_as(format: LogFormat) {
    let _ = FORMAT.set(format);
}

/// Starts logging as configured, panics included. To be called once.
pub fn start(config: &Config) {
    write_as(config.log_format);
    // The filter was checked when the configuration was read.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(&config.log_level))
        .with_writer(|| Stderr)
        .log_internal_errors(false)
        .with_ansi(
            std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        );
    match config.log_format {
        LogFormat::Text => {
            let lines = lines.with_filter_reloading();
            level::keep(&config.log_level, lines.reload_handle());
            lines.finish().with(filter_fn(is_discreet)).init();
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            level::keep(&config.log_level, lines.reload_handle());
            lines.finish().with(filter_fn(is_discreet)).init();
        }
    }
    std::panic::set_hook(Box::new(log_panic));
}

/// What is logged, by a filter that was checked. Panics always are.
fn filter(text: &str) -> EnvFilter {
    let filter = EnvFilter::new(text);
    match format!("{PANIC}=error").parse() {
        Ok(always) => filter.add_directive(always),
        Err(_) => filter,
    }
}

/// Says a line to the person at standard output; a JSON object if the log is made of them.
pub fn say(line: impl Display) {
    if let Some(lines) = stdout() {
        let line = match is_json() {
            true => object(Level::INFO, &line),
            false => line.to_string(),
        };
        lines.push(format!("{line}\n").as_bytes());
    }
}

/// Says why the program ends, in a line on standard error: for people, or a JSON object if the log is made of them.
pub fn complain(line: impl Display) {
    if let Some(lines) = stderr() {
        let line = match is_json() {
            true => object(Level::ERROR, &line),
            false => format!("error: {line}"),
        };
        lines.push(format!("{line}\n").as_bytes());
    }
}

/// Whether a person at a terminal reads what is said, and not a file or another program.
pub fn is_read_by_a_person() -> bool {
    !is_json() && io::stdout().is_terminal()
}

fn is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// A line as the log's own are.
fn object(level: Level, message: &dyn Display) -> String {
    let (timestamp, level, message) = (now().to_string(), level.as_str(), message.to_string());
    serde_json::json!({ "timestamp": timestamp, "level": level, "message": message, "target": "server" }).to_string()
}

/// Log lines that could not be written since the start.
pub fn lost_lines() -> u64 {
    stderr().map_or(0, Lines::lost)
}

/// Lets what was said get out, for a moment: a reader that has stalled does not hold up the end of the process.
pub fn finish() {
    let end = Instant::now() + LAST_LINES;
    for lines in [stdout(), stderr()].into_iter().flatten() {
        lines.drain(end);
    }
}

fn stdout() -> Option<&'static Lines> {
    static STDOUT: OnceLock<Option<Lines>> = OnceLock::new();
    STDOUT
        .get_or_init(|| open("stdout", io::stdout().as_fd(), |_| {}))
        .as_ref()
}

fn stderr() -> Option<&'static Lines> {
    static STDERR: OnceLock<Option<Lines>> = OnceLock::new();
    let report = |lost| tracing::warn!(lost, "log lines could not be written");
    STDERR
        .get_or_init(|| open("stderr", io::stderr().as_fd(), report))
        .as_ref()
}

/// A process that may not start a thread or copy a descriptor says nothing, and will soon fail at something else.
fn open(name: &str, stream: BorrowedFd<'_>, report: impl Fn(u64) + Send + 'static) -> Option<Lines> {
    // A descriptor of our own: the lock of the standard library's would be held as long as a write waits.
    let file = File::from(stream.try_clone_to_owned().ok()?);
    Lines::start(name, file, report).ok()
}

/// Where `tracing` writes its lines.
struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(lines) = stderr() {
            lines.push(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// In the place of the standard library's hook, which writes to standard error itself and would wait for its reader.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let what = panic.payload_as_str().unwrap_or("(no text)");
    let location = panic.location().map(tracing::field::display);
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or_default();
    // As `RUST_BACKTRACE` says.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(backtrace));
    tracing::error!(target: PANIC, thread, location, backtrace, "panicked: {what}");
}

fn is_discreet(line: &Metadata<'_>) -> bool {
    let library = line.target().split("::").next().unwrap_or_default();
    *line.level() <= Level::INFO || !CARRIERS.contains(&library)
}
