//! What the tests of every crate need: a real mongod, the stock JavaScript client, and the shipped server.

pub mod mongod;
