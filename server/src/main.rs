//! Reads the configuration, starts the server, and stops it when a signal asks for that.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use server::config::Config;
use server::run::{self, RunError};
use server::signals::Signals;
use server::telemetry::{self, complain, say};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Gives back to the system what was freed, which glibc keeps when something small lies above it; and takes less time.
/// Measured in `BENCHMARKS.md`.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long work that can't be interrupted may go on after the server has stopped, such as opening a database that
/// nobody waits for any more.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// Where chatctl finds the server if it is told nothing.
const CHATCTL_LOOKS_AT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// The exit status if a setting is wrong; clap's, too.
const WRONG_SETTING: u8 = 2;

fn main() -> ExitCode {
    let code = start();
    telemetry::finish();
    code
}

fn start() -> ExitCode {
    if let Err(message) = read_dotenv() {
        complain(format_args!(".env: {message}"));
        return ExitCode::from(WRONG_SETTING);
    }
    let config = Config::parse();
    telemetry::start(&config);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format_args!("the runtime could not be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(serve(config));
    runtime.shutdown_timeout(LEFTOVERS);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("{error:#}"));
            match error.downcast_ref() {
                Some(RunError::Setting { .. }) => ExitCode::from(WRONG_SETTING),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let stop = CancellationToken::new();
    // Ends with the server, also while that ends by itself.
    let listening = AbortOnDropHandle::new(tokio::spawn(signals.obey(stop.clone())));
    let greeting = Greeting::of(&config);
    run::run(config, stop, |port| greeting.say(port)).await?;
    drop(listening);
    say("Server stopped");
    Ok(())
}

/// What a person who starts the server reads, and what to try next.
struct Greeting {
    host: IpAddr,
    /// Where the secret is, if it is in a file that chatctl would not look at by itself.
    data_dir: Option<PathBuf>,
}

impl Greeting {
    fn of(config: &Config) -> Self {
        let elsewhere =
            config.jwt_secret.is_none() && config.data_dir.components().ne(Path::new("./data").components());
        Self {
            host: match config.host {
                IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                host => host,
            },
            data_dir: elsewhere.then(|| config.data_dir.clone()),
        }
    }

    fn say(&self, port: u16) {
        // Under `cargo run`, chatctl is not on the PATH yet.
        let chatctl = match std::env::var_os("CARGO") {
            Some(_) => "cargo chatctl",
            None => "chatctl",
        };
        let mut settings = String::new();
        let address = SocketAddr::new(self.host, port);
        if address != CHATCTL_LOOKS_AT {
            settings += &format!("CHAT_URL=http://{address} ");
        }
        if let Some(data_dir) = &self.data_dir {
            settings += &format!("DATA_DIR='{}' ", data_dir.display());
        }
        say(format_args!("Server running on port {port}"));
        say("");
        say("Try next, in another terminal:");
        say(format_args!("  {settings}{chatctl} seed users"));
        say(format_args!("  {settings}{chatctl} chat --as userA --with userB"));
    }
}

/// Reads `.env` in the working directory, where it is. Lines of it are never shown: they hold secrets.
fn read_dotenv() -> Result<(), String> {
    match dotenvy::from_path(".env") {
        Ok(()) => Ok(()),
        Err(dotenvy::Error::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(dotenvy::Error::Io(error)) => Err(error.to_string()),
        Err(dotenvy::Error::LineParse(_, column)) => Err(format!(
            "a line is not NAME=value (the fault is at its column {column}); quote values with spaces"
        )),
        Err(_) => Err("the file could not be read".to_owned()),
    }
}
