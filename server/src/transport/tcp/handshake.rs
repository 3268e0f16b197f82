//! The handshake of TLS on an accepted connection, bounded in time and number.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use shared::error::ErrorBody;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use super::acme::CHALLENGE;
use super::connection::Connection;
use super::raw::Raw;
use super::stream::{Carrier, Stream, linger};
use super::tls::{Tls, UNSENT_BYTES};
use crate::error;

/// How long a client may take for its handshake, waiting for its turn included.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The same on a place that is kept for probes.
const RESERVED_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a client looks whether its address has room for one more handshake.
const TURN_INTERVAL: Duration = Duration::from_millis(50);

/// What the first byte of TLS is.
const HANDSHAKE_RECORD: u8 = 22;

/// Lets a client begin TLS. Nothing if it does not within the time that it has, or speaks something else.
pub(super) async fn accept(connection: Arc<Connection>, config: Arc<ServerConfig>) -> Option<Stream> {
    let limit = match connection.is_reserved() {
        true => RESERVED_HANDSHAKE_TIMEOUT,
        false => HANDSHAKE_TIMEOUT,
    };
    let accepted = tokio::time::timeout(limit, begin(&connection, config)).await;
    match accepted {
        Ok(Ok(stream)) => return stream,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake did not end in time"),
    }
    connection.registry().count_refused_handshake();
    None
}

async fn begin(connection: &Arc<Connection>, config: Arc<ServerConfig>) -> io::Result<Option<Stream>> {
    let mut first = [0];
    if connection.socket.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if first[0] != HANDSHAKE_RECORD {
        refuse(connection).await?;
        return Ok(None);
    }
    while !connection.begin_handshake() {
        tokio::time::sleep(TURN_INTERVAL).await;
    }
    let raw = Raw::tls(Arc::clone(connection));
    let begun = TlsAcceptor::from(config).accept_with(raw, |session| session.set_buffer_limit(Some(UNSENT_BYTES)));
    match begun.into_fallible().await {
        // The authority has seen what it came for.
        Ok(mut stream) if stream.get_ref().1.alpn_protocol() == Some(CHALLENGE) => {
            let _ = stream.shutdown().await;
            Ok(None)
        }
        Ok(stream) => {
            let over = |tls| Stream::over(Arc::clone(connection), Carrier::Tls(Box::new(tls)));
            Ok(Tls::new(stream).map(over))
        }
        Err((error, _)) => {
            // The alert that says why is on its way.
            let _ = connection.socket.shutdown(std::net::Shutdown::Write);
            linger(Arc::clone(connection)).await;
            Err(error)
        }
    }
}

/// Says to a client that speaks no TLS what to do instead.
async fn refuse(connection: &Arc<Connection>) -> io::Result<()> {
    let error = error::invalid_request("this port speaks TLS only: connect with https or wss");
    let body = serde_json::to_string(&ErrorBody { error })?;
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\nCache-Control: no-store\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut raw = Raw::new(Arc::clone(connection));
    raw.write_all(answer.as_bytes()).await?;
    raw.shutdown().await?;
    linger(Arc::clone(connection)).await;
    Ok(())
}
