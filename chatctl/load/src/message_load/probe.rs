//! Whether a server acknowledges messages, found out by sending one to oneself.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::CONNECT_TIMEOUT;
use crate::connection::Connection;
use crate::server::Server;
use crate::users::BenchUser;
use crate::wire::{self, Frame};

/// How long the message may take.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an acknowledgement may come after the message itself.
const ACK_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends a message from a user to themself and returns whether it is acknowledged.
///
/// # Errors
/// If the connection fails, or the message is neither acknowledged nor delivered.
pub async fn acknowledges(server: &Server, user: &BenchUser) -> anyhow::Result<bool> {
    let mut connection = Connection::open(server, &user.token, CONNECT_TIMEOUT).await?;
    let event = format!("receive_message_{}", user.id);
    let frame = wire::send_message(Some(0), user.id, None, |text| {
        text.push_str("benchmark: a first message")
    });
    connection.send(frame).await?;
    let mut end = Instant::now() + MESSAGE_TIMEOUT;
    let mut delivered = false;
    while let Ok(text) = timeout_at(end, connection.next()).await {
        match Frame::of(&text?) {
            Frame::Answer(0, answer) if wire::is_error(answer) => {
                anyhow::bail!("the server refuses messages: {answer}")
            }
            Frame::Answer(0, _) => return Ok(true),
            Frame::Event(name, _) if name == event && !delivered => {
                delivered = true;
                end = Instant::now() + ACK_TIMEOUT;
            }
            Frame::Ping => connection.send(wire::PONG).await?,
            _ => {}
        }
    }
    anyhow::ensure!(
        delivered,
        "a message was neither acknowledged nor delivered within {MESSAGE_TIMEOUT:?}"
    );
    Ok(false)
}
