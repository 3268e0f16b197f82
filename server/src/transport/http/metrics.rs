//! `GET /metrics`, at the place of administration only and without a token: what the process counted, and what can be read of its
//! parts at the moment of the scrape.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use crate::delivery::client::Transport;
use crate::error::{self, HttpError};
use crate::metrics::{Format, METRICS, Page, process, write};
use crate::transport::context::Context;

/// `GET /metrics`: all families, as OpenMetrics or in the text format of Prometheus, as the request accepts.
pub async fn metrics(State(context): State<Arc<Context>>, headers: HeaderMap) -> Result<Response, HttpError> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    // Every connection is looked at, and files of the system are read.
    let written = tokio::task::spawn_blocking(move || write(format, move |page| families(page, &context))).await;
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

fn families(page: &mut Page<'_>, context: &Context) -> fmt::Result {
    METRICS.write(page)?;
    connections(page, context)?;
    queue(page, context)?;
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
