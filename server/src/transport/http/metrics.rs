//! `GET /metrics`, at the place of administration only and without a token: what the process counted, and what can be read of its
//! parts at the moment of the scrape.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use crate::clock;
use crate::delivery::client::Transport;
use crate::error::{self, HttpError};
use crate::metrics::{Format, METRICS, Page, process, write};
use crate::telemetry;
use crate::transport::context::Context;

/// `GET /metrics`: all families, as OpenMetrics or in the text format of Prometheus, as the request accepts.
pub async fn metrics(State(context): State<Arc<Context>>, headers: HeaderMap) -> Result<Response, HttpError> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let reachable = context.store_check.reachable(&context.store).await;
    // Every connection is looked at, and files of the system are read.
    let written =
        tokio::task::spawn_blocking(move || write(format, move |page| families(page, &context, reachable))).await;
    match written {
        Ok(Ok(page)) => Ok(([(header::CONTENT_TYPE, format.content_type())], page).into_response()),
        Ok(Err(error)) => {
            tracing::error!(%error, "metrics: they could not be written");
            Err(error::failed().into())
        }
        Err(error) => {
            tracing::error!(%error, "metrics: they could not be written");
            Err(error::failed().into())
        }
    }
}

fn families(page: &mut Page<'_>, context: &Context, reachable: bool) -> fmt::Result {
    METRICS.write(page)?;
    connections(page, context)?;
    queue(page, context)?;
    presence(page, context)?;
    store(page, context, reachable)?;
    parts(page, context)?;
    process::write(page)
}

/// Who is connected, and what waits for them.
fn connections(page: &mut Page<'_>, context: &Context) -> fmt::Result {
    let registered = &context.chat.registrar.connections;
    let clients = registered.clients();
    let by = |transport| {
        let carried = clients.iter().filter(|client| client.transport() == Some(transport));
        (Transport::name(transport), carried.count() as u64)
    };
    page.gauges(
        "chat_connections",
        "Connections that are open, by what carries them",
        "transport",
        [by(Transport::Polling), by(Transport::WebSocket)],
    )?;
    let (users, _) = registered.size();
    page.gauge(
        "chat_connected_users",
        "Users who have a connection to this process",
        users,
    )?;
    let waiting = || clients.iter().map(|client| client.waiting() as u64);
    page.bytes(
        "chat_send_buffers",
        "What waits for clients to read it, of all connections",
        waiting().sum(),
    )?;
    page.bytes(
        "chat_largest_send_buffer",
        "What waits for the connection for which most waits",
        waiting().max().unwrap_or(0),
    )?;
    page.counters(
        "chat_ended_connections",
        "Connections and sessions that the server ended, by why; unread: more waited for it than may wait",
        "reason",
        context.registry.ended(),
    )?;
    page.counters(
        "chat_refused",
        "What was refused before it was known who asks, by what it was",
        "what",
        context.registry.refused(),
    )
}

/// Messages between their arrival and their delivery.
fn queue(page: &mut Page<'_>, context: &Context) -> fmt::Result {
    let depth = context.chat.queued();
    page.gauge(
        "chat_queue_waiting_messages",
        "Messages that wait to be stored",
        depth.waiting,
    )?;
    page.gauge(
        "chat_queue_messages",
        "Messages that wait, are being stored or are being delivered",
        depth.messages,
    )?;
    page.bytes(
        "chat_queue",
        "Bytes of the messages of chat_queue_messages",
        depth.bytes as u64,
    )
}

/// Who follows whom, and what is not stored yet of who is there.
fn presence(page: &mut Page<'_>, context: &Context) -> fmt::Result {
    let registrar = &context.chat.registrar;
    page.gauge(
        "chat_presence_unwritten_users",
        "Users whose coming or leaving is not stored yet",
        registrar.presence_writer.unwritten(),
    )?;
    let (followed, subscriptions) = registrar.presence_subscriptions.size();
    page.gauge("chat_followed_users", "Users whose presence somebody follows", followed)?;
    page.gauge(
        "chat_presence_subscriptions",
        "Users that connections follow, counted for each connection",
        subscriptions,
    )
}

/// The database, and what is computed from it.
fn store(page: &mut Page<'_>, context: &Context, reachable: bool) -> fmt::Result {
    page.gauge(
        "chat_store_reachable",
        "Whether the database did its work when it was asked last: 1 or 0",
        u64::from(reachable),
    )?;
    let up_to = METRICS.polled_up_to.get();
    let lag = clock::now().millis().cast_unsigned().saturating_sub(up_to);
    page.seconds(
        "chat_poller_lag",
        "How long ago that was up to which all that other programs wrote was read; 0 where nobody else writes",
        if up_to == 0 { 0.0 } else { lag as f64 / 1_000.0 },
    )?;
    let inbox = context.chat.projection();
    page.gauge(
        "chat_inbox_ready",
        "Whether the lists of conversations are complete: 1 or 0",
        u64::from(inbox.ready),
    )?;
    page.gauge(
        "chat_inbox_building",
        "Whether they are being built: 1 or 0",
        u64::from(inbox.building),
    )?;
    page.gauge(
        "chat_inbox_build_done_messages",
        "Messages that this build has read, or the last one",
        inbox.done,
    )?;
    page.gauge("chat_inbox_build_messages", "Messages that it has to read", inbox.total)
}

/// The parts of the process itself.
fn parts(page: &mut Page<'_>, context: &Context) -> fmt::Result {
    let parts = context.supervisor.counts();
    page.gauges(
        "chat_tasks",
        "Tasks and threads that live as long as the server, and run",
        "task",
        parts.iter().map(|(name, count)| (*name, count.running)),
    )?;
    page.counters(
        "chat_tasks_ended",
        "Those that have ended, which is a fault unless the server stops",
        "task",
        parts.iter().map(|(name, count)| (*name, count.ended)),
    )?;
    page.counter(
        "chat_log_lines_lost",
        "Log lines that could not be written",
        telemetry::lost_lines(),
    )?;
    let store = match context.config.mongo_uri {
        Some(_) => "mongodb",
        None => "embedded",
    };
    let version = env!("CARGO_PKG_VERSION");
    let protocol = shared::PROTOCOL_VERSION.to_string();
    page.info(
        "chat_build",
        "What runs: the version of the server and of its protocol, and which database it keeps",
        &[("version", version), ("protocol", &protocol), ("store", store)],
    )
}
