//! The arguments and the help of the commands that look at a server: `doctor`, `top` and `trace`.

use std::time::Duration;

use chatctl_terminal::values::time;
use clap::Args;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Where pages come from that are to connect, such as `https://app.example.com`: asks whether they are let in.
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<String>,
    /// Connect as this user until the server's first ping, some 25 s: whether a proxy ends connections before.
    #[arg(long = "as", value_name = "USER")]
    pub(crate) user: Option<String>,
}

/// The help at the end of `chatctl doctor --help`.
pub(super) const DOCTOR_HELP: &str = "\
Each line is one thing that was looked at: ✓ as it should be, ! works and may not be what you want, ✗ wrong, · not \
looked at. A line with → says what to change. It asks for the server's health and clock, whether a token of this \
program is taken, how the server says it stands (store, durability, indexes, backlog, files, settings, keys of the \
provider), and what is between here and there: WebSocket, polling, sessions, CORS.

Run it from where your clients are, with the address that they use, and name the place of administration \
(--admin-url). Several addresses are looked at one after the other.

The exit status is 1 if anything is wrong. With --json: one array, an object for each address.

Examples:
  chatctl doctor
  chatctl doctor --url https://chat.example.com \\
    --admin-url http://10.0.0.5:5100 \\
    --origin https://app.example.com --as userA";

/// Arguments of `top`.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// From one page of metrics to the next.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    pub(crate) interval: Duration,
    /// Print the numbers of one interval, and end.
    #[arg(long)]
    pub(crate) once: bool,
}

/// The help at the end of `chatctl top --help`.
pub(super) const TOP_HELP: &str = "\
It reads GET /metrics where administration is served (--admin-url). q, Esc or Ctrl-C quits. A server that is away is \
shown as such, and goes on when it is back. Several servers stand side by side.

With --once --json: one array, an object for each server; rates are a second, times are of the interval.

Examples:
  chatctl top
  chatctl top --url http://10.0.0.5:5000,http://10.0.0.6:5000 \\
    --admin-url http://10.0.0.5:5100,http://10.0.0.6:5100
  chatctl top --once --json | jq '.[0].messagesPerSecond'";

/// The help at the end of `chatctl trace --help`.
pub(super) const TRACE_HELP: &str = "\
A server remembers the last 65,536 steps for an hour, and no text. What is older is answered from the store: when it \
was stored, delivered and read. Name all servers of a database with --url, and their --admin-url, to hear what each did.

The exit status is 1 if nobody knows the message. With --json: {\"nodes\":[…],\"why\":…}.

Examples:
  chatctl trace 6945577083968f286a0ff5fb
  chatctl trace 0190a5e2-7c1b-7a30-9d25-3f1c5e0d8a11 --json | jq .why";
