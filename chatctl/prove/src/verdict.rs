//! What is said at the end: as text, as JSON, and to the report.

use std::io::{self, Write};

use chatctl_load::fault::Fault;
use chatctl_load::report::{self, Report, line};
use chatctl_load::stats::Summary;
use chatctl_terminal::output::{self, BAD, DIM, GOOD};
use indicatif::HumanCount;
use serde::Serialize;
use shared::MessageId;
use uuid::Uuid;

use super::about::{About, Checked};
use super::cli::Prove;
use super::measurements::{Counts, Measurements, Second};
use super::record::UserRecord;
use super::violation::{Example, Findings, Kind};

/// Unacknowledged messages that are listed.
const MAX_LISTED: usize = 20;
/// Examples of each kind in the text; the report has more.
const MAX_SHOWN: usize = 3;

/// What a run comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// Nothing was violated.
    Pass,
    /// Something was.
    Fail,
    /// Nothing was, but the run was not what it was meant to be.
    Unproven,
}

impl Outcome {
    /// As it is shouted.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Unproven => "UNPROVEN",
        }
    }
}

/// What the run itself knows.
#[derive(Debug)]
pub(crate) struct Seen {
    /// When and against what it was.
    pub(crate) about: About,
    /// On how much each promise was checked.
    pub(crate) checked: Vec<Checked>,
    /// The seed.
    pub(crate) seed: u64,
    /// What the users' names begin with.
    pub(crate) prefix: String,
    /// When the users began and ended to write, in seconds of the run.
    pub(crate) writing: (f64, f64),
    /// Whether it was cut short.
    pub(crate) interrupted: bool,
    /// Second by second.
    pub(crate) seconds: Vec<Second>,
    /// What was broken.
    pub(crate) faults: Vec<Fault>,
    /// Why it shows less than it was meant to.
    pub(crate) unproven: Vec<String>,
}

/// All that is said.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    /// In a word.
    pub(crate) verdict: Outcome,
    /// When and against what it was.
    #[serde(flatten)]
    pub(crate) about: About,
    /// On how much each promise was checked; nothing if the server could not be asked.
    pub(crate) checked: Vec<Checked>,
    /// What repeats the plan.
    pub(crate) seed: u64,
    /// What the users' names begin with.
    pub(crate) prefix: String,
    /// Users.
    pub(crate) users: usize,
    /// Devices of each.
    pub(crate) devices: usize,
    /// New messages a second that were aimed at.
    pub(crate) rate: f64,
    /// The fault command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kill: Option<String>,
    /// When the users began to write, in seconds of the run.
    pub(crate) begin: f64,
    /// When they ended.
    pub(crate) end: f64,
    /// Whether Ctrl-C cut it short.
    pub(crate) interrupted: bool,
    /// Why it shows less than it was meant to.
    pub(crate) unproven: Vec<String>,
    /// How much happened.
    pub(crate) counts: Counts,
    /// Messages that were never acknowledged: no fault, they may be stored or not.
    pub(crate) unacknowledged: u64,
    /// Their `clientMessageId`s, the first of them.
    pub(crate) unacknowledged_ids: Vec<Uuid>,
    /// The longest time without an acknowledgement, in milliseconds.
    pub(crate) longest_pause_ms: f64,
    /// From the first sending to the acknowledgement.
    pub(crate) ack: Option<Summary>,
    /// From the first sending to the delivery.
    pub(crate) delivery: Option<Summary>,
    /// From connecting until all that was missed had come.
    pub(crate) catch_up: Option<Summary>,
    /// What was found.
    pub(crate) violations: Vec<Violation>,
    /// What was broken.
    pub(crate) faults: Vec<Fault>,
    /// Second by second.
    pub(crate) timeline: Vec<Second>,
    /// The file of the report.
    pub(crate) report: String,
}

/// A kind of violation that was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Violation {
    /// Which.
    pub(crate) kind: Kind,
    /// For people.
    pub(crate) meaning: &'static str,
    /// How often.
    pub(crate) count: u64,
    /// Some of them.
    pub(crate) examples: Vec<Example>,
}

impl Verdict {
    /// Sums up.
    pub(super) fn new(
        arguments: &Prove,
        seen: Seen,
        measurements: &Measurements,
        users: &[UserRecord],
        findings: Findings,
    ) -> Self {
        let sent = users.iter().flat_map(|user| &user.sent);
        let open: Vec<Uuid> = sent
            .filter(|sending| sending.acked.is_none())
            .map(|sending| sending.key)
            .collect();
        let verdict = match (findings.is_clean(), seen.unproven.is_empty()) {
            (false, _) => Outcome::Fail,
            (true, false) => Outcome::Unproven,
            (true, true) => Outcome::Pass,
        };
        let violations = findings.0.into_iter().map(|(kind, found)| Violation {
            kind,
            meaning: kind.meaning(),
            count: found.count,
            examples: found.examples,
        });
        Self {
            verdict,
            about: seen.about,
            checked: seen.checked,
            seed: seen.seed,
            prefix: seen.prefix,
            users: arguments.users,
            devices: arguments.devices,
            rate: arguments.rate,
            kill: arguments.kill.clone(),
            begin: seen.writing.0,
            end: seen.writing.1,
            interrupted: seen.interrupted,
            unproven: seen.unproven,
            counts: measurements.counts.clone(),
            unacknowledged: open.len() as u64,
            unacknowledged_ids: open.into_iter().take(MAX_LISTED).collect(),
            longest_pause_ms: measurements.longest_pause().as_secs_f64() * 1_000.0,
            ack: measurements.ack.summary(),
            delivery: measurements.delivery.summary(),
            catch_up: measurements.catch_up.summary(),
            violations: violations.collect(),
            faults: seen.faults,
            timeline: seen.seconds,
            report: String::new(),
        }
    }

    /// Numbers with their names, for the text and the report.
    pub(crate) fn figures(&self) -> Vec<(&'static str, String)> {
        let counts = &self.counts;
        let count = |number: u64| HumanCount(number).to_string();
        let (open, failed) = (self.unacknowledged, counts.connects_failed);
        vec![
            (
                "messages",
                format!(
                    "{} acknowledged, {} never answered",
                    count(counts.acknowledged),
                    count(open)
                ),
            ),
            (
                "repeated",
                format!(
                    "{} unanswered and {} acknowledged ones; {} answers said duplicate",
                    count(counts.retried),
                    count(counts.resent),
                    count(counts.duplicates)
                ),
            ),
            (
                "connections",
                format!(
                    "{}; {} cut off, {} with a crash; {} broken, {} silent; {} tries failed",
                    count(counts.connects),
                    count(counts.cuts),
                    count(counts.crashes),
                    count(counts.disconnects),
                    count(counts.timeouts),
                    count(failed)
                ),
            ),
            (
                "caught up",
                format!(
                    "{} times, {} pages asked for",
                    count(counts.catch_ups),
                    count(counts.pages)
                ),
            ),
            (
                "heard",
                format!(
                    "{} messages by all devices, {} of them again",
                    count(counts.heard),
                    count(counts.twice)
                ),
            ),
            (
                "marked",
                format!(
                    "{} times, {} changes of settings",
                    count(counts.marks),
                    count(counts.settings)
                ),
            ),
            (
                "faults",
                format!(
                    "{}; the longest pause of acknowledgements was {:.1} s",
                    self.faults.len(),
                    self.longest_pause_ms / 1_000.0
                ),
            ),
        ]
    }

    /// The word and what goes with it.
    pub(crate) fn headline(&self) -> String {
        let found: u64 = self.violations.iter().map(|violation| violation.count).sum();
        match self.verdict {
            Outcome::Pass => "every promise was kept".to_owned(),
            Outcome::Fail => format!("{} violations of {} kinds", HumanCount(found), self.violations.len()),
            Outcome::Unproven => self.unproven.join("; "),
        }
    }
}

impl Report for Verdict {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let people = format!(
            "{} users with {} devices each, named {}-…",
            self.users, self.devices, self.prefix
        );
        line(out, "users", people)?;
        for (name, figure) in self.figures() {
            line(out, name, figure)?;
        }
        for (code, count) in &self.counts.errors {
            line(out, "", format_args!("{} answers {code}", HumanCount(*count)))?;
        }
        let rows = [
            ("ack", self.ack.as_ref()),
            ("delivery", self.delivery.as_ref()),
            ("catch-up", self.catch_up.as_ref()),
        ];
        report::latencies(out, &rows)?;
        for Checked { promise, items, of } in &self.checked {
            line(out, "checked", format_args!("{promise}: {} {of}", HumanCount(*items)))?;
        }
        for violation in &self.violations {
            let Violation {
                kind,
                meaning,
                count,
                examples,
            } = violation;
            writeln!(
                out,
                "{BAD}{}{BAD:#}  {} times: {meaning}",
                kind.name(),
                HumanCount(*count)
            )?;
            for example in examples.iter().take(MAX_SHOWN) {
                writeln!(out, "  {}", words(example))?;
            }
            if *count > MAX_SHOWN as u64 {
                writeln!(out, "  {DIM}…{DIM:#}")?;
            }
        }
        if self.verdict == Outcome::Fail {
            for why in &self.unproven {
                line(out, "besides", why)?;
            }
        }
        let About { date, version, .. } = &self.about;
        line(out, "server", &self.about.address)?;
        line(out, "run", format_args!("{date}, chatctl {version}"))?;
        line(out, "report", &self.report)?;
        line(out, "seed", self.seed)?;
        let style = if self.passed() { GOOD } else { BAD };
        writeln!(out, "{style}{}{style:#}  {}", self.verdict.word(), self.headline())
    }

    fn passed(&self) -> bool {
        self.verdict == Outcome::Pass
    }
}

/// An example on one line.
pub(crate) fn words(example: &Example) -> String {
    let Example {
        what,
        user,
        device,
        peer,
        messages,
        client_message_id,
    } = example;
    let mut parts = Vec::new();
    if let Some(user) = user {
        parts.push(format!("user {user}"));
    }
    if let Some(device) = device {
        parts.push(format!("device {device}"));
    }
    if let Some(peer) = peer {
        parts.push(format!("with {peer}"));
    }
    if !messages.is_empty() {
        let ids: Vec<String> = messages.iter().map(MessageId::to_string).collect();
        parts.push(format!("message {}", ids.join(", ")));
    }
    if let Some(key) = client_message_id {
        parts.push(format!("clientMessageId {key}"));
    }
    // Some of it comes from the server.
    output::one_line(&format!("{what} ({})", parts.join(", ")))
}
