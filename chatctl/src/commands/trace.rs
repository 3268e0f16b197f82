//! `chatctl trace`: what became of a message, as every server remembers it and as it is stored. It never shows the text.

use std::io::{self, Write};
use std::process::ExitCode;

use chatctl_client::http::Http;
use chatctl_terminal::output::{self, BAD, DIM, GOOD};
use serde::Serialize;
use shared::Timestamp;
use shared::trace::{StoredMessage, Trace, TraceEvent, TraceStep};

use super::Context;

/// What is said of a message, and why it did not come further.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// What each server answered.
    nodes: Vec<Trace>,
    /// Why it is not delivered, or not read, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}

/// Asks all of these servers. The exit status is 1 if nobody knows the message.
pub(super) fn run(context: &Context, nodes: &[Http], name: &str) -> anyhow::Result<ExitCode> {
    let mut traces: Vec<Trace> = nodes.iter().map(|node| node.trace(name)).collect::<Result<_, _>>()?;
    // One of them may know a message by its clientMessageId that is stored nowhere; the others can be asked by its id.
    let id = traces.iter().find_map(|trace| trace.message_id);
    if let Some(id) = id {
        for (node, trace) in nodes.iter().zip(&mut traces) {
            if trace.message_id.is_none() {
                *trace = node.trace(&id.to_string())?;
            }
        }
    }
    let is_known = traces
        .iter()
        .any(|trace| trace.stored.is_some() || !trace.steps.is_empty());
    let report = Report {
        why: why(&traces),
        nodes: traces,
    };
    match context.json {
        true => output::json(&report)?,
        false => print(&report)?,
    }
    Ok(if is_known { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Why a message did not come further than it did; none if it was read.
fn why(traces: &[Trace]) -> Option<&'static str> {
    let steps = || traces.iter().flat_map(|trace| &trace.steps);
    let has = |wanted: TraceEvent| steps().any(|step| step.what == wanted);
    let Some(stored) = traces.iter().find_map(|trace| trace.stored.as_ref()) else {
        return Some(match () {
            () if traces.iter().any(|trace| trace.store_error.is_some()) => {
                "the store could not be asked whether it has the message"
            }
            () if has(TraceEvent::Refused) => {
                "it was refused before it was stored, and its sender was told so: too much waits, or the server stops"
            }
            () if has(TraceEvent::NotCommitted) => {
                "it was not stored, and its sender was told why; the log has failures of the store"
            }
            () if steps().next().is_some() => "it is not stored yet: it waits for the store",
            () if traces.iter().any(|trace| trace.remembers_since.is_some()) => {
                "it is not stored, and no server remembers it: it never came, or was refused longer ago than they remember"
            }
            () => "it is not stored, and no server has seen it: it never came",
        });
    };
    if stored.read_at.is_some() {
        return None;
    }
    if stored.delivered_at.is_some() {
        return Some("it was received; nobody has marked it as read");
    }
    Some(match () {
        () if has(TraceEvent::Sent) => {
            "it was sent to the receiver's devices; none has said that it was received (mark_delivered), or receipts come later"
        }
        () if has(TraceEvent::Dropped) => {
            "too much waited for the receiver's connection: its client gets the message when it catches up"
        }
        () if has(TraceEvent::NobodyHere) || has(TraceEvent::NotConnected) => {
            "the receiver had no connection: the message comes with catching up when they connect"
        }
        () => "it is stored; what was sent to whom is longer ago than the servers remember",
    })
}

fn print(report: &Report) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    let id = report.nodes.iter().find_map(|trace| trace.message_id);
    if let Some(id) = id {
        writeln!(out, "message      {id}")?;
    }
    match report.nodes.iter().find_map(|trace| trace.stored.as_ref()) {
        Some(stored) => print_stored(&mut out, stored)?,
        None => writeln!(out, "{BAD}not stored{BAD:#}")?,
    }
    for trace in &report.nodes {
        writeln!(out, "{DIM}{}{DIM:#}", output::one_line(&trace.node))?;
        for step in &trace.steps {
            print_step(&mut out, step)?;
        }
        if trace.steps.is_empty() {
            match trace.remembers_since {
                Some(since) => writeln!(out, "  nothing since {}", time(since))?,
                None => writeln!(out, "  nothing")?,
            }
        }
        if trace.more {
            writeln!(out, "  and more")?;
        }
        if let Some(error) = &trace.store_error {
            writeln!(out, "  {BAD}store:{BAD:#} {}", output::one_line(error))?;
        }
    }
    if let Some(why) = report.why {
        writeln!(out, "{why}")?;
    }
    out.flush()
}

fn print_stored(out: &mut impl Write, stored: &StoredMessage) -> io::Result<()> {
    let who = |id: Option<shared::UserId>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    writeln!(out, "from, to     {}  {}", who(stored.sender), who(stored.receiver))?;
    for (name, at) in [
        ("stored", stored.created_at),
        ("delivered", stored.delivered_at),
        ("read", stored.read_at),
    ] {
        match at {
            Some(at) => writeln!(out, "{name:<12} {GOOD}{}{GOOD:#}", time(at))?,
            None => writeln!(out, "{name:<12} {DIM}no{DIM:#}")?,
        }
    }
    Ok(())
}

fn print_step(out: &mut impl Write, step: &TraceStep) -> io::Result<()> {
    let (words, is_good) = match step.what {
        TraceEvent::Received => ("received from its sender", true),
        TraceEvent::Refused => ("refused: too much waits, or the server stops", false),
        TraceEvent::Repeated => ("sent again, and stored only once", true),
        TraceEvent::Committed => ("committed, and acknowledged", true),
        TraceEvent::NotCommitted => ("not committed", false),
        TraceEvent::Sent => ("sent to the receiver", true),
        TraceEvent::SentToSender => ("sent to another device of the sender", true),
        TraceEvent::Dropped => ("not sent, too much waited", false),
        TraceEvent::NotConnected => ("not sent, the connection was being made or ended", false),
        TraceEvent::NobodyHere => ("the receiver has no connection here", false),
    };
    let style = if is_good { GOOD } else { BAD };
    let connection = step.connection.as_deref().map(output::one_line).unwrap_or_default();
    writeln!(
        out,
        "  {DIM}{}{DIM:#}  {style}{words}{style:#}  {connection}",
        time(step.at)
    )
}

fn time(at: Timestamp) -> String {
    output::local(at).strftime("%F %T%.3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(steps: &[TraceEvent], stored: Option<StoredMessage>) -> Trace {
        let step = |what: &TraceEvent| TraceStep {
            at: Timestamp::from_millis(0),
            what: *what,
            connection: None,
        };
        Trace {
            node: "node".to_owned(),
            message_id: None,
            steps: steps.iter().map(step).collect(),
            more: false,
            remembers_since: None,
            stored,
            store_error: None,
        }
    }

    #[test]
    fn the_reason_is_of_the_step_after_the_last() {
        let stored = |delivered: bool, read: bool| {
            let at = Timestamp::from_millis(1);
            Some(StoredMessage {
                sender: None,
                receiver: None,
                created_at: Some(at),
                delivered_at: delivered.then_some(at),
                read_at: read.then_some(at),
            })
        };
        use TraceEvent::{NobodyHere, NotCommitted, Received, Refused, Sent};
        for (steps, state, words) in [
            (&[][..], None, "never came"),
            (&[Received], None, "waits"),
            (&[Received, Refused], None, "refused"),
            (&[Received, NotCommitted], None, "not stored"),
            (&[Sent], stored(false, false), "mark_delivered"),
            (&[NobodyHere], stored(false, false), "no connection"),
            (&[], stored(false, false), "longer ago"),
            (&[Sent], stored(true, false), "marked it as read"),
        ] {
            let why = why(&[trace(steps, state)]).expect("a reason");
            assert!(why.contains(words), "{words}: {why}");
        }
        assert_eq!(why(&[trace(&[Sent], stored(true, true))]), None);
    }
}
