//! Reads the configuration, starts the server, and stops it on SIGINT or SIGTERM.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use server::config::Config;
use server::{run, telemetry};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    if let Err(message) = read_dotenv() {
        eprintln!("error: .env: {message}");
        return ExitCode::from(2);
    }
    let config = Config::parse();
    telemetry::start(&config);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // A file that reaches the limit of file sizes (`ulimit -f`) shall fail the write, as a full disk does: senders are
    // told and the store heals by itself. The signal's default would end the process; listening once replaces that
    // for good.
    let _ = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
    let stopper = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
        stopper.cancel();
    });
    run::run(config, stop, greet).await?;
    println!("Server stopped");
    Ok(())
}

/// What a person who starts the server reads, and what to try next.
fn greet(port: u16) {
    // Under `cargo run`, chatctl is not on the PATH yet.
    let chatctl = match std::env::var_os("CARGO") {
        Some(_) => "cargo run --release -p chatctl --",
        None => "chatctl",
    };
    println!("Server running on port {port}");
    println!();
    println!("Try next, in another terminal:");
    println!("  {chatctl} seed users");
    println!("  {chatctl} chat --as userA --with userB");
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
