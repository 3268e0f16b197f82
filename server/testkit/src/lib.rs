//! What the tests of every crate need: a real mongod, the stock JavaScript client, and the shipped server.
//!
//! | module | what it starts |
//! |---|---|
//! | [`server`] | the server's own program, on a free port, with either engine |
//! | [`fault_command`] | a command for `sh` that breaks something in the test process |
//! | [`Setup::on_hanging_disk`] | a disk whose syncs hang |
//! | [`mongod`] | a real MongoDB |
//! | [`proxy`] | a bad network between clients and a server |
//! | [`node`] | scripts in Node.js, with the stock clients of `server/tests/js/package-lock.json` |
//! | [`npm_package`] | the client of `shared/js`, built, packed and installed as an app installs it |
//! | [`chromium`] | a browser, for scripts that open pages |
//! | [`python`] | the packages that scripts in Python need |
//! | [`prometheus`] | where `promtool` and Prometheus come from |
//! | [`example`] | the clients of `shared/examples` |
//! | [`http`] | requests whose answer is returned whatever its status |
//! | [`raw`] | a connection byte by byte, for clients that misbehave |
//! | [`certificate`] | certificates for servers that speak TLS |
//! | [`token`] | tokens, good and bad |
//! | [`process`] | any other program; what it starts never outlives the test |
//!
//! Nothing here asserts what the chat does: that is for the tests.

#![expect(clippy::disallowed_methods, reason = "tests wait for times and hold little")]

mod build;
pub mod certificate;
pub mod chromium;
pub mod example;
pub mod fault_command;
mod hanging_disk;
pub mod http;
pub mod mongod;
pub mod node;
pub mod npm_package;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod python;
pub mod raw;
pub mod server;
pub mod token;

pub use build::{tools_dir, workspace};
pub use server::{Engine, Server, Setup};
