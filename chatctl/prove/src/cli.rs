//! The arguments of `chatctl prove` and their help.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chatctl_terminal::values::{count, lifetime, rate, time};
use clap::Args;

/// Arguments of `prove`.
#[derive(Debug, Args)]
pub struct Prove {
    /// Write to each other for so long.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub duration: Duration,
    /// Users who take part; new ones are created for each run.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = count(1..=5_000))]
    pub users: usize,
    /// Devices of each user. The first stays connected, the others come and go, some crash, and each time they come to
    /// another of the servers.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = count(1..=16))]
    pub devices: usize,
    /// New messages a second, all users together, while all devices are connected.
    #[arg(long, value_name = "R", default_value_t = 500.0, value_parser = rate)]
    pub rate: f64,
    /// So many messages of each device are without an answer at most.
    #[arg(long, value_name = "K", default_value_t = 4, value_parser = count(1..=1_000))]
    pub inflight: usize,
    /// Break something meanwhile: a command for `sh -c` that kills and restarts the server, or a database, and ends when
    /// that is done.
    #[arg(long, value_name = "COMMAND")]
    pub kill: Option<String>,
    /// From the begin of one such command to that of the next.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = time, requires = "kill")]
    pub kill_every: Duration,
    /// Let tokens hold for so long, and send others before they end (best with TOKEN_EXPIRY=live).
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub token_lifetime: Option<Duration>,
    /// Have an administrator revoke the tokens of users at random; they come back with new ones.
    #[arg(long)]
    pub revoke: bool,
    /// Repeat the plan of an earlier run: who writes to whom, who leaves when, what is read. Random if absent.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Afterwards, wait at most so long until every device is back and everything was acknowledged.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub settle: Duration,
    /// Where the report goes: a file ending in .html, with a .json of the same name beside it, or a folder.
    #[arg(long, value_name = "PATH", default_value = "prove-report.html")]
    pub report: PathBuf,
    /// The users are called `PREFIX-<run>-000001` and so on.
    #[arg(long, value_name = "PREFIX", default_value = "prove")]
    pub prefix: String,
}

impl Prove {
    /// The file of the report; that of the JSON has another extension.
    pub(super) fn html(&self) -> PathBuf {
        if has_extension(&self.report, "html") && !self.report.is_dir() {
            self.report.clone()
        } else {
            self.report.join("prove-report.html")
        }
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// The help at the end of `chatctl prove --help`.
pub const HELP: &str = "\
Every device keeps a copy of its user's conversations and settings as PROTOCOL.md describes: it connects with its \
cursor, is cut off at random moments, comes back with the cursor it has or, after a crash, with the copy and cursor \
it saved last. Senders repeat what was not answered under the same clientMessageId, and sometimes what was. At the \
end all come back, and the audit compares what the server said with what it has:
  every acknowledged message is in history, once, as acknowledged, in the
    order of sending;
  every device has exactly the messages, watermarks and settings of its user,
    and heard of no others;
  unread numbers and the inbox equal a recount; presence is true;
  with --revoke, no token is let in after it was revoked.

The exit status is 1 if anything was violated, or if nothing could be proven, for example because the fault command \
failed. Ctrl-C ends the writing and begins the audit. With --json, the verdict is one JSON object, as in the \
report's .json.

With several addresses in --url, all of one database, devices that come back come to another server \
than before, and the audit asks all of them.

Run it against a deployment that may keep some thousand messages of users called PREFIX-….

Examples:
  chatctl prove
  chatctl prove --duration 120s --kill './restart.sh' --kill-every 10s
  chatctl prove --duration 120s \\
    --kill 'docker kill -s KILL chat && docker start chat'
  chatctl prove --duration 150s \\
    --url http://127.0.0.1:5000,http://127.0.0.1:5001
  chatctl prove --token-lifetime 20s --revoke
  chatctl prove --seed 42 --users 20 --devices 3 --report reports/monday.html";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        prove: Prove,
    }

    fn html(arguments: &[&str]) -> PathBuf {
        let line = Line::try_parse_from([&["prove"], arguments].concat());
        line.expect("it is right").prove.html()
    }

    #[test]
    fn a_report_is_a_file_or_lies_in_a_folder() {
        assert_eq!(html(&[]), Path::new("prove-report.html"));
        assert_eq!(html(&["--report", "a/b.html"]), Path::new("a/b.html"));
        assert_eq!(html(&["--report", "a/b"]), Path::new("a/b/prove-report.html"));
    }

    #[test]
    fn an_interval_of_faults_needs_a_fault() {
        assert!(Line::try_parse_from(["prove", "--kill-every", "5s"]).is_err());
        assert!(Line::try_parse_from(["prove", "--kill-every", "5s", "--kill", "true"]).is_ok());
        assert!(Line::try_parse_from(["prove", "--users", "0"]).is_err());
    }
}
