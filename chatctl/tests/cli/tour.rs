//! The commands of README and of OPERATIONS, one block after the other in one folder, as somebody new pastes them.
//!
//! Put in are: other ports and another MongoDB; a `cargo` that starts the programs under test instead of building them;
//! a `pkill` that finds the server of this test only; and shorter times of the proofs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use testkit::process::{Process, eventually};
use testkit::server::{binary, fresh_database, with_database};
use testkit::{Engine, Server, mongod};

use crate::examples::blocks;
use crate::program::{CHATCTL, TIMEOUT, bare};

/// Starts what the example would have built, and notes the process id of a server.
const CARGO: &str = r#"#!/bin/sh
case "$*" in
  "run" | "run --release") echo $$ >"$NOTES/server"; exec "$SERVER" ;;
  "chatctl "*) shift; exec "$CHATCTL" "$@" ;;
  "run --release --bin chatctl -- "*) shift 5; exec "$CHATCTL" "$@" ;;
  *) echo "no example says: cargo $*" >&2; exit 97 ;;
esac
"#;

/// Kills the server that was started last.
const PKILL: &str = r#"#!/bin/sh
[ "$*" = "-KILL -xf target/debug/server" ] && kill -KILL "$(cat "$NOTES/server")"
"#;

/// Somebody's folder, shell and ports.
struct Newcomer {
    folder: tempfile::TempDir,
    port: u16,
}

impl Newcomer {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in [("cargo", CARGO), ("pkill", PKILL)] {
            let path = folder.path().join("bin").join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is writable");
            fs::write(&path, text).expect("the folder is writable");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the folder is writable");
        }
        // The port of a server that was here a moment ago: nobody else takes it.
        let port = Server::start(Engine::Embedded).port();
        Self { folder, port }
    }

    fn shell(&self, text: &str) -> Process {
        let text = text.replace("http://127.0.0.1:5000", &self.url());
        let mut command = Command::new("sh");
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = self.folder.path().join("bin");
        command
            .args(["-euc", &text])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(crate::program::environment())
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("NOTES", self.folder.path())
            .env("SERVER", binary())
            .env("CHATCTL", CHATCTL)
            .env("PORT", self.port.to_string())
            .env("CHAT_URL", self.url());
        Process::spawn(&mut command)
    }

    /// Pastes a block that ends by itself; what it printed.
    #[track_caller]
    fn pastes(&self, text: &str) -> String {
        let mut process = self.shell(text);
        process.close_stdin();
        let status = process.wait(TIMEOUT * 3);
        let (stdout, stderr) = (process.stdout(), process.stderr());
        assert!(
            status.is_some_and(|status| status.success()),
            "{status:?} of\n{text}\n{stdout}\n{stderr}"
        );
        stdout
    }

    /// Starts what goes on until it is ended, and waits for a line of its output.
    #[track_caller]
    fn starts(&self, text: &str, line: &str) -> Process {
        let mut process = self.shell(text);
        let (mut position, deadline) = (0, Instant::now() + TIMEOUT);
        while let Some(next) = process.next_line(&mut position, deadline) {
            if next.contains(line) {
                return process;
            }
        }
        let status = process.wait(TIMEOUT);
        let (stdout, stderr) = (process.stdout(), process.stderr());
        panic!("never said {line:?} ({status:?}):\n{text}\n{stdout}\n{stderr}");
    }

    /// Kills the server that was started last and waits until it is gone. The shell that it was typed in does not tell it.
    fn kills_the_server(&self) {
        if let Ok(pid) = fs::read_to_string(self.note()) {
            let _ = Command::new("kill").args(["-KILL", pid.trim()]).status();
            let _ = fs::remove_file(self.note());
            eventually("the server is gone", TIMEOUT, || {
                (!Path::new("/proc").join(pid.trim()).exists()).then_some(())
            });
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn note(&self) -> PathBuf {
        self.folder.path().join("server")
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        // That which an example left running in the background.
        if let Ok(pid) = fs::read_to_string(self.note()) {
            let _ = Command::new("kill").args(["-KILL", pid.trim()]).status();
        }
    }
}

#[test]
fn every_command_of_the_readme_works_in_its_turn() {
    let newcomer = Newcomer::new();
    let running = format!("Server running on port {}", newcomer.port);
    let mut server = None;
    let mut count = 0;
    let documents = ["README.md", "server/OPERATIONS.md"];
    for block in documents.into_iter().flat_map(|document| blocks(document, "sh")) {
        count += 1;
        match block.trim() {
            // That is what runs now.
            "cargo test --workspace" => {}
            "cargo run" | "RATE_LIMITS=off DATA_DIR=data/bench cargo run --release" => {
                drop(server.take());
                newcomer.kills_the_server();
                server = Some(newcomer.starts(&block, &running));
            }
            on_mongodb if on_mongodb.starts_with("MONGO_URI=") => {
                drop(server.take());
                newcomer.kills_the_server();
                let uri = with_database(&mongod::uri(), &fresh_database());
                let block = block.replace("mongodb://localhost:27017/realtime_chat", &format!("'{uri}'"));
                drop(newcomer.starts(&block, &running));
                newcomer.kills_the_server();
                server = Some(newcomer.starts("cargo run", &running));
            }
            watching if watching.contains(" watch ") => {
                newcomer.starts(&block, "\"connected\"");
            }
            with_tls if with_tls.contains("TLS_CERT=") => {
                drop(server.take());
                newcomer.kills_the_server();
                let here = format!("https://localhost:{}", newcomer.port);
                let block = block.replace("\\\n", "").replace("https://localhost:5000", &here);
                let commands: Vec<&str> = block.trim().lines().collect();
                let [certificate, serving, in_a_second_terminal] = commands[..] else {
                    panic!("a certificate, a server and a client: {commands:?}");
                };
                newcomer.pastes(certificate);
                let serving = newcomer.starts(serving, &running);
                newcomer.pastes(in_a_second_terminal);
                drop(serving);
                newcomer.kills_the_server();
                server = Some(newcomer.starts("cargo run", &running));
            }
            measuring if measuring.contains("bench messages") => {
                let report = newcomer.pastes(&block.replace("--users 1000", "--users 20 --duration 2s"));
                assert!(report.contains("server"), "it watched the server\n{report}");
                assert!(newcomer.folder.path().join("latency.svg").exists());
                drop(server.take());
                newcomer.kills_the_server();
                server = Some(newcomer.starts("cargo run", &running));
            }
            proving if proving.contains(" prove ") => {
                let shorter = "--duration 7s --users 6 --rate 30";
                let mut block = block
                    .replace("--duration 30s", shorter)
                    .replace("--duration 60s", shorter);
                if block.contains("--kill ") {
                    block = block.replace(shorter, &format!("{shorter} --kill-every 2s"));
                }
                let verdict = newcomer.pastes(&block);
                assert!(verdict.contains("PASS"), "{verdict}");
            }
            _ => {
                newcomer.pastes(&block);
            }
        }
    }
    assert_eq!(count, 14, "what each block needs is said above");
}

#[test]
fn the_alias_is_cargos() {
    let config = fs::read_to_string(testkit::workspace().join(".cargo/config.toml")).unwrap();
    assert!(config.contains(r#"chatctl = ["run", "--quiet", "--bin", "chatctl", "--"]"#));
}

/// Whether a process can be seen to listen: `--pid server=auto` in the examples finds it so.
#[test]
fn the_server_is_found_by_its_port() {
    let [first, second] = [Engine::Embedded, Engine::Embedded].map(Server::start);
    let run = |pids: &[&str]| {
        let mut command = bare(
            Path::new(second.folder()),
            &["bench", "messages", "--users", "4", "--json"],
        );
        command.args(["--duration", "1s", "--warmup", "0s"]).args(pids);
        command.env("CHAT_URL", second.url()).env("JWT_SECRET", second.secret());
        crate::program::ended(command)
    };
    let report = run(&["--pid", "server=auto"]);
    assert!(
        report.stdout.contains(&format!("\"pid\":{}", second.pid())),
        "{report:?}"
    );
    // What `--pid server=$(pidof server)` comes to where two of them run.
    let several = format!("server={}", first.pid());
    let complaint = run(&["--pid", &several, &second.pid().to_string()]).complaint(2);
    assert!(complaint.contains("server=auto"), "{complaint}");
}
