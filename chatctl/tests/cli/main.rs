//! `chatctl`, the shipped program, against the shipped server: every command, and chatting as scripts and people do.
//!
//! | module | what it drives |
//! |---|---|
//! | [`program`] | `chatctl` without a terminal |
//! | [`screen`] | `chatctl` in a pseudo-terminal |
//! | [`commands`], [`questions`] | all commands but `chat`: with their arguments, and asking for them |
//! | [`scripts`] | `chat` with JSON lines |
//! | [`people`], [`typing`] | `chat` in a terminal |
//! | [`receipts`] | ticks, who is there and types, what is unread |
//! | [`admin`] | `admin` |
//! | [`inbox`], [`watch`] | `inbox`, `rebuild` and `watch` |
//! | [`endings`] | every way in which a connection can end |
//! | [`examples`], [`tour`] | the examples of README and PROTOCOL, as they stand |
//! | [`assistants`] | the document for coding assistants |
//! | [`picture`] | the picture in README |
//! | [`clients`] | the clients of `shared/examples`, which other people copy |
//! | [`outage`] | commands while the server's database is away |
//! | [`paths`] | servers below a path of their own |
//! | [`restart`] | `chat`, while the server is killed and comes back |

mod admin;
mod assistants;
mod bad_proxy;
mod clients;
mod commands;
mod doctor;
mod endings;
mod examples;
mod external;
mod inbox;
mod outage;
mod paths;
mod people;
mod picture;
mod program;
mod questions;
mod receipts;
mod restart;
mod screen;
mod scripts;
mod tokens;
mod top;
mod tour;
mod trace;
mod typing;
mod watch;

use testkit::{Engine, Server};

/// The server of all tests that leave it running.
fn server() -> &'static Server {
    Server::shared(Engine::Embedded)
}

/// New users of this server: their names, which no other test uses, and their ids.
fn users<const N: usize>(server: &Server) -> [(String, String); N] {
    let mark = format!("{:08x}", rand::random::<u32>());
    let names: [String; N] = std::array::from_fn(|index| format!("{}-{mark}", ["ada", "bob", "cyd"][index]));
    let ids = server.users(names.each_ref().map(String::as_str));
    std::array::from_fn(|index| (names[index].clone(), ids[index].clone()))
}
