//! `MessageStore`: storing messages, and reading conversations.

pub(crate) mod append;
pub(crate) mod history;
pub(crate) mod idempotency;
pub(crate) mod pages;
