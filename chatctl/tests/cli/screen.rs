//! `chatctl` in a pseudo-terminal, and what a person would see on its screen.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use testkit::Server;
use testkit::process::eventually;

use crate::program::{CHATCTL, TIMEOUT, environment};

/// So many rows that nothing scrolls away.
const ROWS: u16 = 300;

/// A program and its screen. Dropping it kills the program.
pub(crate) struct Screen {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    shared: Arc<Shared>,
    // Closing it would hang up the terminal.
    _master: Box<dyn MasterPty + Send>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    /// Also after a failed wait: the screen is shown then.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct State {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

impl Screen {
    /// Starts `chatctl` on a screen of 100 columns.
    pub(crate) fn start(server: &Server, arguments: &[&str]) -> Self {
        Self::sized(server, arguments, 100, &[])
    }

    /// A chat of `me` with `peer`, ready to type in.
    pub(crate) fn chat(server: &Server, me: &str, peer: &str) -> Self {
        let screen = Self::start(server, &["chat", "--as", me, "--with", peer]);
        screen.wait_for("connected as");
        screen
    }

    /// Starts `chatctl` on a screen of so many columns, with more variables set.
    pub(crate) fn sized(server: &Server, arguments: &[&str], columns: u16, variables: &[(&str, &str)]) -> Self {
        let size = PtySize {
            rows: ROWS,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(CHATCTL);
        command.args(arguments);
        command.cwd(server.folder());
        command.env_clear();
        for (name, value) in environment() {
            command.env(name, value);
        }
        command.env("TERM", "xterm-256color");
        command.env("CHAT_URL", server.url());
        command.env("CHAT_ADMIN_URL", server.admin_url());
        command.env("JWT_SECRET", server.secret());
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("chatctl can be started");
        let reader = pair.master.try_clone_reader().expect("the terminal can be read");
        let keyboard = pair.master.take_writer().expect("the terminal can be written to");
        let whole = |number| NonZeroU16::new(number).expect("not zero");
        let parser = vt100::Parser::new(whole(ROWS), whole(columns), 0);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                parser,
                raw: Vec::new(),
            }),
            changed: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        thread::spawn(move || watch(reader, &writer));
        Self {
            child,
            keyboard,
            shared,
            _master: pair.master,
        }
    }

    /// The program's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().expect("it was started")
    }

    /// Presses keys.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.keyboard
            .write_all(keys.as_bytes())
            .expect("the terminal takes keys");
        self.keyboard.flush().expect("the terminal takes keys");
    }

    /// Types a line and presses Enter.
    pub(crate) fn line(&mut self, line: &str) {
        self.keys(line);
        self.keys("\r");
    }

    /// The rows with something on them. What was wrapped by the screen stays on several rows.
    pub(crate) fn rows(&self) -> Vec<String> {
        let state = self.shared.lock();
        rows(&state.parser)
    }

    /// The rows that hold `text`.
    pub(crate) fn rows_with(&self, text: &str) -> Vec<String> {
        self.rows().into_iter().filter(|row| row.contains(text)).collect()
    }

    /// Looks at the screen as it is now, with its colors.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.shared.lock().parser.screen())
    }

    /// Every byte that was written to the terminal.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.shared.lock().raw).into_owned()
    }

    /// Waits until `text` is on the screen; the first row that holds it.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait(text, |rows| rows.iter().find(|row| row.contains(text)).cloned())
    }

    /// Waits until the rows satisfy `found`.
    #[track_caller]
    pub(crate) fn wait<T>(&self, what: &str, found: impl Fn(&[String]) -> Option<T>) -> T {
        let deadline = Instant::now() + TIMEOUT;
        let mut state = self.shared.lock();
        loop {
            let rows = rows(&state.parser);
            if let Some(found) = found(&rows) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "never seen: {what}\n--- the screen ---\n{}\n---",
                rows.join("\n")
            );
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .expect("the watcher does not panic")
                .0;
        }
    }

    /// Waits for the program's end; its exit status.
    pub(crate) fn end(&mut self) -> u32 {
        let screen = self.rows().join("\n");
        eventually(&format!("the end of\n{screen}"), TIMEOUT, || {
            self.child
                .try_wait()
                .expect("a child can be awaited")
                .map(|status| status.exit_code())
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- a screen ---\n{}\n---", self.rows().join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rows(parser: &vt100::Parser) -> Vec<String> {
    let contents = parser.screen().contents();
    let rows = contents.lines().map(|row| row.trim_end().to_owned());
    rows.filter(|row| !row.is_empty()).collect()
}

fn watch(mut terminal: Box<dyn Read + Send>, shared: &Shared) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = terminal.read(&mut bytes) {
        let mut state = shared.lock();
        state.parser.process(&bytes[..count]);
        state.raw.extend_from_slice(&bytes[..count]);
        drop(state);
        shared.changed.notify_all();
    }
}
