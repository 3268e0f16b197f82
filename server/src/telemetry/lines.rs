//! Lines on their way out of the process, written by a thread of their own: whoever hands one over never waits for the
//! terminal, pipe or file behind it, and never fails because of it.
//!
//! Not `tracing-appender`: it counts lines and not bytes, doesn't count what could not be written, and at its end may
//! print to a standard output that is itself the fault.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Most that waits to be written, in bytes. What comes beyond that is lost, and counted.
const MOST_BYTES: usize = 1024 * 1024;

/// What a waiting line takes beside its text, in bytes.
const LINE_BYTES: usize = 32;

/// Pause before another attempt where a write would have to wait, as at a terminal that another program has set so.
const PAUSE: Duration = Duration::from_millis(10);

/// The way to one file.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    /// Held to add, take or count; never while something is written.
    state: Mutex<State>,
    /// Told when there is something to write.
    filled: Condvar,
    /// Told when something was written or lost, and nothing waits any more.
    drained: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<[u8]>>,
    /// Of all that waits and what is being written.
    bytes: usize,
    /// Lines that could not be written since the start.
    lost: u64,
    /// How many of them [`Lines::start`]'s `report` was told of.
    reported: u64,
}

impl Lines {
    /// Starts the thread. Once a line could be written again after others were lost, `report` is told how many were
    /// lost since it was told last.
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
        let size = line.len() + LINE_BYTES;
        let mut state = self.0.state.lock();
        if state.bytes + size > MOST_BYTES {
            state.lost += 1;
            return;
        }
        state.bytes += size;
        state.waiting.push_back(line.into());
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
            let line = self.next();
            let written = out.write(&line).is_ok();
            if let Some(lost) = self.done(line.len(), written) {
                report(lost);
            }
        }
    }

    fn next(&self) -> Box<[u8]> {
        let mut state = self.state.lock();
        loop {
            match state.waiting.pop_front() {
                Some(line) => return line,
                None => self.filled.wait(&mut state),
            }
        }
    }

    /// Notes what became of a line. Returns how many were lost before it, if that is to be reported.
    fn done(&self, length: usize, written: bool) -> Option<u64> {
        let mut state = self.state.lock();
        state.bytes -= length + LINE_BYTES;
        if state.bytes == 0 {
            self.drained.notify_all();
        }
        if !written {
            state.lost += 1;
            return None;
        }
        let lost = state.lost - state.reported;
        state.reported = state.lost;
        (lost > 0).then_some(lost)
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

    fn write_part(&mut self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => {
                    rest = &rest[bytes..];
                    self.cut = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
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
    use std::sync::mpsc;

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
        let lines = Lines::start("lines", file(writer), move |lost| report.send(lost).unwrap()).unwrap();
        let line = [&[b'x'; 999][..], b"\n"].concat();
        let pushed = 3 * MOST_BYTES / line.len();
        for _ in 0..pushed {
            lines.push(&line);
        }
        lines.drain(Instant::now());
        assert!(lines.0.state.lock().bytes <= MOST_BYTES);
        let lost = lines.lost();
        assert!(lost > 0);

        let read = BufReader::new(reader).lines().take(pushed - lost as usize).count();
        assert_eq!(read, pushed - lost as usize, "all others come out");
        assert_eq!(reported.recv_timeout(LONG), Ok(lost));
        assert_eq!(lines.lost(), lost);
    }

    #[test]
    fn a_file_that_refuses_loses_lines_and_nothing_else() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let lines = Lines::start("lines", full, |_| panic!("it never has room")).unwrap();
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let gone = Lines::start("lines", file(writer), |_| panic!("nobody comes back")).unwrap();
        for lines in [lines, gone] {
            for _ in 0..3 {
                lines.push(b"a line\n");
            }
            lines.drain(later());
            assert_eq!(lines.lost(), 3);
        }
    }
}
