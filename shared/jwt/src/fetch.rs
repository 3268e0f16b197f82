//! Asking an identity provider for its keys, and nobody else: neither redirects nor names lead to a machine of this network.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use rustls::ClientConfig;

use crate::address::is_public;
use crate::key_set::{InvalidSet, KeySet, MAX_BYTES};
use crate::tls;

/// How long an answer may take in all.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks one address.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: Client,
    url: Url,
    allow_private: bool,
}

/// Why there are no keys. The texts hold no more of the URL than its host.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is none.
    #[error("it is no https:// URL")]
    Url,
    /// The address is nearby.
    #[error("{PRIVATE}")]
    Private,
    /// Somebody answers with another address.
    #[error("it redirects, which is not followed; name the address where the keys are")]
    Redirect,
    /// Somebody answers otherwise.
    #[error("it answers with status {0}")]
    Status(StatusCode),
    /// Too long an answer.
    #[error("its answer is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// Another answer.
    #[error(transparent)]
    Set(#[from] InvalidSet),
    /// No answer.
    #[error("it can't be reached: {0}")]
    Unreachable(String),
}

/// Why an address is not asked.
const PRIVATE: &str = "it has a loopback, private or link-local address; JWT_JWKS_ALLOW_PRIVATE=true allows that";

/// The names of machines of this network lead nowhere.
struct PublicOnly;

/// A name that leads to a machine of this network only.
#[derive(Debug, thiserror::Error)]
#[error("{PRIVATE}")]
struct Private;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            // What is connected to is what was looked at: nobody asks for the name a second time.
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            match public.is_empty() {
                true => Err(Private.into()),
                false => Ok(Box::new(public.into_iter()) as Addrs),
            }
        })
    }
}

impl Fetcher {
    /// Asks this URL.
    ///
    /// # Errors
    /// [`FetchError::Url`], [`FetchError::Private`].
    pub fn new(url: &str, allow_private: bool) -> Result<Self, FetchError> {
        let url = Url::parse(url)
            .ok()
            .filter(|url| url.scheme() == "https")
            .ok_or(FetchError::Url)?;
        // The resolver is not asked about these.
        let host = url.host_str().unwrap_or_default();
        let literal: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        if !allow_private && literal.is_some_and(|address| !is_public(address)) {
            return Err(FetchError::Private);
        }
        let mut builder = Client::builder()
            .https_only(true)
            .redirect(Policy::none())
            .referer(false)
            .timeout(TIMEOUT)
            // Each answer comes over a connection whose address was looked at.
            .pool_max_idle_per_host(0)
            .use_preconfigured_tls(ClientConfig::clone(&tls::config()));
        if !allow_private {
            // A proxy looks names up by itself, and is mostly a machine of this network.
            builder = builder.dns_resolver(Arc::new(PublicOnly)).no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| FetchError::Unreachable(error.to_string()))?;
        Ok(Self {
            client,
            url,
            allow_private,
        })
    }

    /// Whom it asks.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The keys, as they are now.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(&self) -> Result<KeySet, FetchError> {
        let request = self.client.get(self.url.clone()).header("accept", "application/json");
        let mut response = request.send().await.map_err(|error| unreachable(&error))?;
        match response.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => return Err(FetchError::Redirect),
            status => return Err(FetchError::Status(status)),
        }
        // With a proxy the other end is the proxy.
        let peer = response.remote_addr().map(|address| address.ip());
        if !self.allow_private && peer.is_some_and(|address| !is_public(address)) {
            return Err(FetchError::Private);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(KeySet::read(&body)?)
    }
}

/// The innermost reason: the library's own text says only what it did, and has the whole URL in it.
fn unreachable(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() {
        return FetchError::Unreachable(format!("no answer within {TIMEOUT:?}"));
    }
    let mut innermost: &(dyn Error + 'static) = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.is::<Private>() {
        true => FetchError::Private,
        false => FetchError::Unreachable(innermost.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody is asked, or the test would wait for the network.
    #[tokio::test]
    async fn machines_of_this_network_are_not_asked() {
        for url in [
            "https://127.0.0.1/keys",
            "https://[::1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://169.254.169.254/",
        ] {
            assert!(matches!(Fetcher::new(url, false), Err(FetchError::Private)), "{url}");
            assert!(Fetcher::new(url, true).is_ok(), "{url}");
        }
        let error = Fetcher::new("https://localhost:1/", false)
            .unwrap()
            .fetch()
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::Private), "{error}");
        for wrong in ["http://id.example/", "id.example", "https://"] {
            assert!(matches!(Fetcher::new(wrong, true), Err(FetchError::Url)), "{wrong}");
        }
    }
}
