//! Socket.IO: who may connect, what they may send, and how they are answered.
//!
//! [`namespaces`] builds the library's side, [`connect`] lets a socket in and [`session`] is what it is from then on; [`request`]
//! decodes an event and hands it to its handler, [`reply`] answers it exactly once; each event has a file of its own. [`client`]
//! is the way to one connection for [`crate::delivery`], which delivers what was committed; [`resume`] sends what was missed.
//!
//! Handlers run synchronously in the order of the events of a connection. What waits does so in [`crate::chat`], or is answered
//! later, one request of a connection after the other.

pub mod client;
pub mod connect;
pub mod conversations;
mod emit;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod handshake;
pub mod hints;
pub mod mark;
mod named;
pub mod namespaces;
pub mod presence;
pub mod refresh_token;
pub mod reply;
pub mod request;
pub mod resume;
pub mod send_message;
pub mod session;
pub mod settings;
pub mod sync;
mod text;
pub mod timers;
pub mod typing;
