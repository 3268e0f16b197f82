//! A run, from its users to what was seen of the server: gather, write, settle, sync once more, ask, compare.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Context as _;
use chatctl_client::http::Http;
use chatctl_load::fault::{Fault, Faults};
use chatctl_load::interrupt_counter::InterruptCounter;
use chatctl_load::progress::Progress;
use chatctl_load::server::Server;
use chatctl_load::{limits, users};
use parking_lot::Mutex;
use shared::UserId;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::cli::Prove;
use super::device::{Device, Phase, RunContext};
use super::plan::Plan;
use super::record::{DeviceRecord, ServerState, UserRecord, WrongPresence};
use super::server_state;
use super::tokens::{Revoker, Tokens};
use super::verdict::{Seen, Verdict};
use super::violation::Findings;
use super::virtual_user::VirtualUser;
use super::{about, audit};

/// How long all devices may take to connect at the begin.
const GATHER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long nothing must be heard before the devices have heard everything: `conversation_updated` comes at most a
/// second late.
const QUIET_DURATION: Duration = Duration::from_secs(3);
/// How long the last sync may take.
const SYNC_TIMEOUT: Duration = Duration::from_secs(60);
/// The same, if not everybody was back before.
const UNSETTLED_SYNC_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the coordinator looks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Connections besides those of the devices: HTTP.
const OTHER_CONNECTIONS: usize = 8;

/// Runs the proof.
///
/// # Errors
/// If it could not be begun.
pub(super) fn run(nodes: &[Http], arguments: &Prove) -> anyhow::Result<Verdict> {
    limits::allow_connections(arguments.users * arguments.devices + OTHER_CONNECTIONS)?;
    let servers = nodes.iter().map(Server::of);
    let servers = servers.collect::<anyhow::Result<Vec<_>>>()?;
    let first = nodes.first().context("there is no server to prove")?;
    let seed = arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    // New users each time: the audit is of this run alone, also when a seed is used again.
    let prefix = format!("{}-{:08x}", arguments.prefix, rand::random::<u32>());
    let progress = Progress::begin(format!("creating {} users", arguments.users));
    let users = users::prepare(&progress.under(first), &prefix, arguments.users)?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let virtual_users = users.into_iter().enumerate();
    let virtual_users: Vec<_> = virtual_users
        .map(|(number, user)| Arc::new(VirtualUser::new(number, user.id, user.token)))
        .collect();
    let devices = (arguments.users * arguments.devices) as f64;
    let context = Arc::new(RunContext {
        plan: Plan::new(seed, arguments.users),
        nodes: servers,
        tokens: Arc::new(Tokens::new(first.clone(), arguments.token_lifetime)),
        tokens_hold: arguments.token_lifetime.is_none() && !arguments.revoke,
        people: virtual_users.iter().map(|user| user.id).collect(),
        epoch: Instant::now(),
        interval: Duration::from_secs_f64(devices / arguments.rate),
        in_flight: arguments.inflight,
        measurements: Mutex::default(),
        connections: 0.into(),
        live: 0.into(),
        synced: 0.into(),
        heard_at: 0.into(),
    });
    runtime.block_on(async {
        let run = Run {
            nodes,
            arguments,
            interrupt: InterruptCounter::listen(),
            progress,
            context,
            virtual_users,
            phase: watch::Sender::new(Phase::Gather),
            faults: Arc::default(),
            let_in: Findings::default(),
            unproven: Vec::new(),
        };
        run.prove(seed, prefix).await
    })
}

struct Run<'a> {
    /// The nodes of the deployment, for HTTP.
    nodes: &'a [Http],
    arguments: &'a Prove,
    interrupt: InterruptCounter,
    progress: Progress,
    context: Arc<RunContext>,
    virtual_users: Vec<Arc<VirtualUser>>,
    phase: watch::Sender<Phase>,
    /// Locked for moments, by the faults and here.
    faults: Arc<Mutex<Vec<Fault>>>,
    /// What was found of revoked tokens.
    let_in: Findings,
    /// Why the run shows less than it was meant to.
    unproven: Vec<String>,
}

impl Run<'_> {
    async fn prove(mut self, seed: u64, prefix: String) -> anyhow::Result<Verdict> {
        let devices = self.start();
        self.gather().await?;
        let begun = self.context.epoch.elapsed().as_secs_f64();
        self.write().await;
        let ended = self.context.epoch.elapsed().as_secs_f64();
        let settled = self.settle().await;
        self.phase.send_replace(Phase::Sync { settled });
        let all = self.virtual_users.len() * self.arguments.devices;
        self.progress.show("syncing once more");
        // Those who were not back when the others had settled get no second wait.
        let timeout = if settled { SYNC_TIMEOUT } else { UNSETTLED_SYNC_TIMEOUT };
        self.until(timeout, 2, |run| run.context.synced.load(Relaxed) == all)
            .await;
        let visible = self
            .virtual_users
            .iter()
            .filter(|user| user.is_invisible() == Some(false));
        let visible: Vec<UserId> = visible.map(|user| user.id).collect();
        let offline = self
            .ask(move |nodes| server_state::shown_offline(nodes, &visible))
            .await;
        self.phase.send_replace(Phase::Close);
        let records = self.records(devices).await;
        let server_state = self.server_state(offline).await;

        self.progress.show("comparing");
        if records.iter().any(|user| user.devices.len() < self.arguments.devices) {
            self.unproven.push("a device of the proof itself broke down".to_owned());
        }
        let mut findings = match &server_state {
            Some(server_state) => audit::run(&records, server_state),
            // There is nothing to compare with; what showed by itself still counts.
            None => audit::strays(&records),
        };
        findings.merge(&self.let_in);
        let checked = server_state
            .as_ref()
            .map(|server_state| about::checked(&records, server_state));
        let seconds = self.context.measurements.lock().seconds();
        let measurements = &*self.context.measurements.lock();
        if measurements.counts.acknowledged == 0 {
            self.unproven.push("no message was acknowledged".to_owned());
        }
        let seen = Seen {
            about: about::About::now(self.nodes.iter().map(Http::url)),
            checked: checked.unwrap_or_default(),
            seed,
            prefix,
            writing: (begun, ended),
            interrupted: self.interrupt.happened(),
            seconds,
            faults: std::mem::take(&mut self.faults.lock()),
            unproven: self.unproven,
        };
        Ok(Verdict::new(self.arguments, seen, measurements, &records, findings))
    }

    fn start(&self) -> Vec<Vec<JoinHandle<DeviceRecord>>> {
        let devices = |user: &Arc<VirtualUser>| {
            let device = |number| Device::new(&self.context, user, number, self.phase.subscribe());
            let numbers = 0..self.arguments.devices;
            numbers.map(|number| tokio::spawn(device(number).live())).collect()
        };
        self.virtual_users.iter().map(devices).collect()
    }

    /// Waits until all devices have a cursor: only then can one be followed.
    async fn gather(&mut self) -> anyhow::Result<()> {
        let all = self.virtual_users.len() * self.arguments.devices;
        let connected = |run: &Self| {
            let live = run.context.live.load(Relaxed);
            let measurements = run.context.measurements.lock();
            match &measurements.trouble {
                Some(why) if live < all => run
                    .progress
                    .show(format_args!("{live} of {all} devices connected ({why})")),
                _ => run.progress.show(format_args!("{live} of {all} devices connected")),
            }
            live == all
        };
        if self.until(GATHER_TIMEOUT, 1, connected).await {
            return Ok(());
        }
        anyhow::ensure!(!self.interrupt.happened(), "interrupted before anything was sent");
        let measurements = self.context.measurements.lock();
        let why = match &measurements.trouble {
            Some(trouble) => trouble.as_str(),
            None => "the server never said sync_done",
        };
        anyhow::bail!(
            "only {} of {all} devices connected and caught up within {GATHER_TIMEOUT:?}: {why}",
            self.context.live.load(Relaxed)
        )
    }

    /// The users write, and the faults happen.
    async fn write(&mut self) {
        let until = Instant::now() + self.arguments.duration;
        let (stop, stopped) = watch::channel(false);
        let faults = self.arguments.kill.clone().map(|command| {
            let faults = Faults {
                command,
                every: self.arguments.kill_every,
                epoch: self.context.epoch,
                log: Arc::clone(&self.faults),
            };
            tokio::spawn(faults.run(until, stopped))
        });
        let context = &self.context;
        let revoking = self.arguments.revoke.then(|| {
            let revoker = Revoker::new(&context.tokens, self.nodes, &context.nodes, &context.people);
            tokio::spawn(revoker.run(stop.subscribe()))
        });
        self.context.measurements.lock().begin(self.context.now());
        self.phase.send_replace(Phase::Run);
        self.until(self.arguments.duration, 1, |run| {
            run.show();
            // Without its faults, the rest of the run would show nothing.
            faults.as_ref().is_some_and(JoinHandle::is_finished) && run.fault_failed()
        })
        .await;
        self.context.measurements.lock().end_pause(self.context.now());
        self.phase.send_replace(Phase::Settle);
        stop.send_replace(true);
        if let Some(revoking) = revoking {
            match revoking.await {
                Ok(found) => self.let_in = found,
                Err(error) => self.unproven.push(format!("revoking ended early: {error}")),
            }
            if self.context.tokens.revocations.load(Relaxed) == 0 {
                self.unproven.push("no token was revoked".to_owned());
            }
        }
        if let Some(faults) = faults {
            self.progress.show("waiting for the fault command");
            match faults.await {
                Ok(Ok(())) if self.faults.lock().is_empty() => {
                    self.unproven.push("the run was too short for a fault".to_owned());
                }
                Ok(Ok(())) => {}
                Ok(Err(why)) => self.unproven.push(why),
                Err(error) => self.unproven.push(format!("the faults ended early: {error}")),
            }
        }
    }

    /// Whether the last fault went wrong.
    fn fault_failed(&self) -> bool {
        self.faults.lock().last().is_some_and(|fault| fault.status != Some(0))
    }

    /// Waits until everybody is back, everything is answered, and nothing is heard any more. Whether it came to that.
    async fn settle(&self) -> bool {
        let all = self.virtual_users.len() * self.arguments.devices;
        let mut since = None;
        self.until(self.arguments.settle, 2, |run| {
            let live = run.context.live.load(Relaxed);
            let open: usize = run.virtual_users.iter().map(|user| user.open()).sum();
            run.progress.show(format_args!(
                "settling: {live} of {all} devices are back, {open} requests are open"
            ));
            if live < all || open > 0 {
                since = None;
                return false;
            }
            let heard = Duration::from_micros(run.context.heard_at.load(Relaxed));
            let from = *since.get_or_insert(run.context.epoch.elapsed());
            run.context.epoch.elapsed().saturating_sub(from.max(heard)) >= QUIET_DURATION
        })
        .await
    }

    /// Looks again and again until something is so; false if it was not within a time, or there were so many interrupts.
    async fn until(&self, timeout: Duration, interrupts: u32, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = Instant::now() + timeout;
        let mut poll = interval(POLL_INTERVAL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = poll.tick() => {}
                () = self.interrupt.wait_for(interrupts) => return false,
            }
            let context = &self.context;
            context
                .measurements
                .lock()
                .connected(context.now(), context.live.load(Relaxed));
            if done(self) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
        }
    }

    fn show(&self) {
        if !self.progress.is_visible() {
            return;
        }
        let counts = self.context.measurements.lock().counts.clone();
        let faults = self.faults.lock();
        let under_way = faults.last().is_some_and(|fault| fault.end.is_none());
        self.progress.show(format_args!(
            "{} acknowledged, {} retried, {} of {} devices connected, {} catch-ups, {} faults{}",
            counts.acknowledged,
            counts.retried,
            self.context.live.load(Relaxed),
            self.virtual_users.len() * self.arguments.devices,
            counts.catch_ups,
            faults.len(),
            if under_way { " (one under way)" } else { "" }
        ));
    }

    /// What the devices know, once they have ended.
    async fn records(&self, devices: Vec<Vec<JoinHandle<DeviceRecord>>>) -> Vec<UserRecord> {
        let mut records = Vec::new();
        for (user, devices) in self.virtual_users.iter().zip(devices) {
            let mut record = user.record();
            for device in devices {
                // One that panicked is missing in the record, and the panic is on standard error.
                record.devices.extend(device.await);
            }
            records.push(record);
        }
        records
    }

    /// What the server says. Without it nothing is proven.
    async fn server_state(&mut self, offline: anyhow::Result<Vec<WrongPresence>>) -> Option<ServerState> {
        self.progress.show("reading histories and inboxes");
        let people = self.context.people.clone();
        let pairs = self.context.plan.pairs().into_iter();
        let pairs: Vec<_> = pairs.map(|(one, other)| (people[one], people[other])).collect();
        let read = self.ask(move |nodes| server_state::read(nodes, &pairs, &people)).await;
        self.progress.show("waiting for everybody to be shown as offline");
        let people = self.context.people.clone();
        let online = self.ask(move |nodes| server_state::shown_online(nodes, &people)).await;
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                // Said once: presence could not be asked for, either.
                self.unproven
                    .push(format!("the server could not be asked what it has: {error:#}"));
                return None;
            }
        };
        let mut presence = Vec::new();
        for seen in [offline, online] {
            match seen {
                Ok(wrong) => presence.extend(wrong),
                Err(error) => self
                    .unproven
                    .push(format!("presence could not be asked for: {error:#}")),
            }
        }
        Some(ServerState { presence, ..read })
    }

    /// Asks the nodes over HTTP, which blocks.
    async fn ask<T, E>(&self, question: impl FnOnce(&[Http]) -> Result<T, E> + Send + 'static) -> anyhow::Result<T>
    where
        T: Send + 'static,
        E: Into<anyhow::Error> + Send + 'static,
    {
        let nodes = self.nodes.to_vec();
        let answer = tokio::task::spawn_blocking(move || question(&nodes)).await?;
        answer.map_err(Into::into)
    }
}
