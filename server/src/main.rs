//! Reads the configuration, starts the server, and stops it when a signal asks for that.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;
use std::time::Duration;

use server::config::{self, ConfigError, Given, LogFormat};
use server::server::{RunError, run};
use server::signals::Signals;
use server::telemetry::{self, complain, say};
use shared::settings::SettingsError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use greeting::Greeting;

mod greeting;
mod inspect;

/// Gives back to the system what was freed, which glibc keeps when something small lies above it; and takes less time.
/// Measured in `BENCHMARKS.md`.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long work that can't be interrupted may go on after the server has stopped, such as opening a database that
/// is waited for no more.
const LEFTOVERS_TIMEOUT: Duration = Duration::from_secs(1);

/// The exit status if a setting is wrong; clap's, too.
const WRONG_SETTING_STATUS: u8 = 2;

fn main() -> ExitCode {
    let code = start();
    telemetry::finish();
    code
}

fn start() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let given = match config::read(&arguments) {
        Ok(given) => given,
        Err(error) => return refuse(error),
    };
    if given.config.print_config {
        return inspect::print(&given);
    }
    telemetry::start(&given.config);
    #[cfg(feature = "failpoints")]
    let _scenario = server::failpoints::set_up();
    given.warn();
    if given.config.check_config {
        return in_runtime(inspect::check(Some(&given), Vec::new())).unwrap_or_else(|code| code);
    }
    let served = match in_runtime(serve(&given)) {
        Ok(served) => served,
        Err(code) => return code,
    };
    let Err(error) = served else {
        return ExitCode::SUCCESS;
    };
    match error.downcast_ref() {
        Some(RunError::Setting { name, why }) => {
            complain(inspect::wrong(&given, name, why));
            ExitCode::from(WRONG_SETTING_STATUS)
        }
        _ => {
            complain(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs this to its end. Otherwise says why it can't, and returns the status to exit with.
fn in_runtime<T>(work: impl Future<Output = T>) -> Result<T, ExitCode> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        complain(format_args!("the runtime could not be started: {error}"));
        ExitCode::FAILURE
    })?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(LEFTOVERS_TIMEOUT);
    Ok(done)
}

/// Says what is wrong with the settings, or the help that was asked for.
fn refuse(error: ConfigError) -> ExitCode {
    telemetry::write_as(error.log_format);
    if !error.problems.is_empty() {
        let checked = in_runtime(inspect::check(error.rest.as_deref(), error.problems));
        return checked.unwrap_or_else(|code| code);
    }
    match &error.error {
        SettingsError::Flags(flags) if error.log_format == LogFormat::Text || !flags.use_stderr() => {
            // The exit status says it, too, where nothing can be written.
            let _ = flags.print();
            ExitCode::from(u8::try_from(flags.exit_code()).unwrap_or(WRONG_SETTING_STATUS))
        }
        SettingsError::Flags(flags) => {
            let text = flags.to_string();
            complain(text.trim_start_matches("error: ").trim_end());
            ExitCode::from(WRONG_SETTING_STATUS)
        }
        wrong => {
            complain(wrong);
            ExitCode::from(WRONG_SETTING_STATUS)
        }
    }
}

async fn serve(given: &Given) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let stop = CancellationToken::new();
    // Ends with the server, also while that ends by itself.
    let listening = AbortOnDropHandle::new(tokio::spawn(signals.obey(stop.clone())));
    let greeting = Greeting::of(given);
    run(given.config.clone(), stop, |started| greeting.say(started)).await?;
    drop(listening);
    say("Server stopped");
    Ok(())
}
