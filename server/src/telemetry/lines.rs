//! Lines on their way out of the process, written by a thread of their own: a thread that hands one over never waits for the
//! terminal, pipe or file where it goes, and never fails because of it.
//!
//! Not `tracing-appender`: it counts lines and not bytes, doesn't count what could not be written, and at its end may
//! print to a standard output that is itself the fault.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Most that waits to be written, in bytes. What comes beyond that is lost, and counted.
const MAX_QUEUED_BYTES: usize = 1024 * 1024;

/// What a waiting line takes beside its text, in bytes.
const LINE_BYTES: usize = 32;

/// Time before another attempt where a write would have to wait, as at a terminal that another program has set so.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// How often it is tried to report lines that were lost, where no other line finds out that there is room again.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

thread_local! {
    /// In a thread that writes, while it reports: how many lines were lost in all.
    static REPORTING: Cell<u64> = const { Cell::new(0) };
}

/// The way to one file.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    /// Held to add, take or count; never while something is written.
    state: Mutex<State>,
    /// Notified when there is something to write.
    filled: Condvar,
    /// Notified when something was written or lost, and nothing waits any more.
    drained: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Line>,
    /// Of all that waits and what is being written.
    bytes: usize,
    /// Lines that could not be written since the start.
    lost: u64,
    /// How many of them a line that was written has reported.
    reported: u64,
}

struct Line {
    text: Box<[u8]>,
    /// If it is a report: how many lines were lost in all when it was made. It does not count as lost itself.
    reports: Option<u64>,
}

impl Lines {
    /// Starts the thread. When lines were lost, `report` is called with how many, by the thread, to push a line that says so: at
    /// once where another line could be written, else once a second, until such a line was written.
    pub(super) fn start(name: &str, file: File, report: impl Fn(u64) + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
        });
        let queue = Arc::clone(&shared);
        // Nobody joins it: it ends with the process, also while it waits for a reader that has stalled.
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || queue.write_to(file, report))?;
        Ok(Self(shared))
    }

    /// Hands a line over, its end included. Never waits for the file.
    pub(super) fn push(&self, line: &[u8]) {
        let reports = Some(REPORTING.get()).filter(|lost| *lost > 0);
        let size = line.len() + LINE_BYTES;
        let mut state = self.0.state.lock();
        if state.bytes + size > MAX_QUEUED_BYTES {
            state.lost += u64::from(reports.is_none());
            return;
        }
        state.bytes += size;
        let text = line.into();
        state.waiting.push_back(Line { text, reports });
        drop(state);
        self.0.filled.notify_one();
    }

    /// Lines that could not be written since the start.
    pub(super) fn lost(&self) -> u64 {
        self.0.state.lock().lost
    }

    /// Waits until all that was handed over is out or lost, or `end` has come.
    pub(super) fn drain(&self, end: Instant) {
        let mut state = self.0.state.lock();
        while state.bytes > 0 {
            if self.0.drained.wait_until(&mut state, end).timed_out() {
                return;
            }
        }
    }
}

impl Shared {
    fn write_to(&self, file: File, report: impl Fn(u64)) {
        let mut out = Out { file, cut: false };
        loop {
            let due = match self.next() {
                Some(line) => {
                    let written = out.write(&line.text).is_ok();
                    self.done(&line, written)
                }
                None => true,
            };
            let (lost, reported) = {
                let state = self.state.lock();
                (state.lost, state.reported)
            };
            if due && lost > reported {
                REPORTING.set(lost);
                report(lost - reported);
                REPORTING.set(0);
            }
        }
    }

    /// The next line; nothing if it is time to report instead.
    fn next(&self) -> Option<Line> {
        let mut state = self.state.lock();
        loop {
            if let Some(line) = state.waiting.pop_front() {
                return Some(line);
            }
            if state.lost == state.reported {
                self.filled.wait(&mut state);
            } else if self.filled.wait_for(&mut state, REPORT_INTERVAL).timed_out() && state.waiting.is_empty() {
                return None;
            }
        }
    }

    /// Notes what became of a line. Returns whether there is room for a report.
    fn done(&self, line: &Line, written: bool) -> bool {
        let mut state = self.state.lock();
        state.bytes -= line.text.len() + LINE_BYTES;
        if state.bytes == 0 {
            self.drained.notify_all();
        }
        match line.reports {
            Some(lost) if written => state.reported = lost,
            Some(_) => {}
            None if written => return true,
            None => state.lost += 1,
        }
        false
    }
}

struct Out {
    file: File,
    /// The last line could be written in part only: the next one must not go on in it.
    cut: bool,
}

impl Out {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.cut {
            self.write_part(b"\n")?;
            self.cut = false;
        }
        self.write_part(line)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the thread that writes lines has nothing else to do until its stream takes some"
    )]
    fn write_part(&mut self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => {
                    rest = &rest[bytes..];
                    self.cut = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY_DELAY),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, pipe};
    use std::os::fd::OwnedFd;
    use std::process::Command;
    use std::sync::{OnceLock, mpsc};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn later() -> Instant {
        Instant::now() + LONG
    }

    fn file(end: impl Into<OwnedFd>) -> File {
        File::from(end.into())
    }

    #[test]
    fn lines_come_out_in_order() {
        let (reader, writer) = pipe().unwrap();
        let lines = Lines::start("lines", file(writer), |_| panic!("none is lost")).unwrap();
        for number in 0..1_000 {
            lines.push(format!("{number}\n").as_bytes());
        }
        let read: Vec<String> = BufReader::new(reader).lines().take(1_000).map(Result::unwrap).collect();
        assert_eq!(read, (0..1_000).map(|number| number.to_string()).collect::<Vec<_>>());
        lines.drain(later());
        assert_eq!(lines.lost(), 0);
    }

    #[test]
    fn a_reader_that_stalls_holds_nobody_up_and_what_is_lost_is_counted_and_reported() {
        let (reader, writer) = pipe().unwrap();
        let (report, reported) = mpsc::channel();
        let lines = Lines::start("lines", file(writer), move |lost| _ = report.send(lost)).unwrap();
        let line = [&[b'x'; 999][..], b"\n"].concat();
        let pushed = 3 * MAX_QUEUED_BYTES / line.len();
        for _ in 0..pushed {
            lines.push(&line);
        }
        lines.drain(Instant::now());
        assert!(lines.0.state.lock().bytes <= MAX_QUEUED_BYTES);
        let lost = lines.lost();
        assert!(lost > 0);

        let read = BufReader::new(reader).lines().take(pushed - lost as usize).count();
        assert_eq!(read, pushed - lost as usize, "all others come out");
        // In one report, or in several if the writer came to its turn while lines were pushed.
        let mut told = 0;
        while told < lost {
            told += reported.recv_timeout(LONG).unwrap();
        }
        assert_eq!((told, lines.lost()), (lost, lost));
    }

    #[test]
    fn a_file_that_refuses_loses_lines_and_nothing_else() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let lines = Lines::start("lines", full, |_| {}).unwrap();
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let gone = Lines::start("lines", file(writer), |_| {}).unwrap();
        for lines in [lines, gone] {
            for _ in 0..3 {
                lines.push(b"a line\n");
            }
            lines.drain(later());
            assert_eq!(lines.lost(), 3);
        }
    }
    #[test]
    fn what_was_lost_is_reported_when_there_is_room_again_and_nothing_else_to_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let open = || File::options().read(true).write(true).open(&path).unwrap();
        let reader = open();
        let writer = File::options().write(true).open(&path).unwrap();
        let lines: Arc<OnceLock<Lines>> = Arc::default();
        let reporting = Arc::clone(&lines);
        let report = move |lost| reporting.wait().push(format!("{lost} lost\n").as_bytes());
        let lines = lines.get_or_init(|| Lines::start("lines", writer, report).unwrap());
        drop(reader);
        lines.push(b"one\n");
        lines.push(b"two\n");
        lines.drain(later());
        let mut line = String::new();
        BufReader::new(open()).read_line(&mut line).unwrap();
        assert_eq!(line, "2 lost\n");
        assert_eq!(lines.lost(), 2, "reports that could not be written are none of them");
    }
}
