//! Load that goes on while a test breaks things, and the audit afterwards: what was acknowledged is in history exactly
//! once and in order, and nobody heard of anything else.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};
use testkit::Server;
use testkit::node::Script;

use crate::listed;

/// Clients of the script `storm.js`, one user each, that all send to one receiver who listens.
pub(crate) struct Storm {
    script: Script,
    senders: Vec<String>,
    receiver: String,
    one_at_a_time: bool,
}

/// What the clients of a storm went through.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Messages that were acknowledged, and all that there are.
    pub(crate) acknowledged: usize,
    /// How often one was sent again because its answer was lost.
    pub(crate) resent: u64,
    /// How often one was refused, by the code of the error. Each said when to try again.
    pub(crate) refused: BTreeMap<String, u64>,
    /// The ids that the receiver heard, as they came.
    pub(crate) heard: Vec<String>,
}

impl Storm {
    /// Starts `CLIENTS` of them, which connect to `url`; `more` are further arguments of the script.
    pub(crate) fn start<const CLIENTS: usize>(server: &Server, url: &str, more: Value) -> Self {
        let senders: [String; CLIENTS] = server.new_users();
        let [receiver] = server.new_users();
        let clients: Vec<Value> = senders
            .iter()
            .map(|sender| json!({"token": server.token(sender), "receiver": receiver}))
            .collect();
        // The receiver's network is never the one that is broken.
        let listener = json!({"url": server.url(), "token": server.token(&receiver), "userId": receiver});
        let one_at_a_time = more["window"] == 1;
        let mut argument = json!({"url": url, "clients": clients, "listener": listener});
        let fields = argument.as_object_mut().expect("an object");
        fields.extend(more.as_object().cloned().unwrap_or_default());
        Self {
            script: Script::start("storm.js", &argument),
            senders: senders.into(),
            receiver,
            one_at_a_time,
        }
    }

    /// Waits until so many more messages have been acknowledged, from now on.
    pub(crate) fn more(&mut self, messages: u64) {
        self.script.tell(&Value::Null);
        let now = self.awaited("now", 0);
        self.awaited("acknowledged", now + messages);
    }

    fn awaited(&mut self, name: &str, least: u64) -> u64 {
        loop {
            let report = self.script.report().expect("the storm goes on");
            if let Some(count) = report[name].as_u64().filter(|count| *count >= least) {
                return count;
            }
        }
    }

    /// Ends it once everything is acknowledged, and audits what the server has.
    ///
    /// Order is part of that unless several messages of a client were under way when some of them were refused: those
    /// are sent again after the ones that were taken.
    pub(crate) fn finish(self, server: &Server) -> Tally {
        let mut reports = self.script.finish();
        assert_eq!(reports.pop(), Some(json!({"done": true})));
        let heard = reports.pop().expect("what was heard")["heard"].take();
        let mut tally = Tally {
            acknowledged: 0,
            resent: 0,
            refused: BTreeMap::new(),
            heard: serde_json::from_value(heard).expect("ids"),
        };
        let mut stored = HashSet::new();
        let sent = reports.iter_mut().filter(|report| report["client"].is_u64());
        let mut audited = 0;
        for (sender, report) in self.senders.iter().zip(sent) {
            let refused: BTreeMap<String, u64> = serde_json::from_value(report["refused"].take()).expect("counts");
            let mut acknowledged: Vec<(String, String)> =
                serde_json::from_value(report["sent"].take()).expect("pairs of text and id");
            acknowledged.sort_by_key(|(text, _)| number(text));
            let mut listed: Vec<(String, String)> = listed(&server.history(sender, &self.receiver))
                .into_iter()
                .map(|(text, id)| (text.trim_end_matches('.').to_owned(), id))
                .collect();
            if !refused.is_empty() && !self.one_at_a_time {
                listed.sort_by_key(|(text, _)| number(text));
            }
            // Equal lists say it all: nothing is missing, nothing came twice, and the order is that of sending.
            assert_eq!(listed, acknowledged, "of {sender}");
            tally.acknowledged += acknowledged.len();
            tally.resent += report["resent"].as_u64().expect("a count");
            for (code, count) in refused {
                *tally.refused.entry(code).or_default() += count;
            }
            stored.extend(listed.into_iter().map(|(_, id)| id));
            audited += 1;
        }
        assert_eq!(audited, self.senders.len());
        let rumours: Vec<&String> = tally.heard.iter().filter(|id| !stored.contains(*id)).collect();
        assert!(rumours.is_empty(), "heard of, but not stored: {rumours:?}");
        tally
    }
}

fn number(text: &str) -> u64 {
    text.trim_start_matches("message ").parse().expect("a number")
}
