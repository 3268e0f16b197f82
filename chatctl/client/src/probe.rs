//! Requests that look at what is between here and the server: each on a connection of its own, with nothing repeated and nothing
//! followed, and with the headers of the answer.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode};
use rustls::ClientConfig;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::cause::{Cause, cause};
use super::tls;

/// How long an answer may take, unless it is one that is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What came back.
#[derive(Debug, Clone)]
pub struct ProbeAnswer {
    /// The status.
    pub status: u16,
    /// All headers; names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body, as text.
    pub body: String,
    /// How long it took.
    pub took: Duration,
}

impl ProbeAnswer {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Sends such requests.
#[derive(Debug, Clone)]
pub struct Probe(Client);

impl Default for Probe {
    fn default() -> Self {
        let client = Client::builder()
            .pool_max_idle_per_host(0)
            .redirect(Policy::none())
            .referer(false)
            .use_preconfigured_tls(ClientConfig::clone(&tls::config()))
            .build();
        Self(client.expect("the configuration is sound"))
    }
}

impl Probe {
    /// Asks once.
    ///
    /// # Errors
    /// What the system said.
    pub async fn ask(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<ProbeAnswer, String> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
        let mut request = self.0.request(method, url).timeout(TIMEOUT);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let begun = Instant::now();
        let answer = request.send().await.map_err(|error| reason(&error))?;
        let status = answer.status().as_u16();
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        let headers = headers.collect();
        let body = answer.text().await.map_err(|error| reason(&error))?;
        Ok(ProbeAnswer {
            status,
            headers,
            body,
            took: begun.elapsed(),
        })
    }

    /// Opens a WebSocket at which Socket.IO listens (its address, with a slash at its end) and returns it with the first frame.
    ///
    /// # Errors
    /// What came instead.
    pub async fn websocket(&self, socket_url: &str) -> Result<ProbeSocket, String> {
        let url = format!("{socket_url}?EIO=4&transport=websocket");
        let request = self
            .0
            .get(url)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket");
        let request = request
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        let opening = async {
            let answer = request.send().await.map_err(|error| reason(&error))?;
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Err(format!(
                    "the answer to the request for it has status {}",
                    answer.status().as_u16()
                ));
            }
            let upgraded = answer.upgrade().await.map_err(|error| reason(&error))?;
            let mut socket = ProbeSocket {
                socket: WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await,
                opened: String::new(),
            };
            socket.opened = socket.next().await?;
            Ok(socket)
        };
        let opened = tokio::time::timeout(TIMEOUT, opening).await;
        opened.unwrap_or_else(|_| Err(format!("nothing came within {TIMEOUT:?}")))
    }
}

/// A WebSocket that was opened.
#[derive(Debug)]
pub struct ProbeSocket {
    socket: WebSocketStream<reqwest::Upgraded>,
    /// The first frame: what the server says of the session.
    pub opened: String,
}

impl ProbeSocket {
    /// The next text.
    ///
    /// # Errors
    /// How the connection ended.
    pub async fn next(&mut self) -> Result<String, String> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(_))) | None => return Err("it was closed".to_owned()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string()),
            }
        }
    }

    /// Sends a text.
    ///
    /// # Errors
    /// How the connection ended.
    pub async fn send(&mut self, text: String) -> Result<(), String> {
        use futures_util::SinkExt as _;
        let sent = self.socket.send(Message::Text(text.into())).await;
        sent.map_err(|error| error.to_string())
    }
}

fn reason(error: &reqwest::Error) -> String {
    match cause(error) {
        _ if error.is_timeout() => "no answer in time".to_owned(),
        Cause::Tls(reason) | Cause::Other(reason) => reason,
    }
}
