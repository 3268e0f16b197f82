//! The contract that tools read: `shared/contract/*.json`, made from the types of `shared` and from the tables of [`crate::routes`].
//!
//! It is compiled for tests only: the server sends the files as they are checked in
//! ([`crate::transport::http::contract`]), and a test fails when they are not what the code says. The command that writes them anew is
//!
//! ```sh
//! CONTRACT=write cargo test -p server --lib contract
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `schemas` | JSON Schemas of the wire types, and their words |
//! | `payload` | a type with an example of it |
//! | `asyncapi` | the events of Socket.IO |
//! | `openapi` | the requests over HTTP |
//! | `examples` | what stands in the examples of both |
//! | `compatible` | whether clients of the last version get on with this one |
//! | `files` | what is checked in against what is made |

mod asyncapi;
mod compatible;
mod examples;
mod files;
mod openapi;
mod payload;
mod schemas;
