//! All configuration: one struct, read once, from flags, the environment and `.env`.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Parser, ValueEnum};

use paths::Paths;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod host;
mod limits;
mod listen;
mod networks;
mod origins;
mod pages;
pub mod paths;
mod rate;
mod read;
mod tokens;
mod values;

pub use host::Host;
pub use limits::{Limits, ProxyHeader, Switch};
pub use listen::{Administration, Endpoint, Listen};
pub use networks::{Networks, UNIX};
pub use origins::{Origins, Pattern};
pub use pages::{Pages, Playground};
pub use rate::{Allowed, Quota, Rate};
pub use read::{ConfigError, Given, Problem, read};
pub use shared::values::Secret;
pub use tokens::{TokenExpiry, Tokens, UserIdKind};
pub use values::log_filter;

/// One-to-one chat over Socket.IO, with durable messages.
///
/// Every setting can be given as a flag, in the environment or in a file `.env` in the working directory, which is read
/// as Node.js reads it; the first of these that has it counts. A setting without a value counts as unset, beside
/// MONGO_URI and DATA_DIR, which are refused then.
#[derive(Debug, Clone, Parser)]
#[command(name = "server", version, about, long_about, max_term_width = 110)]
pub struct Config {
    /// Where connections are taken.
    #[command(flatten)]
    pub listen: Listen,

    /// MongoDB to keep users and messages in, such as mongodb://localhost:27017/realtime_chat
    ///
    /// The database is the one named in the URI. If it names none, it is the one of `realtime_chat` and `test` (which
    /// Mongoose means then) that holds users; `realtime_chat` if none does; and if both do, one has to be named. Without
    /// this setting an embedded database in DATA_DIR is used.
    #[arg(long, env = "MONGO_URI", hide_env_values = true, value_parser = values::mongo_uri)]
    pub mongo_uri: Option<Secret>,

    /// File that holds MONGO_URI, such as a secret of Docker or Kubernetes; a newline at its end is no part of it
    #[arg(long, env = "MONGO_URI_FILE")]
    pub mongo_uri_file: Option<PathBuf>,

    /// Directory of the embedded database and of the generated secret
    #[arg(
        long, env = "DATA_DIR", default_value = "./data",
        value_parser = OsStringValueParser::new().try_map(values::data_dir)
    )]
    pub data_dir: PathBuf,

    /// Read the whole embedded database for damage before it is used; takes a second or two for each gigabyte
    #[arg(
        long, env = "CHECK_STORE", action = ArgAction::Set, default_value_t = false, num_args = 0..=1,
        default_missing_value = "true", value_parser = values::flag
    )]
    pub check_store: bool,

    /// Say all that is wrong with the settings, and end: with status 0 if nothing is, else 2; no database is opened
    #[arg(long)]
    pub check_config: bool,

    /// List every setting, its value and where it comes from, without secrets, and end; JSON unless a person reads it
    #[arg(long)]
    pub print_config: bool,

    // Without a variable: it must not stay in a file and accept the next loss, too.
    /// Use the embedded database although it has less than it is known to have had; for one start only
    ///
    /// What is missing is lost then. The server has all clients begin anew, so that they see what is left.
    #[arg(long)]
    pub accept_loss: bool,

    /// What tokens are taken.
    #[command(flatten)]
    pub tokens: Tokens,

    /// Path below which everything is, such as /api, where a proxy does not take it off; probes work at the root as well
    #[arg(long, env = "BASE_PATH", default_value = "", hide_default_value = true, value_parser = paths::setting)]
    pub base_path: String,

    /// Path at which Socket.IO listens, the option `path` of clients; BASE_PATH/socket.io unless it is set
    #[arg(long, env = "SOCKET_PATH", value_parser = paths::setting_of_one)]
    pub socket_path: Option<String>,

    /// Folder `dist` of the package socket.io-client, for pages that load /socket.io/socket.io.js from here; read at the start
    #[arg(long, env = "CLIENT_DIST")]
    pub client_dist: Option<PathBuf>,

    /// Origins that browsers may connect from, separated by commas, such as `https://app.example.com`; * for any
    ///
    /// The server's own host always may. `https://*.example.com` stands for all names below, `http://localhost:*` for all ports;
    /// the schemes of apps (`capacitor://localhost`) and `null` can be listed.
    #[arg(long, env = "CORS_ORIGINS", default_value = "*")]
    pub cors_origins: Origins,

    /// Take the token of a connection also from its address, as ?token=…; addresses end up in the logs of proxies
    #[arg(
        long, env = "ALLOW_QUERY_TOKEN", action = ArgAction::Set, default_value_t = false, num_args = 0..=1,
        default_missing_value = "true", value_parser = values::flag
    )]
    pub allow_query_token: bool,

    /// Serve history without a token, as the program that this server replaces did; for a migration only
    #[arg(
        long, env = "LEGACY_OPEN_HISTORY", action = ArgAction::Set, default_value_t = false, num_args = 0..=1,
        default_missing_value = "true", value_parser = values::flag
    )]
    pub legacy_open_history: bool,

    /// How log lines on standard error are written
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What is logged: error, warn, info, debug, trace, off, or per module as in `info,server::chat=debug`
    #[arg(long, env = "LOG_LEVEL", default_value = "info", value_parser = values::log_filter)]
    pub log_level: String,

    /// How much and how often.
    #[command(flatten)]
    pub limits: Limits,

    /// The pages for developers.
    #[command(flatten)]
    pub pages: Pages,
}

impl Config {
    /// Where things are.
    pub fn paths(&self) -> Paths {
        Paths::new(&self.base_path, self.socket_path.as_deref())
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people, coloured at a terminal.
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_hidden() {
        let config = Config::parse_from([
            "server",
            "--jwt-secret",
            "hush-hush",
            "--mongo-uri",
            "mongodb://u:hush@h",
        ]);
        assert!(!format!("{config:?}").contains("hush"));
    }
}
