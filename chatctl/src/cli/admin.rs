//! The arguments and the help of `chatctl admin`.

use std::time::Duration;

use chatctl_terminal::values::lifetime;
use clap::Subcommand;
use shared::Timestamp;

/// What an administrator can do about a user.
#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Refuse all tokens of a user that were made before now, and end the user's connections.
    Revoke {
        /// Whose: a name or an id.
        user: String,
    },
    /// Shut a user out, and end the user's connections.
    Ban {
        /// Whom: a name or an id.
        user: String,
        /// Until when, such as 2026-12-01T00:00:00Z; for good without it.
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
        /// For how long, such as 90s, 1h or 7d.
        #[arg(long = "for", value_name = "DURATION", value_parser = lifetime, conflicts_with = "until")]
        lasting: Option<Duration>,
        /// Why; the user is shown it.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Lift the ban of a user.
    Unban {
        /// Whose: a name or an id.
        user: String,
    },
    /// List the connections of a user to these servers.
    Connections {
        /// Whose: a name or an id.
        user: String,
    },
    /// Show what these servers log, or have them log by another filter.
    LogLevel {
        /// The filter, as LOG_LEVEL has it, such as debug or info,server::transport=debug.
        filter: Option<String>,
        /// For how long, such as 10m or 1h; until the server ends without it.
        #[arg(long = "for", value_name = "DURATION", value_parser = lifetime, requires = "filter")]
        lasting: Option<Duration>,
    },
    /// End one connection.
    Disconnect {
        /// Its id, as `connections` lists it.
        id: String,
    },
}

pub(super) const ADMIN_HELP: &str = "\
The server answers this where it serves administration, at --admin-url or CHAT_ADMIN_URL: on its own machine, unless \
ADMIN_LISTEN says otherwise.

A server knows its own connections only: with several servers on one database name all of them in --url, with commas \
in between, for `connections` and `disconnect`, and likewise in --admin-url. The others hold for all servers, whichever is asked.

With --json: what the server answers, for `connections` one array with an element for each server.

Examples:
  chatctl admin revoke userA
  chatctl admin ban userA --for 7d --reason \"spam\"
  chatctl admin connections userA";
