//! The server, seen from a client: [`http`], [`socket`] with its [`request`]s, [`event`]s and [`news`], the [`token`]s that open both, and
//! the [`backoff`] before the next try; [`probe`] looks at what is between here and the server. Below them are `transport`, the HTTP client, and [`tls`].
//!
//! Nothing here prints or asks; what fails is a [`ClientError`] whose text says what to do about it.

mod announced_end;
pub mod backoff;
mod cause;
pub mod event;
mod external_names;
mod heartbeat;
pub mod http;
pub mod news;
pub mod probe;
pub mod request;
pub mod socket;
mod socket_url;
pub use jwt::tls;
pub mod token;
mod transport;
mod waiting;

use shared::{UserId, WireError};

/// Why the server did not do what was asked. Each text is one line for people and says what helps.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection, or one that broke before the answer was complete.
    #[error("the server is not reachable at {url} ({reason}): start it with `cargo run`, or set {setting}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the system said.
        reason: String,
        /// What says where to look.
        setting: &'static str,
    },
    /// There is a connection, and nothing comes.
    #[error("the server at {url} does not answer: it hangs, or the network is gone")]
    Silent {
        /// Where it is.
        url: String,
    },
    /// The connection could not be made safe.
    #[error("no secure connection to {url}: {reason}")]
    Insecure {
        /// Where it was tried.
        url: String,
        /// What was wrong.
        reason: String,
    },
    /// Something answers there, but not this chat.
    #[error("{url} doesn't answer like the chat server ({what}): is {setting} right?")]
    NotTheServer {
        /// Where it was looked for.
        url: String,
        /// What was wrong with the answer.
        what: String,
        /// What says where to look.
        setting: &'static str,
    },
    /// The token was refused.
    #[error("the server at {url} refused the token{reason}: is the secret from {origin} the one it was started with?")]
    Unauthorized {
        /// The server.
        url: String,
        /// What the server said, in brackets.
        reason: String,
        /// Where the secret comes from.
        origin: String,
    },
    /// The server's own error.
    #[error(transparent)]
    Answered(#[from] WireError),
    /// Nobody has this name.
    #[error("there is no user {0:?}: `chatctl seed users {0}` creates one, `chatctl users` lists all")]
    NoSuchName(String),
    /// Nobody has this id.
    #[error("there is no user with the id {0}: `chatctl users` lists all")]
    NoSuchId(UserId),
    /// Old databases can hold one name several times.
    #[error("{name:?} is the name of several users, say which by the id: {}", list(ids))]
    Ambiguous {
        /// The name.
        name: String,
        /// Whose it is.
        ids: Vec<UserId>,
    },
}

fn list(ids: &[UserId]) -> String {
    let ids: Vec<String> = ids.iter().map(UserId::to_string).collect();
    ids.join(", ")
}
