//! Logging: structured lines on standard error. Standard output is kept for what a person who starts the server reads.
//!
//! What is logged, and where: an error once, where it is turned into its wire form ([`crate::error`]); starts, stops
//! and changes of state at `info`; connections, and requests that were refused, at `debug`. Ids may be logged; tokens, secrets and the
//! texts of messages never.

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Config, LogFormat};

/// Libraries that log, at `debug` or `trace`, what they carry: tokens and texts. No setting turns that on.
const CARRIERS: [&str; 2] = ["tungstenite", "tokio_tungstenite"];

/// Starts logging as configured. To be called once.
pub fn start(config: &Config) {
    // The filter was checked when the configuration was read.
    let filter = EnvFilter::new(&config.log_level);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(
            std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        );
    match config.log_format {
        LogFormat::Text => lines.finish().with(filter_fn(is_discreet)).init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            lines.finish().with(filter_fn(is_discreet)).init();
        }
    }
}

fn is_discreet(line: &Metadata<'_>) -> bool {
    let library = line.target().split("::").next().unwrap_or_default();
    *line.level() <= Level::INFO || !CARRIERS.contains(&library)
}
