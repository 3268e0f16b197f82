//! `bench messages` and `bench fill`: the rate and the latency of messages, and whether each arrived once, in order.

mod report;

use std::time::Duration;

use chatctl_load::hostile::HostileClients;
use chatctl_load::interrupt_counter::InterruptCounter;
use chatctl_load::message_load::{self, ArrivalModel, MessageLoad, Workload};
use chatctl_load::plot::{self, Series};
use chatctl_load::process::ProcessMonitor;
use chatctl_load::progress::Progress;
use chatctl_load::report::three_digits;
use chatctl_load::runtime_pool::RuntimePool;
use chatctl_load::stats::Measured;
use chatctl_load::users::BenchUser;
use indicatif::HumanCount;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::report::MessagesReport;
use super::BenchContext;
use super::cli::{Acks, Fill, Messages};

/// Length of the window, if none is asked for.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
/// The same, at most, for a number of messages.
const MAX_DURATION: Duration = Duration::from_secs(3_600);
/// How often the coordinator looks whether the end has come.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// At every so many looks, memory is read and the progress shown.
const POLLS_PER_UPDATE: u32 = 20;
/// Messages on their way at a time while filling, all users together: enough for full batches, not enough for a queue
/// to overflow.
const MAX_FILLING: usize = 4_096;

/// Runs `bench messages`.
pub(super) fn run(context: &BenchContext, arguments: &Messages) -> anyhow::Result<MessagesReport> {
    let report = measure(context, arguments, "messages")?;
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
pub(super) fn fill(context: &BenchContext, arguments: &Fill) -> anyhow::Result<MessagesReport> {
    let users = 2 * arguments.conversations;
    let messages = Messages {
        users,
        inflight: (MAX_FILLING / users).clamp(1, 64),
        rate: None,
        duration: Some(arguments.within),
        messages: Some(arguments.messages),
        warmup: Duration::ZERO,
        drain: Duration::from_secs(30),
        size: arguments.size,
        client_ids: false,
        hostile: 0.0,
        acks: Acks::Auto,
        plot: None,
        common: arguments.common.clone(),
    };
    measure(context, &messages, "fill")
}

fn measure(context: &BenchContext, arguments: &Messages, benchmark: &'static str) -> anyhow::Result<MessagesReport> {
    let (users, pool) = context.load(&arguments.common, arguments.users)?;
    let watch = context.watch(&arguments.common)?;
    context.coordinator.block_on(async {
        let run = Run {
            context,
            arguments,
            interrupt: InterruptCounter::listen(),
            progress: Progress::begin("connecting"),
        };
        run.measure(benchmark, &users, &pool, watch).await
    })
}

struct Run<'a> {
    context: &'a BenchContext,
    arguments: &'a Messages,
    interrupt: InterruptCounter,
    progress: Progress,
}

impl Run<'_> {
    async fn measure(
        &self,
        benchmark: &'static str,
        users: &[BenchUser],
        pool: &RuntimePool,
        mut watch: ProcessMonitor,
    ) -> anyhow::Result<MessagesReport> {
        let server = &self.context.server;
        // The last of them, in whole pairs.
        let hostile = (users.len() as f64 * self.arguments.hostile / 2.0).ceil() as usize * 2;
        let (users, hostile) = users.split_at(users.len().saturating_sub(hostile).max(1));
        let workload = self.workload(users).await?;
        let connected = |count| self.progress.show(format_args!("{count} of {} connected", users.len()));
        let load = MessageLoad::connect(pool, server, users, workload.clone(), &self.interrupt, connected).await?;
        let hostile = match hostile.is_empty() {
            true => None,
            false => Some(HostileClients::start(server, hostile, users)?),
        };
        let duration = match workload.messages {
            // A number of messages is measured from the first on.
            Some(_) => self.arguments.duration.unwrap_or(MAX_DURATION),
            None => {
                load.begin();
                self.wait(self.arguments.warmup, &load, &mut watch).await?;
                self.arguments.duration.unwrap_or(DEFAULT_DURATION)
            }
        };
        load.measure();
        watch.begin()?;
        load.begin();
        self.wait(duration, &load, &mut watch).await?;
        let seconds = load.end_measuring().as_secs_f64();
        let processes = watch.end(complete(&load.measured(), workload.acks))?;
        let hostile = hostile.map(|hostile| hostile.report());
        load.stop();
        self.progress.show("waiting for what is on its way");
        load.drain(self.arguments.drain, &self.interrupt).await;
        let measured = load.measured();
        let (counters, cut_off) = (load.counters(), load.cut_off());
        let complete = complete(&measured, workload.acks);
        Ok(MessagesReport {
            benchmark,
            server: server.authority.clone(),
            users: users.len(),
            in_flight: match workload.arrivals {
                ArrivalModel::Closed { in_flight } => Some(in_flight),
                ArrivalModel::Open { .. } => None,
            },
            planned_rate: self.arguments.rate,
            size_bytes: workload.size,
            client_ids: workload.client_ids,
            acks: workload.acks,
            seconds,
            messages_per_second: complete as f64 / seconds,
            acknowledged_per_second: measured.acknowledged as f64 / seconds,
            delivered_per_second: measured.delivered as f64 / seconds,
            ack: measured.ack.summary(),
            delivery: measured.delivery.summary(),
            told: measured.told.summary(),
            lag: measured.lag.summary(),
            failure: report::failure(cut_off.as_deref(), complete, &counters),
            counters,
            tally: load.tally(),
            processes,
            hostile,
            interrupted: self.interrupt.happened(),
            cut_off,
        })
    }

    async fn workload(&self, users: &[BenchUser]) -> anyhow::Result<Workload> {
        Ok(Workload {
            arrivals: match self.arguments.rate {
                Some(rate) => ArrivalModel::Open { rate },
                None => ArrivalModel::Closed {
                    in_flight: self.arguments.inflight,
                },
            },
            size: self.arguments.size,
            client_ids: self.arguments.client_ids,
            acks: match self.arguments.acks {
                Acks::Auto => message_load::acknowledges(&self.context.server, &users[0]).await?,
                Acks::Yes => true,
                Acks::No => false,
            },
            messages: self.arguments.messages,
        })
    }

    /// Waits, until the messages are sent if there is a number of them, and shows how it goes.
    async fn wait(&self, time: Duration, load: &MessageLoad, watch: &mut ProcessMonitor) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        let mut polls = interval(POLL_INTERVAL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut last = load.counters().delivered;
        let (mut moved, mut count) = (Instant::now(), 0);
        for poll in 1_u32.. {
            tokio::select! {
                _ = polls.tick() => {}
                () = self.interrupt.wait_for(1) => break,
            }
            if Instant::now() >= end || load.is_spent() || load.cut_off().is_some() {
                break;
            }
            if poll.is_multiple_of(POLLS_PER_UPDATE) {
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

    fn show(&self, load: &MessageLoad, last: u64) -> u64 {
        let counters = load.counters();
        let rate = (counters.delivered - last) as f64 / (POLL_INTERVAL * POLLS_PER_UPDATE).as_secs_f64();
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
