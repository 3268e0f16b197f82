//! The ways into a server, and which of them speak TLS.

use std::sync::Arc;

use rustls::ServerConfig;

use crate::transport::tcp::bind::{Address, BindError, Bound};
use crate::transport::tcp::certificates::Certificates;
use crate::transport::tcp::listener::Entrance;

/// What TLS needs.
pub(super) struct Tls {
    pub(super) certificates: Arc<Certificates>,
    pub(super) config: Arc<ServerConfig>,
}

/// What listens, where, and where administration is served if that is a place of its own.
pub(super) type Open = (Vec<Entrance>, Vec<Address>, Option<Address>);

/// Begins to listen everywhere.
pub(super) fn open(bound: Vec<Bound>, for_administration: Option<Bound>, tls: Option<&Tls>) -> Result<Open, BindError> {
    let mut entrances = Vec::new();
    let mut addresses = Vec::new();
    for bound in bound {
        let (listener, address) = bound.listen()?;
        entrances.push(Entrance {
            listener,
            tls: tls
                .filter(|_| matches!(address, Address::Tcp(_)))
                .map(|tls| Arc::clone(&tls.config)),
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
        tls: tls.filter(|_| !address.is_local()).map(|tls| Arc::clone(&tls.config)),
        is_for_administration: true,
    });
    Ok((entrances, addresses, Some(address)))
}
