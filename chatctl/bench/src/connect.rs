//! `bench connect`: how fast users connect, how fast all are back after they were dropped together, and what others
//! notice of it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use chatctl_load::crowd::{Assembly, Crowd, Going};
use chatctl_load::fleet::Fleet;
use chatctl_load::interrupt::Interrupt;
use chatctl_load::ledger::Tally;
use chatctl_load::load::{self, Load, Pace, Shape};
use chatctl_load::process::{ProcessReport, Watch};
use chatctl_load::progress::Progress;
use chatctl_load::report::{self, Report, three_digits};
use chatctl_load::stamp;
use chatctl_load::stats::{Counters, Summary};
use chatctl_load::users::BenchUser;
use indicatif::HumanCount;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::Setup;
use super::cli::Connect;

/// How long the bystanders are watched before anything happens, and between the storms.
const CALM: Duration = Duration::from_secs(2);
/// How long the bystanders' last messages may take.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs the benchmark.
pub(super) fn run(setup: &Setup, arguments: &Connect) -> anyhow::Result<ConnectReport> {
    let (users, fleet) = setup.load(&arguments.common, arguments.users + 2 * arguments.bystanders)?;
    let watch = setup.watch(&arguments.common)?;
    setup.coordinator.block_on(async {
        let storm = Storm {
            setup,
            arguments,
            fleet: &fleet,
            // A thread of their own: this program's part of the storm must not be taken for the server's.
            calm_fleet: &Fleet::start(1)?,
            interrupt: Interrupt::listen(),
            progress: Progress::begin("connecting the bystanders"),
            watch,
        };
        storm.run(&users).await
    })
}

struct Storm<'a> {
    setup: &'a Setup,
    arguments: &'a Connect,
    fleet: &'a Fleet,
    calm_fleet: &'a Fleet,
    interrupt: Interrupt,
    progress: Progress,
    watch: Watch,
}

impl Storm<'_> {
    async fn run(mut self, users: &[BenchUser]) -> anyhow::Result<ConnectReport> {
        let (members, others) = users.split_at(self.arguments.users);
        let bystanders = self.bystanders(others).await?;
        let calm = self.calm(bystanders.as_ref()).await;

        let mut crowd = Crowd::new(&self.setup.server, self.arguments.concurrency);
        if self.arguments.catch_up {
            crowd = crowd.catching_up(self.arguments.missed);
        }
        let begun = self.begin(bystanders.as_ref())?;
        crowd.add(self.fleet, members);
        let connect = self.assemble(&mut crowd, begun, bystanders.as_ref()).await?;

        let mut reconnect = None;
        if self.arguments.reconnect && connect.complete && !self.interrupt.happened() {
            self.calm(bystanders.as_ref()).await;
            let begun = self.begin(bystanders.as_ref())?;
            crowd.scatter(self.arguments.spread);
            reconnect = Some(self.assemble(&mut crowd, begun, bystanders.as_ref()).await?);
        }

        let (mut counters, mut tally) = (Counters::default(), Tally::default());
        if let Some(load) = &bystanders {
            self.progress.show("waiting for the bystanders' last messages");
            load.stop();
            load.drain(DRAIN, &self.interrupt).await;
            (counters, tally) = (load.counters(), load.tally());
        }
        Ok(ConnectReport {
            benchmark: "connect",
            server: self.setup.server.authority.clone(),
            users: members.len(),
            concurrency: self.arguments.concurrency,
            catch_up: self.arguments.catch_up,
            missed: self.arguments.missed,
            bystanders: others.len(),
            bystander_rate: self.arguments.bystander_rate,
            calm,
            lost_later: crowd.lost(),
            connect,
            reconnect,
            counters,
            tally,
            interrupted: self.interrupt.happened(),
        })
    }

    async fn bystanders(&self, users: &[BenchUser]) -> anyhow::Result<Option<Load>> {
        let Some(first) = users.first() else { return Ok(None) };
        let server = &self.setup.server;
        let shape = Shape {
            pace: Pace::Open {
                rate: self.arguments.bystander_rate,
            },
            size: stamp::BYTES,
            client_ids: false,
            acks: load::acknowledges(server, first).await?,
            messages: None,
        };
        let load = Load::connect(self.calm_fleet, server, users, shape, &self.interrupt, |_| {}).await?;
        load.begin();
        Ok(Some(load))
    }

    /// What the bystanders see while nothing happens.
    async fn calm(&self, bystanders: Option<&Load>) -> Option<Summary> {
        self.progress.show("waiting while nothing happens");
        bystanders.inspect(|load| load.measure());
        tokio::select! {
            () = sleep(CALM) => {}
            () = self.interrupt.reaches(1) => {}
        }
        bystanders.and_then(|load| load.take_measured().delivery.summary())
    }

    fn begin(&mut self, bystanders: Option<&Load>) -> anyhow::Result<Instant> {
        bystanders.inspect(|load| load.measure());
        self.watch.begin()?;
        Ok(Instant::now())
    }

    async fn assemble(
        &mut self,
        crowd: &mut Crowd,
        begun: Instant,
        bystanders: Option<&Load>,
    ) -> anyhow::Result<StormReport> {
        let show = |going: Going<'_>| self.progress.show(going);
        let assembly = crowd
            .assemble(begun, self.arguments.within, &self.interrupt, show)
            .await;
        let processes = self.watch.end(assembly.connected as u64)?;
        let measured = bystanders.map(Load::take_measured).unwrap_or_default();
        Ok(StormReport::new(&assembly, processes, measured.delivery.summary()))
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
    /// Delivery of the bystanders' messages meanwhile.
    bystanders: Option<Summary>,
    processes: Vec<ProcessReport>,
}

impl StormReport {
    fn new(assembly: &Assembly, processes: Vec<ProcessReport>, bystanders: Option<Summary>) -> Self {
        let seconds = assembly.took.as_secs_f64();
        Self {
            connected: assembly.connected,
            complete: assembly.complete,
            seconds,
            connects_per_second: if seconds > 0.0 {
                assembly.connected as f64 / seconds
            } else {
                0.0
            },
            handshake: assembly.handshake.summary(),
            since_begin: assembly.since_begin.summary(),
            failures: assembly.failures.clone(),
            bystanders,
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
            ("bystanders", self.bystanders.as_ref()),
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
    bystanders: usize,
    bystander_rate: f64,
    /// Delivery of the bystanders' messages before anything happened.
    calm: Option<Summary>,
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
        if self.bystanders > 0 {
            let what = format!(
                "{} bystanders, {} messages/s, before:",
                self.bystanders, self.bystander_rate
            );
            report::line(out, "calm", what)?;
            report::latencies(out, &[("bystanders", self.calm.as_ref())])?;
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
