//! The library's HTTP client, and waiting for it: it is asynchronous, while most commands ask one thing after the other.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, Response};
use rustls::ClientConfig;
use tokio::runtime::{Builder, Runtime};

use super::tls;

/// How long a connection may take to be made, with its TLS.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long nothing may come of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// An HTTP client that keeps its connections, for http and https.
///
/// # Panics
/// If the library can't be set up, which depends on nothing outside of the program.
fn client() -> Client {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .redirect(Policy::custom(redirect))
        // What was asked for, with ids and names, is nobody else's business.
        .referer(false)
        .tcp_nodelay(true)
        .use_preconfigured_tls(ClientConfig::clone(&tls::config()))
        .build()
        .expect("the configuration is sound")
}

/// A redirect that would leave TLS.
#[derive(Debug, thiserror::Error)]
#[error("it redirects to http://, where a token could be read on the way")]
pub(super) struct LeavesTls;

/// Follows redirects as the library does by itself, but not out of TLS: to the same host and port it repeats the token.
fn redirect(attempt: Attempt<'_>) -> Action {
    let is_safe = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    match is_safe && attempt.url().scheme() != "https" {
        true => attempt.error(LeavesTls),
        false => Policy::default().redirect(attempt),
    }
}

/// A client, and the thread on which its connections live: callers wait for it wherever they are, in a task of another runtime,
/// too.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    client: Client,
    background: Arc<Background>,
}

/// A runtime that ends without waiting for its tasks.
#[derive(Debug)]
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Dropping it would panic in a task of another runtime.
            runtime.shutdown_background();
        }
    }
}

impl Transport {
    /// Starts the thread.
    ///
    /// # Panics
    /// If the system has no room for a thread.
    pub(super) fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("http")
            .enable_all()
            .build();
        Self {
            client: client(),
            background: Arc::new(Background(Some(runtime.expect("the system has room for a thread")))),
        }
    }

    /// Builds requests.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Does this on the thread and waits for what it comes to. The library needs that thread's timers from the first call on.
    pub(super) fn wait<T, F>(&self, work: impl FnOnce() -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send,
    {
        let (done, result) = sync_channel(1);
        let runtime = self.background.0.as_ref().expect("it is there until it is dropped");
        runtime.spawn(async move {
            // The caller waits for it.
            let _ = done.send(work().await);
        });
        result.recv().expect("the work does not panic")
    }
}

/// An answer's body, read as it comes.
#[derive(Debug)]
pub(super) struct Body {
    transport: Transport,
    /// None once it has ended, or broken.
    response: Option<Response>,
    chunk: io::Cursor<Vec<u8>>,
}

impl Body {
    /// The body of an answer that came over this transport.
    pub(super) fn new(transport: Transport, response: Response) -> Self {
        Self {
            transport,
            response: Some(response),
            chunk: io::Cursor::default(),
        }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.chunk.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(mut response) = self.response.take() else {
                return Ok(0);
            };
            let (response, chunk) = self.transport.wait(|| async move {
                let chunk = response.chunk().await;
                (response, chunk)
            });
            if let Some(bytes) = chunk.map_err(io::Error::other)? {
                self.response = Some(response);
                self.chunk = io::Cursor::new(bytes.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::thread::{self, JoinHandle};

    use super::*;

    /// A server of one request: answers this, and returns the request's head in small letters.
    fn answers(answer: String) -> (SocketAddr, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client comes");
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            stream.write_all(answer.as_bytes()).expect("the client reads");
            head.join("\n").to_lowercase()
        });
        (address, serving)
    }

    #[test]
    fn a_redirect_to_elsewhere_is_followed_without_the_token_and_what_was_asked_for() {
        let (there, second) = answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned());
        let (here, first) = answers(format!(
            "HTTP/1.1 302 Found\r\nLocation: http://{there}/\r\nContent-Length: 0\r\n\r\n"
        ));
        let transport = Transport::new();
        let request = transport
            .client()
            .get(format!("http://{here}/users?limit=2"))
            .bearer_auth("t");
        let answer = transport.wait(|| request.send()).expect("both answer");
        assert!(answer.status().is_success());
        let first = first.join().expect("it was asked");
        assert!(first.contains("authorization: bearer t"), "{first}");
        let second = second.join().expect("it was asked");
        assert!(
            !second.contains("authorization") && !second.contains("limit=2"),
            "{second}"
        );
    }
}
