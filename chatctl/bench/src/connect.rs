//! `bench connect`: how fast users connect, how fast all are back after they were dropped together, and what others
//! notice of it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use chatctl_load::idle_connections::{ConnectProgress, ConnectResults, IdleConnections};
use chatctl_load::interrupt_counter::InterruptCounter;
use chatctl_load::ledger::Tally;
use chatctl_load::message_load::{self, ArrivalModel, MessageLoad, Workload};
use chatctl_load::process::{ProcessMonitor, ProcessReport};
use chatctl_load::progress::Progress;
use chatctl_load::report::{self, Report, three_digits};
use chatctl_load::runtime_pool::RuntimePool;
use chatctl_load::stamp;
use chatctl_load::stats::{Counters, Summary};
use chatctl_load::users::BenchUser;
use indicatif::HumanCount;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::BenchContext;
use super::cli::Connect;

/// How long the background traffic is measured before anything happens, and between the storms.
const BASELINE_DURATION: Duration = Duration::from_secs(2);
/// How long the last messages of the background traffic may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs the benchmark.
pub(super) fn run(context: &BenchContext, arguments: &Connect) -> anyhow::Result<ConnectReport> {
    let (users, pool) = context.load(&arguments.common, arguments.users + 2 * arguments.bystanders)?;
    let watch = context.watch(&arguments.common)?;
    context.coordinator.block_on(async {
        let storm = Storm {
            context,
            arguments,
            pool: &pool,
            // A thread of their own: this program's part of the storm must not be taken for the server's.
            background_pool: &RuntimePool::start(1)?,
            interrupt: InterruptCounter::listen(),
            progress: Progress::begin("connecting the bystanders"),
            watch,
        };
        storm.run(&users).await
    })
}

struct Storm<'a> {
    context: &'a BenchContext,
    arguments: &'a Connect,
    pool: &'a RuntimePool,
    background_pool: &'a RuntimePool,
    interrupt: InterruptCounter,
    progress: Progress,
    watch: ProcessMonitor,
}

impl Storm<'_> {
    async fn run(mut self, users: &[BenchUser]) -> anyhow::Result<ConnectReport> {
        let (members, others) = users.split_at(self.arguments.users);
        let background = self.background(others).await?;
        let baseline = self.baseline(background.as_ref()).await;

        let mut connections = IdleConnections::new(&self.context.server, self.arguments.concurrency);
        if self.arguments.catch_up {
            connections = connections.catching_up(self.arguments.missed);
        }
        let begun = self.begin(background.as_ref())?;
        connections.add(self.pool, members);
        let connect = self
            .wait_until_connected(&mut connections, begun, background.as_ref())
            .await?;

        let mut reconnect = None;
        if self.arguments.reconnect && connect.complete && !self.interrupt.happened() {
            self.baseline(background.as_ref()).await;
            let begun = self.begin(background.as_ref())?;
            connections.drop_all(self.arguments.spread);
            reconnect = Some(
                self.wait_until_connected(&mut connections, begun, background.as_ref())
                    .await?,
            );
        }

        let (mut counters, mut tally) = (Counters::default(), Tally::default());
        if let Some(load) = &background {
            self.progress.show("waiting for the bystanders' last messages");
            load.stop();
            load.drain(DRAIN_TIMEOUT, &self.interrupt).await;
            (counters, tally) = (load.counters(), load.tally());
        }
        Ok(ConnectReport {
            benchmark: "connect",
            server: self.context.server.authority.clone(),
            users: members.len(),
            concurrency: self.arguments.concurrency,
            catch_up: self.arguments.catch_up,
            missed: self.arguments.missed,
            background_users: others.len(),
            background_rate: self.arguments.bystander_rate,
            baseline,
            lost_later: connections.lost(),
            connect,
            reconnect,
            counters,
            tally,
            interrupted: self.interrupt.happened(),
        })
    }

    async fn background(&self, users: &[BenchUser]) -> anyhow::Result<Option<MessageLoad>> {
        let Some(first) = users.first() else { return Ok(None) };
        let server = &self.context.server;
        let workload = Workload {
            arrivals: ArrivalModel::Open {
                rate: self.arguments.bystander_rate,
            },
            size: stamp::STAMP_BYTES,
            client_ids: false,
            acks: message_load::acknowledges(server, first).await?,
            messages: None,
        };
        let load = MessageLoad::connect(self.background_pool, server, users, workload, &self.interrupt, |_| {}).await?;
        load.begin();
        Ok(Some(load))
    }

    /// What the background traffic measures while nothing happens.
    async fn baseline(&self, background: Option<&MessageLoad>) -> Option<Summary> {
        self.progress.show("waiting while nothing happens");
        background.inspect(|load| load.measure());
        tokio::select! {
            () = sleep(BASELINE_DURATION) => {}
            () = self.interrupt.wait_for(1) => {}
        }
        background.and_then(|load| load.take_measured().delivery.summary())
    }

    fn begin(&mut self, background: Option<&MessageLoad>) -> anyhow::Result<Instant> {
        background.inspect(|load| load.measure());
        self.watch.begin()?;
        Ok(Instant::now())
    }

    async fn wait_until_connected(
        &mut self,
        connections: &mut IdleConnections,
        begun: Instant,
        background: Option<&MessageLoad>,
    ) -> anyhow::Result<StormReport> {
        let show = |going: ConnectProgress<'_>| self.progress.show(going);
        let results = connections
            .wait_until_connected(begun, self.arguments.within, &self.interrupt, show)
            .await;
        let processes = self.watch.end(results.connected as u64)?;
        let measured = background.map(MessageLoad::take_measured).unwrap_or_default();
        Ok(StormReport::new(&results, processes, measured.delivery.summary()))
    }
}

/// One time of all connecting.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StormReport {
    connected: usize,
    /// Whether all were.
    complete: bool,
    /// Time until the last one was.
    seconds: f64,
    connects_per_second: f64,
    /// From the beginning of one handshake to its end.
    handshake: Option<Summary>,
    /// From the beginning of all until one was connected.
    since_begin: Option<Summary>,
    failures: BTreeMap<String, u64>,
    /// Delivery of the background traffic meanwhile.
    #[serde(rename = "bystanders")]
    background: Option<Summary>,
    processes: Vec<ProcessReport>,
}

impl StormReport {
    fn new(results: &ConnectResults, processes: Vec<ProcessReport>, background: Option<Summary>) -> Self {
        let seconds = results.took.as_secs_f64();
        Self {
            connected: results.connected,
            complete: results.complete,
            seconds,
            connects_per_second: if seconds > 0.0 {
                results.connected as f64 / seconds
            } else {
                0.0
            },
            handshake: results.handshake.summary(),
            since_begin: results.since_begin.summary(),
            failures: results.failures.clone(),
            background,
            processes,
        }
    }

    fn text(&self, out: &mut dyn Write, name: &str) -> io::Result<()> {
        let numbers = format!(
            "{} in {:.2} s, {}/s",
            HumanCount(self.connected as u64),
            self.seconds,
            three_digits(self.connects_per_second)
        );
        report::line(out, name, numbers)?;
        for (reason, count) in &self.failures {
            report::line(out, "failed", format_args!("{}: {reason}", HumanCount(*count)))?;
        }
        let rows = [
            ("handshake", self.handshake.as_ref()),
            ("since begin", self.since_begin.as_ref()),
            ("bystanders", self.background.as_ref()),
        ];
        report::latencies(out, &rows)?;
        report::processes(out, "connect", &self.processes)
    }
}

/// The result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConnectReport {
    benchmark: &'static str,
    server: String,
    users: usize,
    concurrency: usize,
    /// Whether a user counted as connected only after having caught up.
    catch_up: bool,
    /// Messages that each user missed before coming back.
    missed: usize,
    /// How many users wrote to each other meanwhile.
    #[serde(rename = "bystanders")]
    background_users: usize,
    #[serde(rename = "bystanderRate")]
    background_rate: f64,
    /// Delivery of the background traffic before anything happened.
    #[serde(rename = "calm")]
    baseline: Option<Summary>,
    connect: StormReport,
    reconnect: Option<StormReport>,
    /// Connections that were lost after all were there.
    lost_later: u64,
    #[serde(flatten)]
    counters: Counters,
    #[serde(flatten)]
    tally: Tally,
    interrupted: bool,
}

impl Report for ConnectReport {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let title = format!("{} users at {}", HumanCount(self.users as u64), self.server);
        report::line(out, self.benchmark, title)?;
        if self.background_users > 0 {
            let what = format!(
                "{} bystanders, {} messages/s, before:",
                self.background_users, self.background_rate
            );
            report::line(out, "calm", what)?;
            report::latencies(out, &[("bystanders", self.baseline.as_ref())])?;
        }
        self.connect.text(out, "connected")?;
        if let Some(reconnect) = &self.reconnect {
            reconnect.text(out, "back")?;
        }
        let Tally {
            lost,
            duplicated,
            out_of_order,
            unanswered,
            ..
        } = self.tally;
        let messages =
            format!("{lost} lost, {duplicated} duplicated, {out_of_order} out of order, {unanswered} unanswered");
        let what = format!("{} connections lost later; messages: {messages}", self.lost_later);
        report::verdict(out, self.passed(), what)
    }

    fn passed(&self) -> bool {
        let complete = self.connect.complete && self.reconnect.as_ref().is_none_or(|storm| storm.complete);
        complete && self.lost_later == 0 && self.tally.is_clean()
    }
}
