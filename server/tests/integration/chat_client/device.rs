//! One device: `server/tests/js/chat_client.js`, driven command by command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::node::Script;
use testkit::process::eventually;
use testkit::{Server, npm_package};

/// How long anything may take before it counts as lost; slow machines are meant to pass.
pub(super) const TIMEOUT: Duration = Duration::from_secs(120);

/// A running client of one user. Dropping it kills it.
pub(super) struct Device {
    argument: Value,
    script: Script,
}

impl Device {
    /// One that keeps its copy in memory, or in a simulated IndexedDB (`indexeddb`), and so loses it with its process.
    pub(super) fn new(url: &str, tokens: &[String], store: &str) -> Self {
        Self::with(json!({"url": url, "tokens": tokens, "store": store}))
    }

    /// One that keeps its copy in this file.
    pub(super) fn in_file(url: &str, token: String, file: &Path) -> Self {
        Self::with(json!({"url": url, "tokens": [token], "store": "file", "path": file}))
    }

    /// One of the script's whole argument.
    pub(super) fn with(argument: Value) -> Self {
        let script = start(&argument);
        Self { argument, script }
    }

    /// The same, and connecting.
    pub(super) fn connected(mut self) -> Self {
        self.ask("connect", Value::Null);
        self
    }

    /// Kills the process (`kill -9`), and starts another one with the same store.
    pub(super) fn restart(&mut self) {
        self.script.kill();
        self.script = start(&self.argument);
        self.ask("connect", Value::Null);
    }

    /// Kills the process.
    pub(super) fn kill(&mut self) {
        self.script.kill();
    }

    /// What a command returns.
    #[track_caller]
    pub(super) fn ask(&mut self, command: &str, argument: impl Into<Value>) -> Value {
        match self.attempt(command, argument) {
            Ok(value) => value,
            Err(failure) => panic!("{command}: {failure}"),
        }
    }

    /// The same, or the code of its error.
    #[track_caller]
    pub(super) fn attempt(&mut self, command: &str, argument: impl Into<Value>) -> Result<Value, String> {
        self.script.tell(&json!([command, argument.into()]));
        let answer = self
            .script
            .report()
            .unwrap_or_else(|| panic!("the device ended: {}", self.script.stderr()));
        match answer.get("ok") {
            Some(value) => Ok(value.clone()),
            None => Err(answer["failed"].as_str().expect("a code").to_owned()),
        }
    }

    /// Writes texts to a peer, in this order. Returns when they can't be lost any more.
    pub(super) fn write(&mut self, peer: &str, texts: &[String]) {
        assert_eq!(self.ask("sendMany", json!({"peer": peer, "texts": texts})), texts.len());
    }

    /// Asks until the answer fits.
    #[track_caller]
    pub(super) fn until(&mut self, command: &str, argument: impl Into<Value>, fits: impl Fn(&Value) -> bool) -> Value {
        let argument = argument.into();
        let mut last = Value::Null;
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(command, TIMEOUT, || {
                last = self.ask(command, argument.clone());
                fits(&last).then(|| last.clone())
            })
        }));
        found.unwrap_or_else(|_| panic!("{command} {argument} never fits: {last:.2000}"))
    }

    /// Waits until everything that was missed is in the copy.
    pub(super) fn complete(&mut self) {
        self.until("status", Value::Null, |status| status["complete"] == true);
    }

    /// Waits until the copy is what history holds of these conversations, so many messages in all: each message once, in its order, to the letter; and
    /// nothing waits to be sent or is shown twice.
    #[track_caller]
    pub(super) fn becomes(&mut self, server: &Server, user: &str, peers: &[&String], count: usize) {
        let listed = |list: &Value| list.as_array().expect("a list").len();
        eventually("a copy that is what history holds", TIMEOUT, || {
            // The copy is ordered by peer, as the map is.
            let expected: BTreeMap<&String, Vec<Value>> =
                peers.iter().map(|peer| (*peer, server.history(user, peer))).collect();
            let expected: Vec<Value> = expected.into_values().flatten().collect();
            let shown: usize = peers
                .iter()
                .map(|peer| listed(&self.ask("messages", peer.as_str())))
                .sum();
            let copy = self.ask("copy", Value::Null);
            (expected.len() == count && shown == count && copy == Value::from(expected)).then_some(())
        });
    }
}

fn start(argument: &Value) -> Script {
    if argument["browser"].is_object() {
        return Script::start("chat_browser.js", argument);
    }
    let script = testkit::workspace().join("server/tests/js/chat_client.js");
    Script::start_with(&script, &[&argument.to_string()], &[], &npm_package::modules())
}

/// Numbered texts.
pub(super) fn texts(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name} {number}")).collect()
}

/// The texts of a conversation as history has it, of one sender.
pub(super) fn history_of(server: &Server, sender: &str, receiver: &str) -> Vec<String> {
    let history = server.history(sender, receiver);
    let sent = history.iter().filter(|message| message["sender"] == sender);
    sent.map(|message| message["message"].as_str().expect("a text").to_owned())
        .collect()
}

/// A file of a device in a folder.
pub(super) fn file(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}
