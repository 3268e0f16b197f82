//! `chatctl rebuild`: all inboxes anew, and how far that is.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use chatctl_client::ClientError;
use chatctl_client::http::Building;
use chatctl_terminal::output::{self, GOOD};
use indicatif::{ProgressBar, ProgressStyle};

use super::Context;

/// The pause between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Without a terminal a line is printed this often.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// For this long the server may be out of reach.
const OUTAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// Begins the building and follows it to its end.
#[expect(
    clippy::disallowed_methods,
    reason = "a command at a terminal has nothing else to do until then"
)]
pub(super) fn run(context: &Context) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut state = context.http.rebuild()?;
    let style =
        ProgressStyle::with_template("{bar:40} {pos}/{len} messages, {eta} left").expect("the template is sound");
    let bar = ProgressBar::new(state.total).with_style(style);
    let mut shown = None;
    loop {
        let done = state.ready && !state.building;
        bar.set_length(state.total);
        bar.set_position(state.done);
        if context.json {
            if shown.is_none_or(|(before, _)| before != state) {
                output::json(&state)?;
                shown = Some((state, Instant::now()));
            }
        } else if bar.is_hidden() && !done && shown.is_none_or(|(_, at)| at.elapsed() >= LINE_INTERVAL) {
            writeln!(anstream::stdout(), "{} of {} messages", state.done, state.total)?;
            shown = Some((state, Instant::now()));
        }
        if done {
            break;
        }
        thread::sleep(POLL_INTERVAL);
        state = poll(context)?;
    }
    bar.finish_and_clear();
    if !context.json {
        let seconds = begun.elapsed().as_secs_f64();
        writeln!(
            anstream::stdout(),
            "{GOOD}rebuilt{GOOD:#} the inboxes from {} messages in {seconds:.1} s",
            // What was counted to: more can have come since it began.
            state.done
        )?;
    }
    Ok(())
}

/// How far it is. A server that restarts meanwhile goes on by itself.
#[expect(
    clippy::disallowed_methods,
    reason = "a command at a terminal has nothing else to do until then"
)]
fn poll(context: &Context) -> Result<Building, ClientError> {
    let deadline = Instant::now() + OUTAGE_TIMEOUT;
    loop {
        match context.http.building() {
            Err(ClientError::Unreachable { .. } | ClientError::Silent { .. }) if Instant::now() < deadline => {
                thread::sleep(POLL_INTERVAL)
            }
            answer => return answer,
        }
    }
}
