//! A one-to-one chat server that speaks Socket.IO.
//!
//! The way of a message through the modules, in order: [`transport::tcp`] accepts the connection, [`transport::socketio`] lets it in
//! ([`auth`]) and decodes its event, [`chat`] checks it and queues it for the [`storage`], which makes it durable; then [`chat`]
//! answers the sender, and [`delivery`] sends the message to the people concerned. [`transport::http`] serves history and users.
//! [`routes`] lists every route and event, [`server`] builds all of this. Each module knows only those below it:
//!
//! ```text
//! server > routes > transport > error > chat > auth > delivery > storage > domain > rates, config, metrics, clock, telemetry, supervisor, outage
//! ```
//!
//! `ARCHITECTURE.md` says what always holds.

#![cfg_attr(
    test,
    expect(clippy::disallowed_methods, reason = "tests wait for times and hold little")
)]
// What is said goes through [`telemetry`], which neither waits nor panics.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod auth;
pub mod chat;
pub mod clock;
pub mod config;
#[cfg(test)]
mod contract;
pub mod delivery;
pub mod domain;
pub mod error;
#[cfg(feature = "failpoints")]
pub mod failpoints;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod message_trace;
pub mod metrics;
pub mod outage;
pub mod rates;
pub mod routes;
pub mod server;
pub mod signals;
pub mod storage;
pub mod supervisor;
pub mod telemetry;
pub mod transport;
