//! `chatctl bench`: makes load, measures what a server does with it, and checks that nothing goes wrong meanwhile.
//!
//! | module | what it owns |
//! |---|---|
//! | [`cli`] | the arguments and their help |
//! | [`messages`], [`connect`], [`idle`], [`history`] | one benchmark each, from its arguments to its report |
//! | [`load`] | users in pairs who write to each other |
//! | [`crowd`] | connections that are only there |
//! | [`connection`], [`wire`], [`stamp`] | the transport, its frames, and what stands in the messages |
//! | [`ledger`] | the proof that nothing was lost, doubled or out of order |
//! | [`stats`], [`process`], [`listener`] | latencies and counters; CPU time and memory of processes, and which is the server |
//! | [`report`], [`plot`], [`progress`] | what is shown |
//! | [`fleet`], [`users`], [`limits`], [`interrupt`] | threads, tokens, open files, Ctrl-C |
//!
//! It shares the machine with the server under test, so it is built to cost little; the interactive client of
//! [`crate::client::socket`] is not used. [`crate::prove`] stands on the same transport, threads and pictures.

pub(crate) mod cli;
mod connect;
pub(crate) mod connection;
mod crowd;
pub(crate) mod fleet;
mod history;
mod idle;
pub(crate) mod interrupt;
mod ledger;
pub(crate) mod limits;
mod listener;
mod load;
mod messages;
pub(crate) mod plot;
mod process;
pub(crate) mod progress;
pub(crate) mod report;
mod stamp;
pub(crate) mod stats;
pub(crate) mod users;
pub(crate) mod wire;

use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

use self::cli::Common;
pub(crate) use self::cli::{Bench, HELP};
use self::connection::Server;
use self::fleet::Fleet;
use self::process::Watch;
use self::progress::Progress;
use self::report::Report;
use self::users::BenchUser;
use crate::client::http::Http;

/// Runs the benchmark that was asked for, against the server of `http`.
///
/// # Errors
/// If it could not be run. What was measured, good or bad, is a report, and the exit status says which.
pub(crate) fn run(http: Http, json: bool, bench: &Bench) -> anyhow::Result<ExitCode> {
    match bench {
        Bench::Messages(arguments) => finish(json, &messages::run(&Setup::new(http)?, arguments)?),
        Bench::Connect(arguments) => finish(json, &connect::run(&Setup::new(http)?, arguments)?),
        Bench::Idle(arguments) => finish(json, &idle::run(&Setup::new(http)?, arguments)?),
        Bench::History(arguments) if arguments.full => finish(json, &history::full(&Setup::new(http)?, arguments)?),
        Bench::History(arguments) => finish(json, &history::pages(&Setup::new(http)?, arguments)?),
        Bench::Fill(arguments) => finish(json, &messages::fill(&Setup::new(http)?, arguments)?),
        Bench::Plot(arguments) => {
            plot::compare(arguments)?;
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
struct Setup {
    http: Http,
    server: Server,
    /// Where the benchmark itself runs; the load has threads of its own.
    coordinator: Runtime,
}

impl Setup {
    fn new(http: Http) -> anyhow::Result<Self> {
        Ok(Self {
            server: Server::of(&http)?,
            http,
            coordinator: Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// The users and the threads that carry them.
    fn load(&self, common: &Common, users: usize) -> anyhow::Result<(Vec<BenchUser>, Fleet)> {
        // One more for the probe.
        limits::allow_connections(users + 1)?;
        let progress = Progress::begin(format!("finding {users} users"));
        let users = users::prepare(&progress.under(&self.http), &common.prefix, users)?;
        drop(progress);
        Ok((users, Fleet::start(common.threads)?))
    }

    /// The processes that are watched.
    fn watch(&self, common: &Common) -> anyhow::Result<Watch> {
        Ok(Watch::new(&listener::identified(&common.pids, self.http.url())?)?)
    }
}
