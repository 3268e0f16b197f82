//! The HTTP endpoints, one topic a file; [`extract`] turns requests into checked values, with errors as JSON.
//!
//! [`router`] builds the service: it adds to the table of routes what holds for all of them.

pub mod about;
pub mod admin;
pub mod administration;
pub mod client;
pub mod contract;
pub mod cors;
pub mod extract;
pub mod feed;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod hardening;
pub mod health;
pub mod history;
pub mod inspection;
pub mod log_level;
pub mod metrics;
pub mod pages;
pub mod paths;
pub mod playground;
pub mod router;
pub mod strict;
pub mod users;
