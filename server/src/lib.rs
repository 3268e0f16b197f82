//! A one-to-one chat server that speaks Socket.IO.
//!
//! The way of a message through the modules, in order: [`net`] accepts the connection, [`socket`] lets it in
//! ([`auth`]) and decodes its event, [`chat`] checks it and queues it for the [`store`], which makes it durable;
//! then [`socket`] acknowledges and delivers it. [`http`] serves history and users. [`router`] lists every route and
//! event. `ARCHITECTURE.md` says what always holds.

// What is said goes through [`telemetry`], which neither waits nor panics.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod app;
pub mod auth;
pub mod chat;
pub mod config;
pub mod error;
pub mod http;
pub mod net;
pub mod outage;
pub mod router;
pub mod run;
#[cfg(feature = "sabotage")]
pub mod sabotage;
pub mod signals;
pub mod socket;
pub mod stop;
pub mod store;
pub mod supervisor;
pub mod telemetry;
