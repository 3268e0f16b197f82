//! Whole conversations, streamed: the rate, and how much memory the server takes for it.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use chatctl_load::interrupt_counter::InterruptCounter;
use chatctl_load::process::{ProcessMonitor, ProcessReport};
use chatctl_load::progress::Progress;
use chatctl_load::report::{self, Report, three_digits};
use chatctl_load::runtime_pool::RuntimePool;
use chatctl_load::users;
use indicatif::HumanCount;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::reader::{HistoryRead, HistoryReader};
use crate::BenchContext;
use crate::cli::History;

/// How often memory is read meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Reads the whole of each conversation.
///
/// # Errors
/// If a request fails.
pub(crate) fn full(context: &BenchContext, arguments: &History) -> anyhow::Result<FullReport> {
    let users = users::prepare(&context.http, &arguments.common.prefix, 2 * arguments.conversations)?;
    let pool = RuntimePool::start(1)?;
    let bearer: Arc<str> = format!("Bearer {}", users::admin_token(&context.http)).into();
    let mut watch = context.watch(&arguments.common)?;
    context.coordinator.block_on(async {
        let interrupt = InterruptCounter::listen();
        let progress = Progress::begin("reading");
        let mut rounds = Vec::new();
        for number in 1..=arguments.repeat {
            progress.show(format_args!("reading, {number} of {}", arguments.repeat));
            let (server, bearer, users) = (context.server.clone(), Arc::clone(&bearer), users.clone());
            watch.begin()?;
            let begun = Instant::now();
            let round = pool.spawn(0, async move {
                let mut reader = HistoryReader::connect(&server, &bearer).await?;
                let mut sum = HistoryRead::default();
                for pair in users.chunks_exact(2) {
                    let read = reader.read(pair[0].id, pair[1].id, "").await?;
                    sum.messages += read.messages;
                    sum.bytes += read.bytes;
                }
                anyhow::Ok(sum)
            });
            let Some(read) = observe(round, &mut watch, &interrupt).await? else {
                break;
            };
            rounds.push(Round::new(read, begun.elapsed(), watch.end(read.messages)?));
        }
        anyhow::ensure!(!rounds.is_empty(), "interrupted before anything was measured");
        Ok(FullReport {
            benchmark: "history --full",
            server: context.server.authority.clone(),
            conversations: arguments.conversations,
            rounds,
            interrupted: interrupt.happened(),
        })
    })
}

/// Reads the memory until the round has ended; none at an interrupt.
async fn observe(
    mut round: tokio::task::JoinHandle<anyhow::Result<HistoryRead>>,
    watch: &mut ProcessMonitor,
    interrupt: &InterruptCounter,
) -> anyhow::Result<Option<HistoryRead>> {
    let mut polls = interval(POLL_INTERVAL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            ended = &mut round => return Ok(Some(ended??)),
            _ = polls.tick() => watch.sample()?,
            () = interrupt.wait_for(1) => return Ok(None),
        }
    }
}

/// All conversations read once.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Round {
    messages: u64,
    bytes: u64,
    seconds: f64,
    messages_per_second: f64,
    megabytes_per_second: f64,
    processes: Vec<ProcessReport>,
}

impl Round {
    fn new(read: HistoryRead, took: Duration, processes: Vec<ProcessReport>) -> Self {
        let seconds = took.as_secs_f64();
        Self {
            messages: read.messages,
            bytes: read.bytes,
            seconds,
            messages_per_second: read.messages as f64 / seconds,
            megabytes_per_second: read.bytes as f64 / 1e6 / seconds,
            processes,
        }
    }
}

/// The result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FullReport {
    benchmark: &'static str,
    server: String,
    conversations: usize,
    rounds: Vec<Round>,
    interrupted: bool,
}

impl Report for FullReport {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let conversations = HumanCount(self.conversations as u64);
        report::line(
            out,
            self.benchmark,
            format_args!("{conversations} whole conversations at {}", self.server),
        )?;
        for round in &self.rounds {
            let numbers = format!(
                "{} messages/s, {:.1} MB/s: {} messages in {:.3} s",
                three_digits(round.messages_per_second),
                round.megabytes_per_second,
                HumanCount(round.messages),
                round.seconds
            );
            report::line(out, "read", numbers)?;
            report::processes(out, "message", &round.processes)?;
        }
        report::verdict(out, self.passed(), "every round read the same number of messages")
    }

    fn passed(&self) -> bool {
        let first = self.rounds.first().map_or(0, |round| round.messages);
        first > 0 && self.rounds.iter().all(|round| round.messages == first)
    }
}
