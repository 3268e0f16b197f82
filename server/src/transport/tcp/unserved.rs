//! Clients that can't be served: the log says so, once a minute for each kind, because they are sent nothing that they
//! would show.

use crate::outage::SeldomEach;

static UNSERVED: SeldomEach = SeldomEach::new();

/// Of clients of Socket.IO 2 and before.
pub const PROTOCOL: &str =
    "a client does not speak Engine.IO 4 (`EIO=4`); it needs a Socket.IO client of version 3 or 4";

/// Of clients that encode packets in another way.
pub const PARSER: &str = "a client sends binary packets that no event announced; most likely it uses socket.io-msgpack-parser, and needs the default parser";

/// Of clients that are given an address with a path.
pub const NAMESPACE: &str = "a client asks for another namespace than `/`; there should be no path after the host in io(\"…\"), \
     the one of the server goes into its option `path`";

/// Of WebSockets that can't be, most likely because of a proxy.
pub const NO_UPGRADE: &str = "a WebSocket was asked for without asking for an upgrade; most likely a proxy took that off, and clients poll \
     or don't connect at all; nginx needs proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and \
     proxy_set_header Connection upgrade";

/// Of requests that a proxy passes on, most likely.
pub const PROXY: &str = "requests come with the header in which proxies name their clients, and TRUSTED_PROXIES is not set; if there is a proxy, its \
     address counts for all its clients, so name it there";

/// Of packets that are no events.
pub const UNREADABLE: &str = "a client sent a packet that can't be read, and its connection was closed";

/// Of pages that load the client from here.
pub const CLIENT_FILE: &str = "a page asks for /socket.io/socket.io.js, which is not served here; set CLIENT_DIST, or have it load the client \
     from elsewhere";

/// Says that a client of this kind came.
pub fn say(what: &'static str) {
    if let Some(since_last_line) = UNSERVED.due(what) {
        tracing::info!(since_last_line, "{what}; this is said once a minute");
    }
}
