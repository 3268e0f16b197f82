//! `bench jitter` and `bench deploy`: whether anything is lost, and how soon everybody has caught up, when connections are cut or
//! the server restarts. After the server of `--url` that of `--stock`, in the same run.

mod report;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chatctl_client::http::Http;
use chatctl_load::fault::{Fault, Faults};
use chatctl_load::flaky_load::{FlakyLoad, FlakyWorkload, RecoveryKind};
use chatctl_load::interrupt_counter::InterruptCounter;
use chatctl_load::plot::{self, Series};
use chatctl_load::progress::Progress;
use chatctl_load::runtime_pool::RuntimePool;
use chatctl_load::server::Server;
use chatctl_load::users::{self, BenchUser};
use indicatif::HumanCount;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::report::{FlakyReport, ServerReport};
use crate::BenchContext;
use crate::cli::{Deploy, Flaky, Jitter};

/// How long all may take to connect at the beginning.
const GATHER_TIMEOUT: Duration = Duration::from_secs(120);
/// How often the coordinator looks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Runs `bench jitter`.
pub(super) fn jitter(context: &BenchContext, arguments: &Jitter) -> anyhow::Result<FlakyReport> {
    let bench = FlakyBench {
        context,
        arguments: &arguments.flaky,
        cuts: Some((arguments.every, arguments.away)),
    };
    let title = format!(
        "each connection cut every {:?} and away for {:?}",
        arguments.every, arguments.away
    );
    bench.run("jitter", title, None, None)
}

/// Runs `bench deploy`.
pub(super) fn deploy(context: &BenchContext, arguments: &Deploy) -> anyhow::Result<FlakyReport> {
    anyhow::ensure!(
        arguments.flaky.stock.is_none() || arguments.stock_restart.is_some(),
        "--stock-restart says how the server of --stock is restarted"
    );
    let bench = FlakyBench {
        context,
        arguments: &arguments.flaky,
        cuts: None,
    };
    let restart = |command: &String| Restart {
        command: command.clone(),
        every: arguments.every,
    };
    let title = format!("the server restarted every {:?}", arguments.every);
    let stock = arguments.stock_restart.as_ref().map(restart);
    bench.run("deploy", title, Some(restart(&arguments.restart)), stock)
}

/// What restarts a server, and how often.
struct Restart {
    command: String,
    every: Duration,
}

struct FlakyBench<'a> {
    context: &'a BenchContext,
    arguments: &'a Flaky,
    /// How often each connection is cut, and for how long.
    cuts: Option<(Duration, Duration)>,
}

impl FlakyBench<'_> {
    fn run(
        &self,
        benchmark: &'static str,
        what: String,
        restart: Option<Restart>,
        stock_restart: Option<Restart>,
    ) -> anyhow::Result<FlakyReport> {
        let Flaky { users, rate, .. } = *self.arguments;
        let (users, pool) = self.context.load(&self.arguments.common, users.next_multiple_of(2))?;
        let title = format!(
            "{} users, {rate} messages/s each, {what}",
            HumanCount(users.len() as u64)
        );
        let mut servers = Vec::new();
        let mut watch = self.context.watch(&self.arguments.common)?;
        watch.begin()?;
        let ours = Target {
            name: "server",
            server: &self.context.server,
            recovery: RecoveryKind::Cursor,
            restart,
        };
        let mut report = self.context.coordinator.block_on(self.against(ours, &pool, &users))?;
        report.processes = watch.end(report.results.delivered)?;
        let interrupted = report.interrupted;
        servers.push(report);
        // The users of one server must not be there any more while the other is measured.
        drop(pool);
        if let Some(url) = self.arguments.stock.as_ref().filter(|_| !interrupted) {
            servers.push(self.stock(url, stock_restart, users.len())?);
        }
        let report = FlakyReport {
            benchmark,
            title,
            users: users.len(),
            rate,
            servers,
        };
        if let Some(file) = &self.arguments.plot {
            let series: Vec<Series> = report
                .servers
                .iter()
                .filter_map(|one| Series::of(one.name, one.results.caught_up.as_ref()))
                .collect();
            plot::save(
                file,
                &format!("{benchmark}: until all that was missed was there"),
                &series,
            )?;
        }
        Ok(report)
    }

    /// The same against a stock server, whose users are its own.
    fn stock(&self, url: &str, restart: Option<Restart>, users: usize) -> anyhow::Result<ServerReport> {
        let http = Http::new(url.to_owned(), Arc::clone(self.context.http.secret()));
        let users = users::prepare(&http, &self.arguments.common.prefix, users)
            .with_context(|| format!("the stock server at {url}"))?;
        let stock = Target {
            name: "stock",
            server: &Server::at(url)?,
            recovery: RecoveryKind::Session,
            restart,
        };
        let pool = RuntimePool::start(self.arguments.common.threads)?;
        self.context.coordinator.block_on(self.against(stock, &pool, &users))
    }

    async fn against(
        &self,
        target: Target<'_>,
        pool: &RuntimePool,
        users: &[BenchUser],
    ) -> anyhow::Result<ServerReport> {
        let interrupt = InterruptCounter::listen();
        let progress = Progress::begin(format_args!("{}: connecting", target.name));
        let workload = FlakyWorkload {
            rate: self.arguments.rate,
            cut_every: self.cuts.map(|(every, _)| every),
            away: self.cuts.map_or(Duration::ZERO, |(_, away)| away),
            recovery: target.recovery,
        };
        let load = FlakyLoad::connect(pool, target.server, users, workload);
        let show = |here| progress.show(format_args!("{}: {here} connected", target.name));
        load.gather(GATHER_TIMEOUT, &interrupt, show).await?;
        let until = Instant::now() + self.arguments.duration;
        load.begin();
        let faults: Arc<Mutex<Vec<Fault>>> = Arc::default();
        let (stop, stopped) = watch::channel(false);
        let restarts = target.restart.map(|restart| {
            let faults = Faults {
                command: restart.command,
                every: restart.every,
                epoch: Instant::now(),
                log: Arc::clone(&faults),
            };
            tokio::spawn(faults.run(until, stopped))
        });
        let mut polls = interval(POLL_INTERVAL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while Instant::now() < until {
            tokio::select! {
                _ = polls.tick() => {}
                () = interrupt.wait_for(1) => break,
            }
            if faults
                .lock()
                .last()
                .is_some_and(|fault| fault.status.is_some_and(|status| status != 0))
            {
                break;
            }
            if progress.is_visible() {
                let results = load.results();
                progress.show(format_args!(
                    "{}: {} delivered, {} came back, {} of {} connected",
                    target.name,
                    HumanCount(results.delivered),
                    HumanCount(results.returns),
                    load.connected(),
                    users.len()
                ));
            }
        }
        stop.send_replace(true);
        let mut failure = None;
        if let Some(restarts) = restarts {
            progress.show(format_args!("{}: waiting for the restart", target.name));
            failure = match restarts.await {
                Ok(Ok(())) if faults.lock().is_empty() => {
                    Some("the run was too short for a restart: make --duration longer, or --every shorter".to_owned())
                }
                Ok(Ok(())) => None,
                Ok(Err(why)) => Some(why),
                Err(error) => Some(format!("the restarts ended early: {error}")),
            };
        }
        load.stop();
        progress.show(format_args!("{}: waiting until everybody has everything", target.name));
        load.settle(self.arguments.settle, &interrupt).await;
        let restarts = std::mem::take(&mut *faults.lock());
        Ok(ServerReport {
            name: target.name,
            server: target.server.authority.clone(),
            results: load.results(),
            restarts,
            failure,
            processes: Vec::new(),
            interrupted: interrupt.happened(),
        })
    }
}

/// A server that is measured.
struct Target<'a> {
    name: &'static str,
    server: &'a Server,
    recovery: RecoveryKind,
    restart: Option<Restart>,
}
