//! `chatctl bench`: makes load, measures what a server does with it, and checks that nothing goes wrong meanwhile.
//!
//! | module | what it owns |
//! |---|---|
//! | [`cli`] | the arguments and their help |
//! | [`messages`], [`connect`], [`flaky`], [`idle`], [`history`] | one benchmark each (`jitter` and `deploy` are one file), from its arguments to its report |
//! | [`compare`] | saved reports in one picture |
//!
//! The load itself, and how it is measured, is [`chatctl_load`].

mod cli;
mod compare;
mod connect;
mod flaky;
mod history;
mod idle;
mod messages;

use std::process::ExitCode;

use chatctl_client::http::Http;
use chatctl_load::process::ProcessMonitor;
use chatctl_load::progress::Progress;
use chatctl_load::report::Report;
use chatctl_load::runtime_pool::RuntimePool;
use chatctl_load::server::Server;
use chatctl_load::users::{self, BenchUser};
use chatctl_load::{limits, listener};
use tokio::runtime::{Builder, Runtime};

use self::cli::Common;
pub use self::cli::{Bench, HELP};

/// Runs the benchmark that was asked for, against the server of `http`.
///
/// # Errors
/// If it could not be run. What was measured, good or bad, is a report, and the exit status says which.
pub fn run(http: Http, json: bool, bench: &Bench) -> anyhow::Result<ExitCode> {
    match bench {
        Bench::Messages(arguments) => finish(json, &messages::run(&BenchContext::new(http)?, arguments)?),
        Bench::Connect(arguments) => finish(json, &connect::run(&BenchContext::new(http)?, arguments)?),
        Bench::Jitter(arguments) => finish(json, &flaky::jitter(&BenchContext::new(http)?, arguments)?),
        Bench::Deploy(arguments) => finish(json, &flaky::deploy(&BenchContext::new(http)?, arguments)?),
        Bench::Idle(arguments) => finish(json, &idle::run(&BenchContext::new(http)?, arguments)?),
        Bench::History(arguments) if arguments.full => {
            finish(json, &history::full(&BenchContext::new(http)?, arguments)?)
        }
        Bench::History(arguments) => finish(json, &history::pages(&BenchContext::new(http)?, arguments)?),
        Bench::Fill(arguments) => finish(json, &messages::fill(&BenchContext::new(http)?, arguments)?),
        Bench::Plot(arguments) => {
            compare::plot(arguments)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn finish(json: bool, report: &impl Report) -> anyhow::Result<ExitCode> {
    report.print(json)?;
    Ok(if report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What every benchmark starts from.
#[derive(Debug)]
struct BenchContext {
    http: Http,
    server: Server,
    /// Where the benchmark itself runs; the load has threads of its own.
    coordinator: Runtime,
}

impl BenchContext {
    fn new(http: Http) -> anyhow::Result<Self> {
        Ok(Self {
            server: Server::of(&http)?,
            http,
            coordinator: Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// The users and the threads that carry them.
    fn load(&self, common: &Common, users: usize) -> anyhow::Result<(Vec<BenchUser>, RuntimePool)> {
        // One more for the probe.
        limits::allow_connections(users + 1)?;
        let progress = Progress::begin(format!("finding {users} users"));
        let users = users::prepare(&progress.under(&self.http), &common.prefix, users)?;
        drop(progress);
        Ok((users, RuntimePool::start(common.threads)?))
    }

    /// The processes that are watched.
    fn watch(&self, common: &Common) -> anyhow::Result<ProcessMonitor> {
        Ok(ProcessMonitor::new(&listener::identified(
            &common.pids,
            self.http.url(),
        )?)?)
    }
}
