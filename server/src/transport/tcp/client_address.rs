//! The address that a request or a session comes from, and what that address has used of its limits.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::registry::Registry;
use super::socket::shown;
use crate::auth::{AuthError, Caller};
use crate::rates::addresses::OpenConnection;
use crate::rates::{AddressUse, TooOften};

/// Where a client is. It is an extension of each request, and each session's [`Link`](super::link::Link) has it.
#[derive(Debug, Clone)]
pub struct ClientAddress {
    /// The address.
    pub address: IpAddr,
    /// What it has used; nothing if no limit is for it.
    used: Option<Arc<AddressUse>>,
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.address))
    }
}

impl ClientAddress {
    /// What is known of an address.
    pub(super) fn new(address: IpAddr, registry: &Registry) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            used: registry.addresses.of(address),
        }
    }

    /// The same for a proxy that is trusted: it is not counted, its clients are.
    pub(super) fn of_proxy(address: IpAddr) -> Self {
        Self {
            address: address.to_canonical(),
            used: None,
        }
    }

    /// Where the client of a request is, which came over a connection from here.
    pub(super) fn of_request(&self, headers: &HeaderMap, registry: &Registry) -> Self {
        match registry.proxies.client(self.address, headers) {
            Some(address) => Self::new(address, registry),
            None => self.clone(),
        }
    }

    /// The one that a request has with it.
    pub fn of(request: &Parts) -> Option<&Self> {
        request.extensions.get()
    }

    /// Counts a request.
    pub(super) fn count_request(&self, registry: &Registry) -> Result<(), TooOften> {
        self.count(|used| registry.addresses.count_request(used))
    }

    /// Counts a new connection, and takes one of those that the address may have; nothing to take if it may have any number.
    /// An error if it may not have it.
    pub(super) fn connect(&self, registry: &Registry) -> Result<Option<OpenConnection>, Option<TooOften>> {
        self.count(|used| registry.addresses.count_connection(used))
            .map_err(Some)?;
        self.open(registry).map_err(|()| None)
    }

    /// Takes one of the connections that the address may have.
    pub(super) fn open(&self, registry: &Registry) -> Result<Option<OpenConnection>, ()> {
        let Some(used) = &self.used else { return Ok(None) };
        registry.addresses.open(used).map(Some).ok_or(())
    }

    /// Has a token from here looked at, unless too many from here were not accepted lately, and counts it if it is not accepted.
    ///
    /// # Errors
    /// Too many were not accepted, or why this one is not.
    pub async fn try_token(
        &self,
        registry: &Registry,
        look: impl Future<Output = Result<Caller, AuthError>>,
    ) -> Result<Caller, AuthError> {
        if let Err(refused) = self.count(|used| registry.addresses.look_at_token(used)) {
            registry.count_refused_token();
            return Err(AuthError::TooManyFailed(refused));
        }
        let looked = look.await;
        if let (Some(used), Err(denied)) = (&self.used, &looked)
            && denied.is_failed_token()
        {
            registry.addresses.count_failed_token(used);
        }
        looked
    }

    fn count(&self, count: impl FnOnce(&AddressUse) -> Result<(), TooOften>) -> Result<(), TooOften> {
        self.used.as_deref().map_or(Ok(()), count)
    }
}
