//! A disk that fails to sync: nothing is acknowledged that may not be on it, and nothing that was is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::node::Script;
use testkit::process::eventually;
use testkit::{Engine, Server, Setup};

use crate::ready;
use crate::storm::Storm;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A disk under a server that can be told which file it fails to sync.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let source = testkit::workspace().join("server/tests/faults/failing_sync.c");
        let mut compile = Command::new("cc");
        compile
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(folder.path().join("failing_sync.so"))
            .arg(source);
        assert!(compile.status().expect("a C compiler").success());
        Self { folder }
    }

    fn server(&self) -> Server {
        Setup::new(Engine::Embedded)
            .env("LD_PRELOAD", self.path("failing_sync.so").display())
            .env("FAILING_SYNC", self.path("control").display())
            .start()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// From now on this file of the database can't be synced.
    fn fail(&self, file: &str) {
        fs::write(self.path("draft"), file).expect("a file");
        fs::rename(self.path("draft"), self.path("control")).expect("in one step");
    }

    fn heal(&self) {
        fs::remove_file(self.path("control")).expect("it failed");
    }
}

fn send(server: &Server, [from, to]: [&str; 2], text: &str) -> Value {
    let argument = json!({"url": server.url(), "token": server.token(from), "receiver": to, "texts": [text]});
    let answer = Script::start("send.js", &argument).finish().remove(0);
    serde_json::from_str(answer["answer"].as_str().expect("a text")).expect("JSON")
}

#[test]
fn a_commit_that_was_not_synced_is_not_acknowledged() {
    let disk = Disk::new();
    let mut server = disk.server();
    let [a, b] = server.new_users();
    let mut acknowledged = vec![send(&server, [&a, &b], "before")["message"].clone()];
    disk.fail("chat.db-wal");
    let answer = send(&server, [&a, &b], "not on the disk");
    assert_eq!(answer["error"]["code"], "store_unavailable", "{answer}");
    assert!(!ready(&server));
    disk.heal();
    eventually("it is ready again", TIMEOUT, || ready(&server).then_some(()));
    acknowledged.push(send(&server, [&a, &b], "after")["message"].clone());
    server.kill();
    server.restart();
    assert_eq!(server.history(&a, &b), acknowledged);
}

#[test]
fn a_log_is_kept_until_its_copy_is_synced() {
    let disk = Disk::new();
    let mut server = disk.server();
    let log = server.folder().join("data/chat.db-wal");
    let size = |file: &Path| fs::metadata(file).map_or(0, |metadata| metadata.len());
    let mut storm = Storm::start::<4>(&server, &server.url(), json!({"window": 50, "bytes": 16_000}));
    storm.more(100);
    disk.fail("chat.db");
    eventually("it is told", TIMEOUT, || {
        server
            .stderr()
            .contains("the disk failed to sync the database")
            .then_some(())
    });
    // The system would report no failure the next time, whether or not anything was written.
    disk.heal();
    server.terminate();
    assert!(
        size(&log) > 64 * 1024 * 1024,
        "the log is all that holds what was acknowledged"
    );
    server.restart();
    storm.more(100);
    storm.finish(&server);
}
