//! The library's HTTP client, and waiting for it: it is asynchronous, while most commands ask one thing after the other.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

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
        .tcp_nodelay(true)
        .use_preconfigured_tls(ClientConfig::clone(&tls::config()))
        .build()
        .expect("the configuration is sound")
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
