//! The HTTP endpoints, one file each topic; [`extract`] turns requests into checked values, with errors as JSON.

pub mod about;
pub mod client;
pub mod extract;
pub mod feed;
pub mod health;
pub mod history;
pub mod page;
pub mod paths;
pub mod store_check;
pub mod strict;
pub mod users;
