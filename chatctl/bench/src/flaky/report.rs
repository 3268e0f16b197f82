//! What `bench jitter` and `bench deploy` found, one server beside the other.

use std::io::{self, Write};

use chatctl_load::fault::Fault;
use chatctl_load::flaky_load::FlakyResults;
use chatctl_load::process::ProcessReport;
use chatctl_load::report::{self, Report};
use chatctl_terminal::output::{BAD, DIM};
use indicatif::HumanCount;
use serde::Serialize;

/// Width of a column of numbers.
const COLUMNS: usize = 14;
/// Width of what stands before them.
const LABEL_COLUMNS: usize = 16;
/// Reasons of trouble that are shown; the JSON has all.
const MAX_SHOWN: usize = 5;

/// What was found of one server.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerReport {
    /// `server`, or `stock`.
    pub(super) name: &'static str,
    pub(super) server: String,
    #[serde(flatten)]
    pub(super) results: FlakyResults,
    /// Runs of the command that restarts it.
    pub(super) restarts: Vec<Fault>,
    /// Why the run does not show what it was meant to.
    pub(super) failure: Option<String>,
    pub(super) processes: Vec<ProcessReport>,
    pub(super) interrupted: bool,
}

/// The result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FlakyReport {
    pub(super) benchmark: &'static str,
    #[serde(skip)]
    pub(super) title: String,
    pub(super) users: usize,
    /// Messages a second of each user.
    pub(super) rate: f64,
    /// The server of `--url`, then that of `--stock`.
    pub(super) servers: Vec<ServerReport>,
}

/// A row: its name, its number, and whether any other number than 0 is a fault.
type Row = (&'static str, fn(&FlakyResults) -> u64, bool);

const ROWS: &[Row] = &[
    ("messages", |results| results.messages, false),
    ("delivered", |results| results.delivered, false),
    ("lost", |results| results.lost, true),
    ("duplicated", |results| results.duplicated, true),
    ("unanswered", |results| results.unanswered, true),
    ("never returned", |results| results.never_returned, true),
    ("cut off", |results| results.cuts, false),
    ("came back", |results| results.returns, false),
    ("sent again", |results| results.resent, false),
];

impl Report for FlakyReport {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        report::line(out, self.benchmark, &self.title)?;
        write!(out, "{DIM}{:<LABEL_COLUMNS$}", "")?;
        for one in &self.servers {
            write!(out, "{:>COLUMNS$}", one.name)?;
        }
        writeln!(out, "{DIM:#}")?;
        for (name, number, is_fault) in ROWS {
            write!(out, "{name:<LABEL_COLUMNS$}")?;
            for one in &self.servers {
                let number = number(&one.results);
                let text = HumanCount(number).to_string();
                if *is_fault && number > 0 {
                    write!(out, "{BAD}{text:>COLUMNS$}{BAD:#}")?;
                } else {
                    write!(out, "{text:>COLUMNS$}")?;
                }
            }
            writeln!(out)?;
        }
        write!(out, "{:<LABEL_COLUMNS$}", "share delivered")?;
        for one in &self.servers {
            write!(out, "{:>COLUMNS$}", share(&one.results))?;
        }
        writeln!(out)?;
        for one in &self.servers {
            writeln!(out, "{DIM}{} at {}{DIM:#}", one.name, one.server)?;
            let rows = [
                ("caught up", one.results.caught_up.as_ref()),
                ("away", one.results.away.as_ref()),
            ];
            report::latencies(out, &rows)?;
            if !one.restarts.is_empty() {
                let took = one.restarts.iter().filter_map(|fault| Some(fault.end? - fault.begin));
                let took: Vec<String> = took.map(|seconds| format!("{seconds:.2} s")).collect();
                report::line(out, "restarts", took.join(", "))?;
            }
            if !one.processes.is_empty() {
                report::processes(out, "message", &one.processes)?;
            }
            for (reason, count) in one.results.errors.iter().take(MAX_SHOWN) {
                report::line(out, "trouble", format_args!("{}: {reason:.120}", HumanCount(*count)))?;
            }
            if let Some(failure) = &one.failure {
                report::line(out, "failed", failure)?;
            }
        }
        let Some(ours) = self.servers.first() else {
            return Ok(());
        };
        let p99 = ours
            .results
            .caught_up
            .as_ref()
            .map_or(0.0, |caught_up| caught_up.p99_ms);
        let what = format!(
            "{} delivered, p99 of catching up {} ms",
            share(&ours.results),
            report::three_digits(p99)
        );
        report::verdict(out, self.passed(), what)
    }

    /// What a stock server does is for comparison; that it could be measured is asked of both.
    fn passed(&self) -> bool {
        let ours = self
            .servers
            .first()
            .is_some_and(|ours| ours.results.is_clean() && ours.results.returns > 0);
        ours && self.servers.iter().all(|one| one.failure.is_none())
    }
}

/// The share of the messages that were delivered, rounded down: 100 % is all of them.
fn share(results: &FlakyResults) -> String {
    let percent = results.delivered as f64 / results.messages.max(1) as f64 * 100.0;
    format!("{:.3} %", (percent * 1_000.0).floor() / 1_000.0)
}
