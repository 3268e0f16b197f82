//! One mongod process, its data and port, and the watcher that ends it when the test process is gone.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use bson::doc;
use tempfile::TempDir;

use super::{START, admin, fetch};

/// Reads its standard input, whose other end the test process holds. The word `leave` says that the mongod is looked
/// after; the end of the input says that the test process is gone, by whatever way, and the mongod must go too.
const WATCHER: &str = r#"
read -r word
[ "$word" = leave ] && exit
kill -9 "$1" 2>/dev/null
for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$2" && exit; sleep 0.2; done
"#;

/// How many free ports are tried: another process can take one between our look and mongod's.
const PORTS: usize = 5;

/// A mongod with its data.
#[derive(Debug)]
pub(super) struct Member {
    process: Child,
    watcher: Child,
    port: u16,
    set: Option<String>,
    directory: TempDir,
}

impl Member {
    /// Starts one on new data and a free port, and waits until it answers.
    pub(super) fn start(set: Option<&str>) -> Self {
        let mut failure = String::new();
        for _ in 0..PORTS {
            let directory = tempfile::Builder::new()
                .prefix("mongod-")
                .tempdir()
                .expect("a temporary directory can be made");
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            let port = free.expect("a loopback port is free").port();
            let (process, watcher) = spawn(directory.path(), port, set);
            let mut member = Self {
                process,
                watcher,
                port,
                set: set.map(str::to_owned),
                directory,
            };
            match member.wait_answer() {
                Ok(()) => return member,
                Err(why) => failure = why,
            }
        }
        panic!("no mongod could be started: {failure}");
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether it was not killed.
    pub(super) fn runs(&self) -> bool {
        !self.has_ended()
    }

    /// Kills it and waits for its end. It stays a zombie, so that no other process gets its id, which the watcher
    /// still knows.
    pub(super) fn kill(&mut self) {
        self.signal("KILL");
        while !self.has_ended() {
            std::thread::yield_now();
        }
    }

    /// Starts it again on its data and port.
    pub(super) fn restart(&mut self) {
        self.end();
        let (process, watcher) = spawn(self.directory.path(), self.port, self.set.as_deref());
        (self.process, self.watcher) = (process, watcher);
        if let Err(why) = self.wait_answer() {
            panic!("mongod did not start again: {why}");
        }
    }

    /// Starts it again on its port, with nothing in it.
    pub(super) fn restart_empty(&mut self) {
        self.end();
        for entry in std::fs::read_dir(self.directory.path()).expect("its data can be listed") {
            let path = entry.expect("its data can be listed").path();
            let removed = match path.is_dir() {
                true => std::fs::remove_dir_all(&path),
                false => std::fs::remove_file(&path),
            };
            removed.expect("its data can be removed");
        }
        self.restart();
    }

    /// Sends a signal by its name without `SIG`.
    pub(super) fn signal(&self, name: &str) {
        crate::process::signal(self.pid(), name);
    }

    /// The last lines that it logged.
    pub(super) fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(log_path(self.directory.path())).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn has_ended(&self) -> bool {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())) else {
            return true;
        };
        // The state follows the name, which stands in brackets.
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']))
    }

    fn wait_answer(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START;
        loop {
            match admin::command(self.port, doc! { "ping": 1 }) {
                Ok(_) => return Ok(()),
                Err(error) if self.has_ended() || Instant::now() > deadline => {
                    return Err(format!("{error}\nits log ends:\n{}", self.log_tail()));
                }
                Err(_) => {}
            }
        }
    }

    fn end(&mut self) {
        // The watcher goes first: once the process is reaped, another may have its id. Errors mean that it is gone.
        if let Some(mut input) = self.watcher.stdin.take() {
            let _ = input.write_all(b"leave\n");
        }
        let _ = self.watcher.wait();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.end();
    }
}

fn log_path(directory: &Path) -> std::path::PathBuf {
    directory.join("mongod.log")
}

fn spawn(directory: &Path, port: u16, set: Option<&str>) -> (Child, Child) {
    let data = directory.join("data");
    std::fs::create_dir_all(&data).expect("the temporary directory is writable");
    let mut mongod = Command::new(fetch::binary());
    mongod
        .args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--quiet", "--logappend"])
        .args(["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"])
        .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
        // Lets tests configure fail points.
        .args(["--setParameter", "enableTestCommands=1"])
        .args(["--port", &port.to_string()])
        .arg("--dbpath")
        .arg(data)
        .arg("--logpath")
        .arg(log_path(directory));
    if let Some(set) = set {
        mongod.args(["--replSet", set]);
    }
    // Groups of their own: an interrupt from the terminal must reach the test process only.
    mongod
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let process = mongod
        .spawn()
        .unwrap_or_else(|error| panic!("{:?} does not run: {error}", mongod.get_program()));
    let watcher = Command::new("sh")
        .args(["-c", WATCHER, "mongod-watcher", &process.id().to_string()])
        .arg(directory)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh runs");
    (process, watcher)
}
