//! The rates of addresses, and how many connections each has.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::limiter::{Limiter, TooOften, Uptime, Used};
use super::table::{Table, Usage};
use crate::config::{Allowed, Limits, Networks, Switch};
use crate::metrics::{Limit, METRICS};

/// Addresses that are remembered. All that find no room are counted together.
const REMEMBERED_ADDRESSES: usize = 65_536;

/// The rates of all addresses. They are for networks where anybody has a whole one, see [`network`].
pub struct Addresses {
    uptime: Uptime,
    unlimited: Networks,
    connections: Limiter,
    requests: Limiter,
    failed_tokens: Limiter,
    max_connections: u32,
    addresses: Table<IpAddr, AddressUse>,
    others: Arc<AddressUse>,
}

/// What one address has used.
#[derive(Debug, Default)]
pub struct AddressUse {
    connections: Used,
    requests: Used,
    failed_tokens: Used,
    open: AtomicU32,
}

/// One of the connections that an address may have, until this is dropped.
#[derive(Debug)]
pub struct OpenConnection(Arc<AddressUse>);

impl Addresses {
    /// As configured.
    pub fn new(limits: &Limits) -> Self {
        let uptime = Uptime::begin();
        let is_on = limits.rate_limits == Switch::On;
        let limiter = |allowed: Option<Allowed>| Limiter::new(allowed.filter(|_| is_on), uptime);
        Self {
            uptime,
            unlimited: limits.unlimited_addresses.clone(),
            connections: limiter(limits.rate_connections.0),
            requests: limiter(limits.rate_requests.0),
            failed_tokens: limiter(limits.rate_failed_tokens.0),
            max_connections: limits.max_connections_per_address,
            addresses: Table::new(REMEMBERED_ADDRESSES),
            others: Arc::default(),
        }
    }

    /// What an address has used; `None` if no limit is for it.
    pub fn of(&self, address: IpAddr) -> Option<Arc<AddressUse>> {
        if self.unlimited.contain(address) {
            return None;
        }
        let known = self.addresses.of(network(address), self.uptime.now());
        Some(known.unwrap_or_else(|| Arc::clone(&self.others)))
    }

    /// Counts a new connection.
    ///
    /// # Errors
    /// There were too many lately.
    pub fn count_connection(&self, used: &AddressUse) -> Result<(), TooOften> {
        self.connections
            .count(&used.connections)
            .inspect_err(|_| METRICS.limits.count(Limit::Connections))
    }

    /// Counts a request.
    ///
    /// # Errors
    /// There were too many lately.
    pub fn count_request(&self, used: &AddressUse) -> Result<(), TooOften> {
        self.requests
            .count(&used.requests)
            .inspect_err(|_| METRICS.limits.count(Limit::Requests))
    }

    /// Counts a token that was not accepted.
    pub fn count_failed_token(&self, used: &AddressUse) {
        // What goes beyond was refused before it was looked at.
        let _ = self.failed_tokens.count(&used.failed_tokens);
    }

    /// Whether a token may be looked at.
    ///
    /// # Errors
    /// Too many were not accepted lately.
    pub fn look_at_token(&self, used: &AddressUse) -> Result<(), TooOften> {
        self.failed_tokens
            .look(&used.failed_tokens)
            .inspect_err(|_| METRICS.limits.count(Limit::FailedTokens))
    }

    /// One more connection of an address; `None` if it has as many as it may.
    pub fn open(&self, used: &Arc<AddressUse>) -> Option<OpenConnection> {
        // Taken off again when it is dropped.
        let open = OpenConnection(Arc::clone(used));
        let before = used.open.fetch_add(1, Ordering::Relaxed);
        let alone = !Arc::ptr_eq(used, &self.others);
        if before >= self.max_connections && alone {
            METRICS.limits.count(Limit::OpenConnections);
            return None;
        }
        Some(open)
    }

    /// Lets go of those that have used nothing lately.
    pub fn clean(&self) {
        self.addresses.clean(self.uptime.now());
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Usage for AddressUse {
    fn has_passed(&self, now: u64) -> bool {
        let all = [&self.connections, &self.requests, &self.failed_tokens];
        all.into_iter().all(|used| used.has_passed(now))
    }
}

/// What counts as one address: of IPv6 the network, because anybody has a whole one.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => IpAddr::V6(Ipv6Addr::from(u128::from(six) & !u128::from(u64::MAX))),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::Config;

    fn addresses(arguments: &[&str]) -> Addresses {
        let all = ["server"].iter().chain(arguments);
        Addresses::new(&Config::parse_from(all).limits)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_ipv6_is_one_address() {
        let addresses = addresses(&["--rate-connections=1/s:2"]);
        let used = |text| addresses.of(address(text)).unwrap();
        assert_eq!(addresses.count_connection(&used("2001:db8::1")), Ok(()));
        assert_eq!(addresses.count_connection(&used("2001:db8::2")), Ok(()));
        assert!(addresses.count_connection(&used("2001:db8::3")).is_err());
        assert_eq!(addresses.count_connection(&used("2001:db8:0:1::3")), Ok(()));
        assert_eq!(addresses.count_connection(&used("192.0.2.1")), Ok(()));
    }

    #[test]
    fn this_machine_and_private_networks_have_no_limit_unless_it_is_asked_for() {
        let all = [
            "127.0.0.1",
            "::1",
            "10.9.8.7",
            "172.31.0.1",
            "192.168.1.1",
            "fd00::1",
            "::ffff:127.0.0.1",
        ];
        assert!(all.iter().all(|text| addresses(&[]).of(address(text)).is_none()));
        let addresses = addresses(&["--unlimited-addresses=none"]);
        assert!(all.iter().all(|text| addresses.of(address(text)).is_some()));
    }

    #[test]
    fn connections_of_an_address_are_given_back() {
        let addresses = addresses(&["--max-connections-per-address=2"]);
        let used = addresses.of(address("192.0.2.1")).unwrap();
        let open = [addresses.open(&used).unwrap(), addresses.open(&used).unwrap()];
        assert!(addresses.open(&used).is_none());
        drop(open);
        assert!(addresses.open(&used).is_some());
        drop(used);
        addresses.clean();
        assert!(addresses.addresses.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_not_looked_at_after_too_many_bad_ones() {
        let addresses = addresses(&["--rate-failed-tokens=1/s:3"]);
        let used = addresses.of(address("192.0.2.1")).unwrap();
        for _ in 0..3 {
            assert_eq!(addresses.look_at_token(&used), Ok(()));
            addresses.count_failed_token(&used);
        }
        let refused = addresses.look_at_token(&used).unwrap_err();
        tokio::time::advance(refused.retry_after).await;
        assert_eq!(addresses.look_at_token(&used), Ok(()));
    }

    #[test]
    fn with_rate_limits_off_the_number_of_connections_is_bounded_still() {
        let addresses = addresses(&[
            "--rate-limits=off",
            "--max-connections-per-address=1",
            "--rate-requests=1/d",
        ]);
        let used = addresses.of(address("192.0.2.1")).unwrap();
        assert!((0..100).all(|_| addresses.count_request(&used).is_ok()));
        let open = addresses.open(&used);
        assert!(open.is_some() && addresses.open(&used).is_none());
    }
}
