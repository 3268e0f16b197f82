//! `bench idle`: what an idle connection costs in memory, as the slope over several numbers of connections. A slope
//! leaves out what a process needs in any case.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context as _;
use chatctl_load::idle_connections::{ConnectProgress, IdleConnections};
use chatctl_load::interrupt_counter::InterruptCounter;
use chatctl_load::process::ProcessMonitor;
use chatctl_load::progress::Progress;
use chatctl_load::report::{self, Report, mib};
use chatctl_terminal::UsageError;
use chatctl_terminal::output::DIM;
use indicatif::HumanCount;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::BenchContext;
use super::cli::Idle;

/// How often memory is read while it settles.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Memory has settled when so many reads in a row differ by less than a thousandth.
const STABLE_READS: usize = 4;

/// Runs the benchmark.
pub(super) fn run(context: &BenchContext, arguments: &Idle) -> anyhow::Result<IdleReport> {
    if arguments.common.pids.is_empty() {
        return Err(UsageError("say whose memory: --pid server=auto".to_owned()).into());
    }
    if !arguments.steps.is_sorted_by(|one, next| one < next) || arguments.steps.len() < 2 {
        return Err(UsageError("--steps needs two rising numbers or more, such as 2000,10000,18000".to_owned()).into());
    }
    let most = arguments.steps.last().copied().unwrap_or_default();
    let (users, pool) = context.load(&arguments.common, most)?;
    let mut watch = context.watch(&arguments.common)?;
    context.coordinator.block_on(async {
        let interrupt = InterruptCounter::listen();
        let progress = Progress::begin("connecting");
        let mut connections = IdleConnections::new(&context.server, arguments.concurrency);
        let mut steps = Vec::new();
        let mut there = 0;
        for step in &arguments.steps {
            connections.add(&pool, &users[there..*step]);
            there = *step;
            let show = |going: ConnectProgress<'_>| progress.show(going);
            let results = connections
                .wait_until_connected(Instant::now(), arguments.within, &interrupt, show)
                .await;
            if interrupt.happened() {
                break;
            }
            let failure = results
                .failures
                .keys()
                .next()
                .map_or("no answer in time", String::as_str);
            anyhow::ensure!(
                results.complete,
                "{} of {step} connected within {:?}: {failure}",
                results.connected,
                arguments.within
            );
            progress.show(format_args!("{step} connected, memory settles"));
            let memory = settled(&mut watch, arguments.settle, &interrupt).await?;
            steps.push(Step {
                connections: *step,
                memory,
            });
        }
        anyhow::ensure!(steps.len() >= 2, "interrupted before there were two steps to compare");
        let points = |process: usize| {
            steps
                .iter()
                .map(move |step| (step.connections as f64, step.memory[process] as f64))
        };
        let slope = |(process, name): (usize, &str)| {
            Some(Slope {
                name: name.to_owned(),
                bytes_per_connection: least_squares(points(process))?,
            })
        };
        let slopes: Option<Vec<Slope>> = watch.names().enumerate().map(slope).collect();
        Ok(IdleReport {
            benchmark: "idle",
            server: context.server.authority.clone(),
            slopes: slopes.context("the steps have no slope")?,
            steps,
            lost: connections.lost(),
            interrupted: interrupt.happened(),
        })
    })
}

/// Reads the memory when it has kept still for a while.
async fn settled(
    watch: &mut ProcessMonitor,
    within: Duration,
    interrupt: &InterruptCounter,
) -> anyhow::Result<Vec<u64>> {
    let end = Instant::now() + within;
    let mut last = watch.memory()?;
    let mut still = 0;
    while still < STABLE_READS && Instant::now() < end && !interrupt.happened() {
        sleep(POLL_INTERVAL).await;
        let now = watch.memory()?;
        let same = now
            .iter()
            .zip(&last)
            .all(|(now, last)| now.abs_diff(*last) < last / 1_000);
        still = if same { still + 1 } else { 0 };
        last = now;
    }
    Ok(last)
}

/// The slope of the line that fits the points best; none if they have none.
fn least_squares(points: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let (mut n, mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (px, py) in points {
        n += 1.0;
        x += px;
        y += py;
        xx += px * px;
        xy += px * py;
    }
    let spread = n * xx - x * x;
    (spread > 0.0).then(|| (n * xy - x * y) / spread)
}

/// Memory at one number of connections.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    connections: usize,
    /// Resident bytes of each process, in the order of the slopes.
    memory: Vec<u64>,
}

/// What one connection costs a process.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Slope {
    name: String,
    bytes_per_connection: f64,
}

/// The result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IdleReport {
    benchmark: &'static str,
    server: String,
    steps: Vec<Step>,
    slopes: Vec<Slope>,
    /// Connections that were lost meanwhile.
    lost: u64,
    interrupted: bool,
}

impl Report for IdleReport {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        report::line(out, self.benchmark, format_args!("connections at {}", self.server))?;
        let names: String = self.slopes.iter().map(|slope| format!("{:>16}", slope.name)).collect();
        writeln!(out, "{DIM}{:<12}{names}{DIM:#}", "connections")?;
        for step in &self.steps {
            let memory: String = step.memory.iter().map(|bytes| format!("{:>16}", mib(*bytes))).collect();
            writeln!(out, "{:<12}{memory}", HumanCount(step.connections as u64).to_string())?;
        }
        let kib = |slope: &Slope| format!("{:>16}", format!("{:.2} KiB", slope.bytes_per_connection / 1_024.0));
        let slopes: String = self.slopes.iter().map(kib).collect();
        writeln!(out, "{:<12}{slopes}", "each")?;
        report::verdict(out, self.passed(), format_args!("{} connections lost", self.lost))
    }

    fn passed(&self) -> bool {
        self.lost == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line() {
        let line = [(1.0, 25.0), (2.0, 45.0), (4.0, 85.0)];
        assert_eq!(least_squares(line.into_iter()), Some(20.0));
        let noisy = [(1.0, 24.0), (2.0, 46.0), (3.0, 66.0), (4.0, 84.0)];
        assert_eq!(least_squares(noisy.into_iter()), Some(20.0));
        assert_eq!(least_squares([(1.0, 1.0)].into_iter()), None);
    }
}
