//! What `chatctl bench` and `chatctl prove` share: connections that cost little, the users on them, and what is measured.
//!
//! | module | what it owns |
//! |---|---|
//! | [`server`], [`connection`], [`wire`] | where the server is; one connection of a user; its frames |
//! | [`message_load`], [`stamp`], [`ledger`] | users in pairs who write to each other; what stands in their messages; the proof that nothing was lost, doubled or out of order |
//! | [`idle_connections`] | connections that are only there |
//! | [`flaky_load`] | users whose connections break, and who come back |
//! | [`fault`] | a command that breaks something meanwhile |
//! | [`hostile`] | clients that spoil it for others |
//! | [`stats`], [`process`], [`listener`] | latencies and counters; CPU time and memory of processes, and which is the server |
//! | [`report`], [`plot`], [`progress`] | what is shown |
//! | [`runtime_pool`], [`users`], [`limits`], [`interrupt_counter`] | threads, tokens, open files, Ctrl-C |
//!
//! It shares the machine with the server under test, so it is built to cost little; the interactive client of
//! [`chatctl_client::socket`] is not used.

pub mod connection;
pub mod fault;
pub mod flaky_load;
pub mod hostile;
pub mod idle_connections;
pub mod interrupt_counter;
pub mod ledger;
pub mod limits;
pub mod listener;
pub mod message_load;
pub mod plot;
pub mod process;
pub mod progress;
pub mod report;
pub mod runtime_pool;
pub mod server;
pub mod stamp;
pub mod stats;
pub mod users;
pub mod wire;
