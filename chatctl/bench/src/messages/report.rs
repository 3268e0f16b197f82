//! The result of a run of messages: its numbers, and how they look.

use std::io::{self, Write};

use chatctl_load::hostile::HostileReport;
use chatctl_load::ledger::Tally;
use chatctl_load::process::ProcessReport;
use chatctl_load::report::{self, Report, three_digits};
use chatctl_load::stats::{Counters, Summary};
use indicatif::HumanCount;
use serde::Serialize;

/// The code of what is done too often.
const RATE_LIMITED: &str = "rate_limited";

/// What is said where the limits of the server were measured.
const LIMITED: &str =
    "the server limits how often a user may send, so this measures that limit; start the server with RATE_LIMITS=off";

/// The result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessagesReport {
    pub(super) benchmark: &'static str,
    pub(super) server: String,
    pub(super) users: usize,
    pub(super) in_flight: Option<usize>,
    pub(super) planned_rate: Option<f64>,
    pub(super) size_bytes: usize,
    pub(super) client_ids: bool,
    /// Whether the server acknowledges.
    pub(super) acks: bool,
    /// Length of the window.
    pub(super) seconds: f64,
    /// Acknowledged (if the server does that) and delivered.
    pub(super) messages_per_second: f64,
    pub(super) acknowledged_per_second: f64,
    pub(super) delivered_per_second: f64,
    pub(super) ack: Option<Summary>,
    pub(super) delivery: Option<Summary>,
    /// Until the receiver was told how the conversation stands with it; none if the server tells nothing of the kind.
    pub(super) told: Option<Summary>,
    /// How late the messages of an open loop were sent.
    pub(super) lag: Option<Summary>,
    #[serde(flatten)]
    pub(super) counters: Counters,
    #[serde(flatten)]
    pub(super) tally: Tally,
    pub(super) processes: Vec<ProcessReport>,
    /// What the hostile clients did up to the end of the window, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hostile: Option<HostileReport>,
    pub(super) interrupted: bool,
    /// What happened if all connections ended before the run did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cut_off: Option<String>,
    /// Why the run failed, where the numbers of [`Tally`] do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
}

/// Why a run failed in which no message was wrong: it was cut off, or nothing was `complete` in its window.
pub(super) fn failure(cut_off: Option<&str>, complete: u64, counters: &Counters) -> Option<String> {
    if let Some(cut_off) = cut_off {
        return Some(cut_off.to_owned());
    }
    (complete == 0).then(|| match counters.errors.iter().max_by_key(|(_, number)| **number) {
        Some((code, _)) => format!(
            "nothing was stored in the window, {} refused, most with {code}",
            HumanCount(counters.refused)
        ),
        None => "nothing was stored in the window".to_owned(),
    })
}

impl MessagesReport {
    /// What was run, in one line.
    pub(super) fn title(&self) -> String {
        let arrivals = match (self.planned_rate, self.in_flight) {
            (Some(rate), _) => format!("open loop at {}/s", HumanCount(rate as u64)),
            (None, in_flight) => format!("closed loop, {} in flight each", in_flight.unwrap_or_default()),
        };
        let ids = if self.client_ids { " with client ids" } else { "" };
        format!(
            "{} users, {arrivals}, {} bytes{ids}",
            HumanCount(self.users as u64),
            self.size_bytes
        )
    }
}

impl Report for MessagesReport {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let count = |number| HumanCount(number).to_string();
        let Self { counters, tally, .. } = self;
        let interrupted = if self.interrupted { ", interrupted" } else { "" };
        report::line(out, self.benchmark, format_args!("{} at {}", self.title(), self.server))?;
        report::line(
            out,
            "rate",
            format_args!(
                "{}/s over {:.2} s{interrupted}",
                three_digits(self.messages_per_second),
                self.seconds
            ),
        )?;
        if !self.acks {
            report::line(
                out,
                "",
                "the server acknowledges nothing: messages count when they are delivered",
            )?;
        }
        let rows = [
            ("acknowledged", self.ack.as_ref()),
            ("delivered", self.delivery.as_ref()),
            ("told", self.told.as_ref()),
            ("sent late", self.lag.as_ref()),
        ];
        report::latencies(out, &rows)?;
        report::processes(out, "message", &self.processes)?;
        let sums = format!(
            "{} sent, {} acknowledged, {} delivered, {} refused, {} repeated, {} foreign events",
            count(counters.sent),
            count(counters.acknowledged),
            count(counters.delivered),
            count(counters.refused),
            count(counters.retried),
            count(counters.foreign)
        );
        report::line(out, "whole run", sums)?;
        for (code, number) in &counters.errors {
            report::line(out, "errors", format_args!("{code}: {}", count(*number)))?;
        }
        if counters.errors.contains_key(RATE_LIMITED) {
            report::line(out, "limited", LIMITED)?;
        }
        if let Some(hostile) = &self.hostile {
            let did = format!(
                "{} clients: {} messages flooded, {} refused, {} answers unread, {} wrong tokens, ended {} times",
                count(hostile.clients as u64),
                count(hostile.flooded),
                count(hostile.refused),
                count(hostile.unread),
                count(hostile.wrong_tokens),
                count(hostile.ended)
            );
            report::line(out, "hostile", did)?;
        }
        if tally.refused_but_delivered > 0 {
            report::line(
                out,
                "errors",
                format_args!("refused but delivered: {}", count(tally.refused_but_delivered)),
            )?;
        }
        // An acknowledged message is in history, also if the end of the server came before its delivery.
        let lost = match &self.cut_off {
            Some(_) => "acknowledged and not delivered any more",
            None => "lost",
        };
        let what = format!(
            "{} {lost}, {} duplicated, {} out of order, {} unanswered, {} answered twice",
            count(tally.lost),
            count(tally.duplicated),
            count(tally.out_of_order),
            count(tally.unanswered),
            count(counters.surplus_answers)
        );
        if let Some(cut_off) = &self.cut_off {
            report::line(
                out,
                "ended",
                format_args!("{cut_off}; the run is over, start the server and measure again"),
            )?;
        }
        match &self.failure {
            Some(failure) => report::verdict(out, false, format_args!("{failure}: {what}")),
            None => report::verdict(out, self.passed(), what),
        }
    }

    fn passed(&self) -> bool {
        self.failure.is_none() && self.tally.is_clean() && self.counters.surplus_answers == 0
    }
}
