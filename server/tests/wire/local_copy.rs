//! `shared/examples/client.mjs`: a stock client whose copy is perfect, whoever is killed meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::example::{Client, Language};
use testkit::node::Script;
use testkit::process::eventually;
use testkit::{Engine, Server};

/// How long the copy may take to be complete; slow machines are meant to pass.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Messages of one sender in a round.
const ROUND: usize = 300;
/// More than what is pushed to a client that connects: the rest it must ask for.
const MANY: usize = shared::limits::MAX_SYNC_PUSH + 300;

#[test]
fn is_perfect_embedded() {
    is_perfect(Engine::Embedded);
}

#[test]
fn is_perfect_mongo() {
    is_perfect(Engine::Mongo);
}

fn is_perfect(engine: Engine) {
    let mut server = Server::start(engine);
    let [me, ada, bob] = server.new_users();
    // What was there before the copy.
    send(&server, &ada, &me, ROUND).finish();
    send(&server, &me, &me, 1).finish();

    let mut example = Example::start(&server, &me);
    example.becomes(&server, &me, &[&ada, &me]);
    for round in 1..=4 {
        let mut senders = [send(&server, &ada, &me, ROUND), send(&server, &me, &bob, ROUND)];
        // Killed while it hears, later in each round; started again while there is more to hear.
        acknowledged(&mut senders[0], round * ROUND / 6);
        example.kill();
        acknowledged(&mut senders[1], ROUND / 6);
        example.restart(&server);
        senders.into_iter().for_each(|sender| {
            sender.finish();
        });
        // It connects again by itself, and finds what the next round brings meanwhile.
        server.restart();
    }
    example.becomes(&server, &me, &[&ada, &bob, &me]);

    example.kill();
    let senders = [send(&server, &bob, &me, MANY), send(&server, &me, &ada, 1)];
    senders.into_iter().for_each(|sender| {
        sender.finish();
    });
    example.restart(&server);
    example.becomes(&server, &me, &[&ada, &bob, &me]);
    // Nothing but the file is needed to go on.
    example.kill();
    example.restart(&server);
    send(&server, &ada, &me, 1).finish();
    example.becomes(&server, &me, &[&ada, &bob, &me]);
}

/// Begins to send so many messages from one user to another.
fn send(server: &Server, from: &str, to: &str, count: usize) -> Script {
    let argument = json!({"url": server.url(), "token": server.token(from), "receiver": to, "count": count});
    Script::start("send.js", &argument)
}

/// Waits until so many messages of a sender are stored.
fn acknowledged(sender: &mut Script, count: usize) {
    for _ in 0..count {
        let report = sender.report().expect("there are more to send");
        assert!(
            report["answer"].as_str().expect("an answer").contains("\"ok\":true"),
            "{report}"
        );
    }
}

/// The program, and the file that it keeps.
struct Example {
    client: Client,
    folder: tempfile::TempDir,
    token: String,
}

impl Example {
    fn start(server: &Server, user: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let token = server.token(user);
        let client = Client::start(Language::JavaScript, folder.path(), server, &token, None);
        Self { client, folder, token }
    }

    fn kill(&mut self) {
        self.client.process().kill();
    }

    fn restart(&mut self, server: &Server) {
        self.client = Client::start(Language::JavaScript, self.folder.path(), server, &self.token, None);
    }

    /// Waits until the copy is what history holds of these conversations, neither more nor less.
    #[track_caller]
    fn becomes(&mut self, server: &Server, user: &str, peers: &[&str]) {
        let expected: BTreeMap<String, Value> = peers
            .iter()
            .flat_map(|peer| server.history(user, peer))
            .map(|message| (message["_id"].as_str().expect("an id").to_owned(), message))
            .collect();
        let what = format!("a copy of {} messages", expected.len());
        eventually(&what, TIMEOUT, || {
            let process = self.client.process();
            assert!(process.wait(Duration::ZERO).is_none(), "it ended: {}", process.stderr());
            let copied = self.messages();
            let foreign: Vec<&String> = copied.keys().filter(|id| !expected.contains_key(*id)).collect();
            assert!(foreign.is_empty(), "messages that no history holds: {foreign:?}");
            (copied == expected).then_some(())
        });
    }

    /// What the file holds; it is whole whenever it is read.
    fn messages(&self) -> BTreeMap<String, Value> {
        let Ok(text) = fs::read_to_string(copy_in(self.folder.path())) else {
            return BTreeMap::new();
        };
        let copy: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("half a file ({error}): {text}"));
        serde_json::from_value(copy["messages"].clone()).expect("messages by their ids")
    }
}

fn copy_in(folder: &Path) -> PathBuf {
    folder.join("copy")
}
