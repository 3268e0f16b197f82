//! The ways into a server, and which of them speak TLS.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use crate::signals;
use crate::transport::tcp::acme::Acme;
use crate::transport::tcp::bind::{Address, BindError, Bound};
use crate::transport::tcp::certificates::Certificates;
use crate::transport::tcp::listener::Entrance;

/// What TLS needs.
pub(super) struct Tls {
    pub(super) keeper: Keeper,
    pub(super) config: Arc<ServerConfig>,
}

/// Who sees to it that the certificate holds.
pub(super) enum Keeper {
    /// The operator, who puts files there.
    Files(Arc<Certificates>),
    /// An authority.
    Acme(Box<Acme>),
}

impl Keeper {
    /// Keeps the certificate good until `stop` is cancelled.
    pub(super) async fn keep(self, stop: CancellationToken) {
        match self {
            Self::Files(certificates) => certificates.watch(signals::hangups(), stop).await,
            Self::Acme(acme) => acme.run(stop).await,
        }
    }
}

/// What listens, where, and where administration is served if it is.
pub(super) type Open = (Vec<Entrance>, Vec<Address>, Option<Address>);

/// Begins to listen everywhere.
pub(super) fn open(
    bound: Vec<Bound>,
    for_administration: Option<Bound>,
    tls: Option<&Arc<ServerConfig>>,
) -> Result<Open, BindError> {
    let mut entrances = Vec::new();
    let mut addresses = Vec::new();
    for bound in bound {
        let (listener, address) = bound.listen()?;
        entrances.push(Entrance {
            listener,
            tls: tls.filter(|_| matches!(address, Address::Tcp(_))).cloned(),
            is_for_administration: false,
        });
        addresses.push(address);
    }
    let Some(bound) = for_administration else {
        return Ok((entrances, addresses, None));
    };
    let (listener, address) = bound.listen()?;
    entrances.push(Entrance {
        listener,
        // What stays on this machine can be read by nobody on the way.
        tls: tls.filter(|_| !address.is_local()).cloned(),
        is_for_administration: true,
    });
    Ok((entrances, addresses, Some(address)))
}
