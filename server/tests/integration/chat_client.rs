//! The client of `shared/js`, as it is installed from its package: its copy equals the server's history, whatever fails.

mod adapters;
mod browser;
mod device;
mod exact;
mod offline;
mod readme;
mod together;
mod tokens;
