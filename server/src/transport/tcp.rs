//! TCP and Engine.IO: accepting connections, and what the Socket.IO library does not see to.
//!
//! | module | what it owns |
//! |---|---|
//! | [`bind`], [`socket_file`] | where connections are taken |
//! | [`listener`], [`places`] | accepting connections, as many as there are places |
//! | [`connection`] | one TCP connection: what it costs, how it is ended from outside |
//! | [`socket`], [`raw`] | its bytes as the kernel has them |
//! | [`certificates`], [`acme`], [`handshake`], [`tls`], [`records`] | TLS |
//! | [`stream`] | what is said over it, counted on its way |
//! | [`link`] | one Engine.IO session, over whichever connections it comes; why it is refused |
//! | [`client_address`], [`proxies`], [`proxy_protocol`] | whose address counts, and what trusted proxies say of it |
//! | [`registry`], [`end_reason`] | what both share: clock, bounds, counters; and why they are ended |
//! | [`intake`] | bytes that were read and wait for the rest of a request or message, and their bounds |
//! | [`frames`], [`packets`] | where the messages of a WebSocket, and the packets of polling bodies, begin and end |
//! | [`names`] | names of events that the library can't read are changed before |
//! | [`upgrade`] | requests for a WebSocket: whether they can have one, and the subprotocol |
//! | [`waiting`] | requests that wait for their turn, and their bounds |
//! | [`unserved`] | clients that can't be served, in the log |
//! | [`few`], [`rest`] | clients that take few packets at once, and what waits for their next poll |
//! | [`pause`] | while a session is not read |
//! | [`origins`] | the pages that may connect |
//! | [`engine`] | requests of Engine.IO, before and after the library |
//! | [`answers`], [`body`] | answers over HTTP are charged; bodies arrive in time |

pub mod acme;
pub mod answers;
pub mod bind;
pub mod body;
pub mod certificates;
pub mod client_address;
pub mod connection;
pub mod end_reason;
pub mod engine;
mod few;
mod frames;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod handshake;
mod intake;
pub mod link;
pub mod listener;
mod names;
pub mod origins;
mod packets;
mod pause;
mod places;
mod proxies;
mod proxy_protocol;
mod raw;
mod records;
pub mod registry;
mod rest;
mod socket;
mod socket_file;
pub mod stream;
mod tls;
pub mod unserved;
mod upgrade;
pub mod waiting;
