//! The chat server.

pub mod chat;
pub mod store;
