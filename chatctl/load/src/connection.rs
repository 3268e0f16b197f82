//! One connection to a server: WebSocket, Engine.IO and Socket.IO, up to the point where events can be sent.

use std::io;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::server::{Server, Stream};
use super::wire::{self, Frame};

/// Reads and writes gather in this much memory per connection; most frames are a few hundred bytes long.
const BUFFER_BYTES: usize = 4_096;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No TCP connection.
    #[error("{0}")]
    Tcp(#[from] io::Error),
    /// The WebSocket failed, during the handshake or later.
    #[error("{0}")]
    WebSocket(Box<tungstenite::Error>),
    /// The token or the connection was refused; what the server said.
    #[error("refused: {0}")]
    Refused(String),
    /// The server ended the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The server took too long.
    #[error("no answer in time")]
    Timeout,
}

impl From<tungstenite::Error> for ConnectError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Io(error) => Self::Tcp(error),
            error => Self::WebSocket(Box::new(error)),
        }
    }
}

/// A connection of one user.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocketStream<Stream>,
}

impl Connection {
    /// Connects with a token, within a time.
    ///
    /// # Errors
    /// Why it did not work.
    pub async fn open(server: &Server, token: &str, patience: Duration) -> Result<Self, ConnectError> {
        Self::open_with(server, wire::connect(token), patience).await
    }

    /// Connects with this frame in the place of that of [`wire::connect`].
    ///
    /// # Errors
    /// Why it did not work.
    pub async fn open_with(server: &Server, connect: String, patience: Duration) -> Result<Self, ConnectError> {
        let (connection, _) = Self::open_answered(server, connect, patience).await?;
        Ok(connection)
    }

    /// The same, with the frame that said that the token was accepted, after the events that came before it: Socket.IO
    /// sends what a recovered session missed before that.
    ///
    /// # Errors
    /// Why it did not work.
    pub async fn open_answered(
        server: &Server,
        connect: String,
        patience: Duration,
    ) -> Result<(Self, Vec<Utf8Bytes>), ConnectError> {
        timeout(patience, Self::handshake(server, connect))
            .await
            .unwrap_or(Err(ConnectError::Timeout))
    }

    async fn handshake(server: &Server, connect: String) -> Result<(Self, Vec<Utf8Bytes>), ConnectError> {
        let stream = server.connect().await?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES);
        let request = server.socket_url().into_client_request()?;
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
        let mut connection = Self { socket };
        let mut frames = Vec::new();
        loop {
            let text = connection.next().await?;
            match Frame::of(&text) {
                Frame::Open => connection.send(connect.clone()).await?,
                Frame::Ping => connection.send(wire::PONG).await?,
                Frame::Event(..) => frames.push(text),
                Frame::Connected => {
                    frames.push(text);
                    return Ok((connection, frames));
                }
                Frame::Refused(why) => return Err(ConnectError::Refused(why.to_owned())),
                Frame::Disconnected => return Err(ConnectError::Closed),
                _ => {}
            }
        }
    }

    /// The next frame. Waiting for it can be given up without losing any.
    pub async fn next(&mut self) -> Result<Utf8Bytes, ConnectError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(_))) | None => return Err(ConnectError::Closed),
                // Binary frames carry attachments, which nobody sends here; pings are answered by the library.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// Receives what was missed, to its end. Returns the cursor after it.
    ///
    /// # Errors
    /// If the connection ends before.
    pub async fn caught_up(&mut self) -> Result<String, ConnectError> {
        loop {
            let text = self.next().await?;
            match Frame::of(&text) {
                Frame::Ping => self.send(wire::PONG).await?,
                Frame::Disconnected => return Err(ConnectError::Closed),
                frame => {
                    if let Some(cursor) = wire::sync_done(&frame) {
                        return Ok(cursor.to_owned());
                    }
                }
            }
        }
    }

    /// Puts a frame into the buffer; [`flush`](Self::flush) sends it.
    pub async fn feed(&mut self, frame: impl Into<Utf8Bytes>) -> Result<(), ConnectError> {
        Ok(self.socket.feed(Message::Text(frame.into())).await?)
    }

    /// Sends what is in the buffer, in one write.
    pub async fn flush(&mut self) -> Result<(), ConnectError> {
        Ok(self.socket.flush().await?)
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: impl Into<Utf8Bytes>) -> Result<(), ConnectError> {
        self.feed(frame).await?;
        self.flush().await
    }

    /// Keeps the connection alive until it ends, and returns why it did.
    pub async fn idle(&mut self) -> ConnectError {
        loop {
            let alive = match self.next().await.as_deref().map(Frame::of) {
                Ok(Frame::Ping) => self.send(wire::PONG).await,
                Ok(Frame::Disconnected) => Err(ConnectError::Closed),
                Ok(_) => Ok(()),
                Err(_) => Err(ConnectError::Closed),
            };
            if let Err(error) = alive {
                return error;
            }
        }
    }
}
