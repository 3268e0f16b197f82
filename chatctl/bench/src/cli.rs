//! The arguments of `chatctl bench` and their help.

mod flaky_help;

use std::path::PathBuf;
use std::time::Duration;

use chatctl_load::process::Named;
use chatctl_load::stamp;
use chatctl_terminal::values::{self, count, rate, time};
use clap::{Args, Subcommand, ValueEnum};

use self::flaky_help::{DEPLOY_HELP, JITTER_HELP};

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Send messages as fast as possible (closed loop) or at a fixed rate (open loop).
    #[command(after_help = MESSAGES_HELP)]
    Messages(Messages),
    /// Connect many users at once; optionally drop all and let them come back.
    #[command(after_help = CONNECT_HELP)]
    Connect(Connect),
    /// Measure the memory of idle connections: the slope over several numbers of them.
    #[command(after_help = "\
Measure a server that was just started: memory that it had used and freed would be used again before it grows. A \
server stops at its own limit of connections (MAX_CONNECTIONS).

Example:
  chatctl bench idle --steps 2000,6000,10000,14000,18000 --pid server=auto")]
    Idle(Idle),
    /// Cut every user's connection again and again, as bad networks do, and see whether anything is lost.
    #[command(after_help = JITTER_HELP)]
    Jitter(Jitter),
    /// Restart the server while users write to each other, and see whether anything is lost.
    #[command(after_help = DEPLOY_HELP)]
    Deploy(Deploy),
    /// Read pages of random conversations, or one whole conversation.
    #[command(after_help = HISTORY_HELP)]
    History(History),
    /// Store a number of messages, for `bench history` to read.
    #[command(after_help = "\
The same --prefix and --conversations then select them in `bench history`.

Examples:
  chatctl bench fill --messages 2000000 --conversations 1000
  chatctl bench fill --messages 100000 --conversations 1 --prefix long")]
    Fill(Fill),
    /// Draw the latency curves of saved runs into one picture.
    #[command(after_help = "\
Each curve is named after its file.

Example:
  chatctl bench messages --users 1000 --json > ours.json
  chatctl bench plot ours.json theirs.json --out both.svg")]
    Plot(Plot),
}

/// What most benchmarks take.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Watch this process: CPU time per message, resident memory. Repeatable; PID alone is called `server`, and `server=auto` is
    /// the process of this machine that listens at the server's port.
    #[arg(long = "pid", value_name = "NAME=PID", num_args = 1..)]
    pub pids: Vec<Named>,
    /// The users are called PREFIX-000001 and so on; they are created if need be.
    #[arg(long, value_name = "PREFIX", default_value = "bench")]
    pub prefix: String,
    /// Threads that make the load.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count(1..=64))]
    pub threads: usize,
}

/// Arguments of `bench messages`.
#[derive(Debug, Args)]
pub struct Messages {
    /// Users, each with one connection; every two of them write to each other.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count(1..=1_000_000))]
    pub users: usize,
    /// Closed loop: so many messages of each user are without an answer at any time.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = count(1..=100_000))]
    pub inflight: usize,
    /// Open loop: send so many messages a second, all users together, however long answers take. Latencies count from
    /// the moment a message should have been sent.
    #[arg(long, value_name = "R", conflicts_with = "inflight", value_parser = rate)]
    pub rate: Option<f64>,
    /// Measure for so long [default: 10s, or up to 1h with --messages]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,
    /// Send so many messages in all, and measure from the first until the last is done, at most for --duration.
    #[arg(long, value_name = "M", value_parser = values::number::<u64>(1..=u64::MAX))]
    pub messages: Option<u64>,
    /// Send for so long before measuring.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time, conflicts_with = "messages")]
    pub warmup: Duration,
    /// Wait at most so long for what is on its way at the end.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub drain: Duration,
    /// Length of each text in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = count(stamp::STAMP_BYTES as u64..=16_384))]
    pub size: usize,
    /// Give each message a clientMessageId (UUIDv7).
    #[arg(long)]
    pub client_ids: bool,
    /// So many of the users are hostile: they flood, read nothing, or come with wrong tokens, a third each. What is measured is the
    /// others.
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = percent)]
    pub hostile: f64,
    /// Whether the server acknowledges messages; where it doesn't, a message is done when it is delivered.
    #[arg(long, value_enum, default_value_t = Acks::Auto)]
    pub acks: Acks,
    /// Draw the latency curve into this file.
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// What is common.
    #[command(flatten)]
    pub common: Common,
}

/// Whether a server acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Acks {
    /// Try it first.
    Auto,
    /// It does.
    Yes,
    /// It doesn't.
    No,
}

/// Arguments of `bench connect`.
#[derive(Debug, Args)]
pub struct Connect {
    /// Users to connect, each once.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = count(1..=1_000_000))]
    pub users: usize,
    /// Handshakes at a time.
    #[arg(long, value_name = "C", default_value_t = 256, value_parser = count(1..=1_000_000))]
    pub concurrency: usize,
    /// Then drop all connections at once and measure how long it takes until all are back.
    #[arg(long)]
    pub reconnect: bool,
    /// Each comes back after a random time up to this; 0s is the hardest.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time, requires = "reconnect")]
    pub spread: Duration,
    /// Connect with a cursor, and count as connected when all that was missed has come (`sync_done`).
    #[arg(long)]
    pub catch_up: bool,
    /// Messages that each user misses while all are dropped.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = count(0..=1_000), requires = "catch_up")]
    pub missed: usize,
    /// Meanwhile so many other pairs write to each other; their latency is reported.
    #[arg(long, value_name = "PAIRS", default_value_t = 0, value_parser = count(0..=10_000))]
    pub bystanders: usize,
    /// Messages a second of all bystanders together.
    #[arg(long, value_name = "R", default_value_t = 100.0, value_parser = rate)]
    pub bystander_rate: f64,
    /// Give up if not all are connected after this.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = time)]
    pub within: Duration,
    /// What is common.
    #[command(flatten)]
    pub common: Common,
}

/// What `bench jitter` and `bench deploy` take.
#[derive(Debug, Args)]
pub struct Flaky {
    /// Users, each with one connection; every two of them write to each other. An odd number becomes the next even one.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = count(2..=100_000))]
    pub users: usize,
    /// Messages a second of each user.
    #[arg(long, value_name = "R", default_value_t = 2.0, value_parser = rate)]
    pub rate: f64,
    /// Write for so long.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub duration: Duration,
    /// Afterwards, wait at most so long until everybody is back and has everything.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub settle: Duration,
    /// Then do the same with another server: a stock Socket.IO server with its connection state recovery, which acknowledges, and
    /// has no cursors. The report shows both beside each other.
    #[arg(long, value_name = "URL")]
    pub stock: Option<String>,
    /// Draw how long catching up took into this file.
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// What is common.
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `bench jitter`.
#[derive(Debug, Args)]
pub struct Jitter {
    /// Cut each connection once in this time, each at another moment.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = time)]
    pub every: Duration,
    /// Stay away for so long after that.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    pub away: Duration,
    /// What both take.
    #[command(flatten)]
    pub flaky: Flaky,
}

/// Arguments of `bench deploy`.
#[derive(Debug, Args)]
pub struct Deploy {
    /// What restarts the server: a command for `sh -c` that ends when the server answers again.
    #[arg(long, value_name = "COMMAND")]
    pub restart: String,
    /// The same for the server of --stock.
    #[arg(long, value_name = "COMMAND", requires = "stock")]
    pub stock_restart: Option<String>,
    /// From the begin of one restart to that of the next; the first one comes after this time, too.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    pub every: Duration,
    /// What both take.
    #[command(flatten)]
    pub flaky: Flaky,
}

/// Arguments of `bench idle`.
#[derive(Debug, Args)]
pub struct Idle {
    /// Numbers of connections at which memory is read, rising.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_value = "2000,6000,10000,14000,18000",
          value_parser = count(1..=1_000_000))]
    pub steps: Vec<usize>,
    /// Handshakes at a time.
    #[arg(long, value_name = "C", default_value_t = 128, value_parser = count(1..=100_000))]
    pub concurrency: usize,
    /// At each step, read the memory when it has kept still, after this time at the latest.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub settle: Duration,
    /// Give up if a step's connections are not there after this.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = time)]
    pub within: Duration,
    /// What is common.
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `bench history`.
#[derive(Debug, Args)]
pub struct History {
    /// The conversations to choose from, as `bench fill` filled them.
    #[arg(long, value_name = "C", default_value_t = 1_000, value_parser = count(1..=500_000))]
    pub conversations: usize,
    /// Requests at a time, each on a connection of its own that is kept.
    #[arg(long, value_name = "C", default_value_t = 4, value_parser = count(1..=10_000))]
    pub concurrency: usize,
    /// Messages in a page, the newest.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = count(1..=200))]
    pub limit: usize,
    /// Measure for so long.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub duration: Duration,
    /// Read for so long before measuring.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    pub warmup: Duration,
    /// Read whole conversations instead, one after the other, the first to the last.
    #[arg(long, conflicts_with_all = ["concurrency", "limit", "warmup", "duration", "plot"])]
    pub full: bool,
    /// With --full: read all of them so many times.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = count(1..=1_000), requires = "full")]
    pub repeat: usize,
    /// Draw the latency curve into this file.
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// What is common.
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `bench fill`.
#[derive(Debug, Args)]
pub struct Fill {
    /// Messages to store.
    #[arg(long, value_name = "M", value_parser = values::number::<u64>(1..=u64::MAX))]
    pub messages: u64,
    /// Conversations to spread them over, evenly or nearly so; each has two users of its own.
    #[arg(long, value_name = "C", default_value_t = 1_000, value_parser = count(1..=500_000))]
    pub conversations: usize,
    /// Length of each text in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = count(stamp::STAMP_BYTES as u64..=16_384))]
    pub size: usize,
    /// Give up after this.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    pub within: Duration,
    /// What is common.
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `bench plot`.
#[derive(Debug, Args)]
pub struct Plot {
    /// Reports that `--json` wrote.
    #[arg(value_name = "FILE.json", required = true)]
    pub reports: Vec<PathBuf>,
    /// The picture.
    #[arg(long, value_name = "FILE.svg")]
    pub out: PathBuf,
    /// Which latency.
    #[arg(long, value_enum, default_value_t = Curve::Delivery)]
    pub curve: Curve,
}

/// A latency of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Curve {
    /// From sending to the acknowledgement.
    Ack,
    /// From sending to the delivery.
    Delivery,
    /// Of a page of history.
    Page,
}

/// A share, such as 5%.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').unwrap_or(text.trim());
    let percent = number
        .trim()
        .parse()
        .ok()
        .filter(|percent| (0.0..=50.0).contains(percent));
    percent
        .map(|percent: f64| percent / 100.0)
        .ok_or_else(|| "write a share of the users, from 0% to 50%, such as 5%".to_owned())
}

/// The help at the end of `chatctl bench --help`.
pub const HELP: &str = "\
It speaks raw frames over WebSocket and runs against any server with the same contract for clients, one without \
acknowledgements or POST /users included: messages then count when they are delivered, and the ids of users are made \
up. The secret is found as for other commands.

The exit status is 1 if a message was lost, duplicated, out of order or never answered. Ctrl-C ends the measuring \
and reports what there is; a second one doesn't wait for what is on its way. With --json, the report is one JSON \
object.

Start the server under test with a data directory of its own: users and messages stay there. Name it as DATA_DIR \
here, too, where the server has put its secret.

Try it:
  chatctl bench messages --users 1000 --pid server=auto
  chatctl bench connect --users 18000 --reconnect --bystanders 20
  chatctl bench jitter --users 1000";

const MESSAGES_HELP: &str = "\
A message counts when it is acknowledged and delivered. The CPU time per message is that of the window divided by \
the messages that counted in it; microseconds per message are the same as seconds per million messages. Latencies \
are of all messages sent inside the window, also of those that were done after it.

A server limits how often a user may send; then that is what is measured, and the report says so. Start the server \
with RATE_LIMITS=off to measure the server. With --hostile leave the limits on, and stay below them with --rate.

The row \"told\" is the time until the receiver gets the conversation_updated that covers the message. These are \
gathered: one comes at once after the first change of a conversation, and then at most one a second, so up to a \
second is no sign of a slow server.

Examples:
  chatctl bench messages --users 1000 --pid server=auto \\
    --pid mongod=$(pidof mongod)
  chatctl bench messages --users 1000 --rate 7500 --duration 30s \\
    --plot latency.svg
  chatctl bench messages --users 1000 --rate 5000 --hostile 5%
  chatctl bench messages --users 2                the way of a lone message";

const CONNECT_HELP: &str = "\
Examples:
  chatctl bench connect --users 18000 --pid server=auto
  chatctl bench connect --users 18000 --reconnect --bystanders 20
  chatctl bench connect --users 18000 --reconnect --catch-up --missed 5";

const HISTORY_HELP: &str = "\
Examples:
  chatctl bench fill --messages 2000000 --conversations 1000
  chatctl bench history --conversations 1000 --pid server=auto
  chatctl bench fill --messages 100000 --conversations 1 --prefix long
  chatctl bench history --full --conversations 1 --prefix long --pid server=auto";
