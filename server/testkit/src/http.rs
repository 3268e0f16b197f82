//! A plain HTTP client that returns every answer, whatever its status.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{Request, Response};

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
    response: Response<()>,
}

impl Answer {
    /// All headers, but for the time of the answer.
    pub fn headers(&self) -> Vec<(String, String)> {
        let headers = self.response.headers().iter().filter(|(name, _)| *name != "date");
        let shown = headers.map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        });
        shown.collect()
    }

    /// A header's value, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        let value = self.response.headers().get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none; the panic shows it.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.body))
    }

    /// The code of the error that the body holds; empty if it holds none.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends one request and reads the answer, within a minute.
///
/// # Panics
/// If there is no answer.
pub fn send(request: Request<Vec<u8>>) -> Answer {
    let what = format!("{} {}", request.method(), request.uri());
    try_send(request).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// As [`send`], for a server that may be gone.
pub fn try_send(request: Request<Vec<u8>>) -> Result<Answer, ureq::Error> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .timeout_global(Some(Duration::from_secs(60)))
        .proxy(None);
    let (parts, mut body) = Agent::new_with_config(config.build()).run(request)?.into_parts();
    let body = body.with_config().limit(u64::MAX).read_to_string()?;
    Ok(Answer {
        status: parts.status.as_u16(),
        body,
        response: Response::from_parts(parts, ()),
    })
}
