//! The wire types of the chat: what the server and `chatctl` say to each other and to every other client.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ids`] | 24-hex-digit identifiers of users and messages |
//! | [`external_id`] | what another system calls a user |
//! | [`time`] | millisecond UTC timestamps in the one format the wire knows |
//! | [`message`] | the stored message as clients see it |
//! | [`user`] | users as the HTTP API shows them |
//! | [`conversation`] | a user's conversations, and how far they were read |
//! | [`presence`] | who is there, who is typing, and what of it others may know |
//! | [`sync`] | catching up on what was missed |
//! | [`admin`] | what administrators do about users who are to be shut out, and about connections |
//! | [`diagnosis`], [`trace`] | how a server stands, and what became of a message, for administrators |
//! | [`events`] | names and payloads of the Socket.IO events |
//! | [`error`] | the one list of error codes, for sockets, HTTP and the command line |
//! | [`claims`] | what a token says |
//! | [`limits`] | sizes both sides must agree on |
//! | [`session`] | the token of a connection: when it ends, and how a new one takes its place |
//! | `schema` | JSON Schemas of the types that derive none; with the feature `schema` only |
//! | [`settings`] | where both programs find their settings: flags, environment, `.env` |
//! | [`values`] | how settings are read that both have |
//! | [`dotenv`] | the file `.env`, as Node.js reads it |
//!
//! Nothing here talks to a network, a clock or a database. `PROTOCOL.md` beside this crate is the contract in prose.

pub mod admin;
pub mod claims;
pub mod conversation;
pub mod diagnosis;
pub mod dotenv;
pub mod error;
pub mod events;
pub mod external_id;
pub mod ids;
pub mod limits;
pub mod message;
pub mod presence;
#[cfg(feature = "schema")]
pub mod schema;
pub mod session;
pub mod settings;
pub mod sync;
pub mod time;
pub mod trace;
pub mod user;
pub mod values;

/// The version of the protocol that this server speaks: `PROTOCOL.md`, "Versions", says what raises it. Clients read it in
/// [`sync::SyncDone`], tools in the answer to `GET /`.
pub const PROTOCOL_VERSION: u32 = 1;

pub use claims::{Claims, Role};
pub use conversation::Conversation;
pub use error::{ErrorCode, WireError};
pub use external_id::{ExternalId, InvalidExternalId};
pub use ids::{InvalidId, MessageId, UserId};
pub use message::Message;
pub use presence::{Presence, Settings, SettingsChange};
pub use sync::SyncEvent;
pub use time::Timestamp;
pub use user::User;
