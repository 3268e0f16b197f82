//! `bench messages` and `bench fill`: the rate and the latency of messages, and whether each arrived once, in order.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::HumanCount;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::cli::{Acks, Fill, Messages};
use super::fleet::Fleet;
use super::interrupt::Interrupt;
use super::ledger::Tally;
use super::load::{self, Load, Pace, Shape};
use super::plot::{self, Series};
use super::process::{ProcessReport, Watch};
use super::report::{self, Report, three_digits};
use super::stats::{Counters, Measured, Summary};
use super::users::BenchUser;
use super::{Progress, Setup};

/// Length of the window, if none is asked for.
const DURATION: Duration = Duration::from_secs(10);
/// The same, at most, for a number of messages.
const LONGEST: Duration = Duration::from_secs(3_600);
/// How often the coordinator looks whether the end has come.
const LOOK: Duration = Duration::from_millis(10);
/// At every so many looks, memory is read and the progress shown.
const SHOW: u32 = 20;
/// Messages on their way at a time while filling, all users together: enough for full batches, not enough for a queue
/// to overflow.
const FILLING: usize = 4_096;

/// Runs `bench messages`.
pub(super) fn run(setup: &Setup, arguments: &Messages) -> anyhow::Result<MessagesReport> {
    let report = measure(setup, arguments, "messages")?;
    if let Some(file) = &arguments.plot {
        let series = [("acknowledged", &report.ack), ("delivered", &report.delivery)];
        let series = series
            .iter()
            .filter_map(|(name, summary)| Series::of(name, summary.as_ref()));
        plot::save(file, &report.title(), &series.collect::<Vec<_>>())?;
    }
    Ok(report)
}

/// Runs `bench fill`.
pub(super) fn fill(setup: &Setup, arguments: &Fill) -> anyhow::Result<MessagesReport> {
    let users = 2 * arguments.conversations;
    let messages = Messages {
        users,
        inflight: (FILLING / users).clamp(1, 64),
        rate: None,
        duration: Some(arguments.within),
        messages: Some(arguments.messages),
        warmup: Duration::ZERO,
        drain: Duration::from_secs(30),
        size: arguments.size,
        client_ids: false,
        acks: Acks::Auto,
        plot: None,
        common: arguments.common.clone(),
    };
    measure(setup, &messages, "fill")
}

fn measure(setup: &Setup, arguments: &Messages, benchmark: &'static str) -> anyhow::Result<MessagesReport> {
    let (users, fleet) = setup.load(&arguments.common, arguments.users)?;
    let watch = setup.watch(&arguments.common)?;
    setup.coordinator.block_on(async {
        let run = Run {
            setup,
            arguments,
            interrupt: Interrupt::listen(),
            progress: Progress::begin("connecting"),
        };
        run.measure(benchmark, &users, &fleet, watch).await
    })
}

struct Run<'a> {
    setup: &'a Setup,
    arguments: &'a Messages,
    interrupt: Interrupt,
    progress: Progress,
}

impl Run<'_> {
    async fn measure(
        &self,
        benchmark: &'static str,
        users: &[BenchUser],
        fleet: &Fleet,
        mut watch: Watch,
    ) -> anyhow::Result<MessagesReport> {
        let server = &self.setup.server;
        let shape = self.shape(users).await?;
        let connected = |count| self.progress.show(format_args!("{count} of {} connected", users.len()));
        let load = Load::connect(fleet, server, users, shape.clone(), &self.interrupt, connected).await?;
        let duration = match shape.messages {
            // A number of messages is measured from the first on.
            Some(_) => self.arguments.duration.unwrap_or(LONGEST),
            None => {
                load.begin();
                self.wait(self.arguments.warmup, &load, &mut watch).await?;
                self.arguments.duration.unwrap_or(DURATION)
            }
        };
        load.measure();
        watch.begin()?;
        load.begin();
        self.wait(duration, &load, &mut watch).await?;
        let seconds = load.end_measuring().as_secs_f64();
        let processes = watch.end(complete(&load.measured(), shape.acks))?;
        load.stop();
        self.progress.show("waiting for what is on its way");
        load.drain(self.arguments.drain, &self.interrupt).await;
        let measured = load.measured();
        Ok(MessagesReport {
            benchmark,
            server: server.authority.clone(),
            users: users.len(),
            in_flight: match shape.pace {
                Pace::Closed { in_flight } => Some(in_flight),
                Pace::Open { .. } => None,
            },
            planned_rate: self.arguments.rate,
            size_bytes: shape.size,
            client_ids: shape.client_ids,
            acks: shape.acks,
            seconds,
            messages_per_second: complete(&measured, shape.acks) as f64 / seconds,
            acknowledged_per_second: measured.acknowledged as f64 / seconds,
            delivered_per_second: measured.delivered as f64 / seconds,
            ack: measured.ack.summary(),
            delivery: measured.delivery.summary(),
            lag: measured.lag.summary(),
            counters: load.counters(),
            tally: load.tally(),
            processes,
            interrupted: self.interrupt.happened(),
        })
    }

    async fn shape(&self, users: &[BenchUser]) -> anyhow::Result<Shape> {
        Ok(Shape {
            pace: match self.arguments.rate {
                Some(rate) => Pace::Open { rate },
                None => Pace::Closed {
                    in_flight: self.arguments.inflight,
                },
            },
            size: self.arguments.size,
            client_ids: self.arguments.client_ids,
            acks: match self.arguments.acks {
                Acks::Auto => load::acknowledges(&self.setup.server, &users[0]).await?,
                Acks::Yes => true,
                Acks::No => false,
            },
            messages: self.arguments.messages,
        })
    }

    /// Waits, until the messages are sent if there is a number of them, and shows how it goes.
    async fn wait(&self, time: Duration, load: &Load, watch: &mut Watch) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut last = load.counters().delivered;
        let (mut moved, mut count) = (Instant::now(), 0);
        for look in 1_u32.. {
            tokio::select! {
                _ = looks.tick() => {}
                () = self.interrupt.reaches(1) => break,
            }
            if Instant::now() >= end || load.is_spent() {
                break;
            }
            if look.is_multiple_of(SHOW) {
                watch.sample()?;
                // Messages that were lost would be waited for until the end.
                let counters = load.counters();
                let now = counters.sent + counters.acknowledged + counters.delivered + counters.refused;
                if now != count {
                    (moved, count) = (Instant::now(), now);
                } else if self.arguments.messages.is_some() && moved.elapsed() > self.arguments.drain {
                    break;
                }
                if self.progress.is_visible() {
                    last = self.show(load, last);
                }
            }
        }
        Ok(())
    }

    fn show(&self, load: &Load, last: u64) -> u64 {
        let counters = load.counters();
        let rate = (counters.delivered - last) as f64 / (LOOK * SHOW).as_secs_f64();
        let p99 = load.measured().delivery.quantile(0.99).as_secs_f64() * 1e3;
        self.progress.show(format_args!(
            "{} delivered, {}/s, p99 {} ms, {} refused",
            HumanCount(counters.delivered),
            HumanCount(rate as u64),
            three_digits(p99),
            HumanCount(counters.refused)
        ));
        counters.delivered
    }
}

/// The messages of the window that were acknowledged, if the server does that, and delivered.
fn complete(measured: &Measured, acks: bool) -> u64 {
    if acks {
        measured.acknowledged.min(measured.delivered)
    } else {
        measured.delivered
    }
}

/// The result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessagesReport {
    benchmark: &'static str,
    server: String,
    users: usize,
    in_flight: Option<usize>,
    planned_rate: Option<f64>,
    size_bytes: usize,
    client_ids: bool,
    /// Whether the server acknowledges.
    acks: bool,
    /// Length of the window.
    seconds: f64,
    /// Acknowledged (if the server does that) and delivered.
    messages_per_second: f64,
    acknowledged_per_second: f64,
    delivered_per_second: f64,
    ack: Option<Summary>,
    delivery: Option<Summary>,
    /// How late the messages of an open loop were sent.
    lag: Option<Summary>,
    #[serde(flatten)]
    counters: Counters,
    #[serde(flatten)]
    tally: Tally,
    processes: Vec<ProcessReport>,
    interrupted: bool,
}

impl MessagesReport {
    fn title(&self) -> String {
        let pace = match (self.planned_rate, self.in_flight) {
            (Some(rate), _) => format!("open loop at {}/s", HumanCount(rate as u64)),
            (None, in_flight) => format!("closed loop, {} in flight each", in_flight.unwrap_or_default()),
        };
        let ids = if self.client_ids { " with client ids" } else { "" };
        format!(
            "{} users, {pace}, {} bytes{ids}",
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
        if tally.refused_but_delivered > 0 {
            report::line(
                out,
                "errors",
                format_args!("refused but delivered: {}", count(tally.refused_but_delivered)),
            )?;
        }
        let what = format!(
            "{} lost, {} duplicated, {} out of order, {} unanswered, {} answered twice",
            count(tally.lost),
            count(tally.duplicated),
            count(tally.out_of_order),
            count(tally.unanswered),
            count(counters.surplus_answers)
        );
        report::verdict(out, self.passed(), what)
    }

    fn passed(&self) -> bool {
        self.tally.is_clean() && self.counters.surplus_answers == 0 && self.counters.delivered > 0
    }
}
