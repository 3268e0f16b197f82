//! `chatctl prove`: many users with several devices write, read, leave and come back while the server is broken on
//! purpose; then everything that was seen is compared with what the server has.
//!
//! | module | what it owns |
//! |---|---|
//! | [`cli`] | the arguments and their help |
//! | [`plan`] | what the users mean to do, from the seed |
//! | [`run`](mod@run) | the phases of a run, from its users to what was seen |
//! | [`device`], [`message_copy`], [`wire`] | one device: its connections, its copy, its frames |
//! | [`virtual_user`] | what the devices of a user share: what is not answered yet |
//! | [`document`], [`record`], [`server_state`] | one message; what was seen; what the server says in the end |
//! | [`audit`], [`violation`] | the comparison, and what it can find |
//! | [`measurements`], [`verdict`], [`report`] | what is counted; what is said at the end; the report |
//! | [`about`] | when and against what it was; on how much each promise was checked |
//!
//! The transport, threads, latencies, curves and the command that breaks something are those of [`chatctl_load`].

mod about;
mod audit;
mod cli;
mod device;
mod document;
mod measurements;
mod message_copy;
mod plan;
mod record;
mod report;
mod run;
mod server_state;
mod tokens;
mod verdict;
mod violation;
mod virtual_user;
mod wire;

use std::process::ExitCode;

use anyhow::Context as _;
use chatctl_client::http::Http;
use chatctl_load::report::Report as _;

pub use self::cli::{HELP, Prove};

/// Runs the proof against these nodes of one deployment, writes the report, and prints the verdict.
///
/// # Errors
/// If it could not be begun, or the report can't be written. A bad verdict is none: the exit status tells.
pub fn run(nodes: &[Http], json: bool, arguments: &Prove) -> anyhow::Result<ExitCode> {
    let html = arguments.html();
    if let Some(folder) = html.parent() {
        // A run that can't be written down is better not begun.
        std::fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    }
    let mut verdict = run::run(nodes, arguments)?;
    verdict.report = html.display().to_string();
    report::write(&verdict, &html)?;
    verdict.print(json)?;
    Ok(if verdict.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
