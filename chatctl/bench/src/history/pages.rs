//! Pages: the newest messages of random conversations, on kept connections.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use chatctl_load::interrupt_counter::InterruptCounter;
use chatctl_load::plot::{self, Series};
use chatctl_load::process::ProcessReport;
use chatctl_load::progress::Progress;
use chatctl_load::report::{self, Report, three_digits};
use chatctl_load::stats::{Latencies, Summary};
use chatctl_load::users::{self, BenchUser};
use indicatif::HumanCount;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::reader::HistoryReader;
use crate::BenchContext;
use crate::cli::History;

/// What the readers found, all together. Locked once a page by a reader, for moments.
#[derive(Debug, Default)]
struct PageCounts {
    latencies: Latencies,
    pages: u64,
    messages: u64,
    /// Pages with fewer messages than asked for.
    short: u64,
    bytes: u64,
    error: Option<anyhow::Error>,
}

/// What the readers and the coordinator share.
#[derive(Debug, Default)]
struct Coordination {
    counts: Mutex<PageCounts>,
    measuring: AtomicBool,
    /// Told when one of them has failed.
    failed: Notify,
}

/// Reads pages for a while.
///
/// # Errors
/// If a request fails.
pub(crate) fn pages(context: &BenchContext, arguments: &History) -> anyhow::Result<PagesReport> {
    let users = 2 * arguments.conversations;
    chatctl_load::limits::allow_connections(arguments.concurrency)?;
    let (users, pool) = (
        users::prepare(&context.http, &arguments.common.prefix, users)?,
        chatctl_load::runtime_pool::RuntimePool::start(arguments.common.threads)?,
    );
    let users: Arc<[BenchUser]> = users.into();
    let bearer: Arc<str> = format!("Bearer {}", users::admin_token(&context.http)).into();
    let mut watch = context.watch(&arguments.common)?;
    let shared = Arc::new(Coordination::default());
    let (seconds, processes, interrupted) = context.coordinator.block_on(async {
        let interrupt = InterruptCounter::listen();
        let progress = Progress::begin("reading");
        for number in 0..arguments.concurrency {
            let reader = HistoryReader::connect(&context.server, &bearer).await?;
            let task = read_on(reader, Arc::clone(&users), arguments.limit, Arc::clone(&shared));
            pool.spawn(number, task);
        }
        wait(arguments.warmup, &interrupt, &shared.failed).await;
        watch.begin()?;
        let begun = Instant::now();
        shared.measuring.store(true, Relaxed);
        wait(arguments.duration, &interrupt, &shared.failed).await;
        shared.measuring.store(false, Relaxed);
        let seconds = begun.elapsed().as_secs_f64();
        let count = shared.counts.lock().pages;
        drop(progress);
        anyhow::Ok((seconds, watch.end(count)?, interrupt.happened()))
    })?;
    drop(pool);
    let mut counts = shared.counts.lock();
    if let Some(error) = counts.error.take() {
        return Err(error);
    }
    let report = PagesReport {
        benchmark: "history",
        server: context.server.authority.clone(),
        conversations: arguments.conversations,
        concurrency: arguments.concurrency,
        limit: arguments.limit,
        seconds,
        pages_per_second: counts.pages as f64 / seconds,
        pages: counts.pages,
        messages: counts.messages,
        short_pages: counts.short,
        bytes: counts.bytes,
        page: counts.latencies.summary(),
        processes,
        interrupted,
    };
    if let Some(file) = &arguments.plot {
        let series = Series::of("page", report.page.as_ref());
        plot::save(file, &report.title(), series.as_slice())?;
    }
    Ok(report)
}

async fn wait(time: std::time::Duration, interrupt: &InterruptCounter, failed: &Notify) {
    tokio::select! {
        () = sleep(time) => {}
        () = interrupt.wait_for(1) => {}
        // It stays told, for the next wait.
        () = failed.notified() => failed.notify_one(),
    }
}

/// Reads one page after the other until the pool ends or one fails.
async fn read_on(mut reader: HistoryReader, users: Arc<[BenchUser]>, limit: usize, shared: Arc<Coordination>) {
    let query = format!("?limit={limit}");
    loop {
        let first = 2 * rand::random_range(0..users.len() / 2);
        let begun = Instant::now();
        let read = reader.read(users[first].id, users[first + 1].id, &query).await;
        let took = begun.elapsed();
        let mut counts = shared.counts.lock();
        match read {
            Ok(read) if shared.measuring.load(Relaxed) => {
                counts.latencies.record(took);
                counts.pages += 1;
                counts.messages += read.messages;
                counts.short += u64::from(read.messages < limit as u64);
                counts.bytes += read.bytes;
            }
            Ok(_) => {}
            Err(error) => {
                counts.error = Some(error);
                shared.failed.notify_one();
                return;
            }
        }
    }
}

/// The result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PagesReport {
    benchmark: &'static str,
    server: String,
    conversations: usize,
    concurrency: usize,
    limit: usize,
    seconds: f64,
    pages_per_second: f64,
    pages: u64,
    messages: u64,
    short_pages: u64,
    bytes: u64,
    /// From the request to the end of its answer.
    page: Option<Summary>,
    processes: Vec<ProcessReport>,
    interrupted: bool,
}

impl PagesReport {
    fn title(&self) -> String {
        format!(
            "pages of {}, {} conversations, {} at a time",
            self.limit,
            HumanCount(self.conversations as u64),
            self.concurrency
        )
    }
}

impl Report for PagesReport {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let interrupted = if self.interrupted { ", interrupted" } else { "" };
        report::line(out, self.benchmark, format_args!("{} at {}", self.title(), self.server))?;
        let rate = three_digits(self.pages_per_second);
        report::line(
            out,
            "rate",
            format_args!("{rate} pages/s over {:.2} s{interrupted}", self.seconds),
        )?;
        report::latencies(out, &[("page", self.page.as_ref())])?;
        report::processes(out, "page", &self.processes)?;
        let what = format!(
            "{} pages with {} messages, {} of them short",
            HumanCount(self.pages),
            HumanCount(self.messages),
            HumanCount(self.short_pages)
        );
        report::verdict(out, self.passed(), what)
    }

    /// Short pages are no fault: conversations may be short. Empty ones only would measure nothing.
    fn passed(&self) -> bool {
        self.messages > 0
    }
}
