//! The server with a store that keeps nothing: what a message costs without a database, which `BENCHMARKS.md` compares to
//! the library alone. Nothing that it acknowledges is durable.
//!
//! `cargo run --release -p server --example null_store`; it is configured as the server is.

use std::sync::Arc;

use server::config::read;
use server::server::run_with;
use server::storage::open::Opened;
use server::telemetry::{self, say};
use tokio_util::sync::CancellationToken;

use store::NullStore;

mod store;

/// The allocator of the server, whose cost is part of what is measured.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let config = read(&arguments)?.config;
    telemetry::start(&config);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        // Without signals it runs until it is killed.
        if tokio::signal::ctrl_c().await.is_ok() {
            stopping.cancel();
        }
    });
    let opened = Opened {
        store: Arc::new(NullStore::default()),
        database: None,
    };
    let served = run_with(
        config,
        stop,
        async |_, _| Ok(opened),
        |started| {
            let port = started.tcp().map_or(0, |address| address.port());
            say(format_args!("Server running on port {port}"))
        },
    );
    let served = served.await;
    telemetry::finish();
    Ok(served?)
}
