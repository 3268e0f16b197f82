//! What a chat is, apart from how it is carried and kept: it knows neither sockets nor databases' formats.
//!
//! In the order of a message's way: [`model`](NewMessage) what a checked message is, [`mint`](Mint) its id and time,
//! [`commit`](Committer) the queue that makes durable batches of what waits, [`directory`](Directory) who is connected
//! here, and [`presence`](Presence) what of that the database is told.

mod commit;
mod directory;
mod mint;
mod model;
mod presence;

pub use commit::{Committed, Committer, Refused};
pub use directory::{Directory, TooManyConnections};
pub use mint::{Mint, now};
pub use model::{ClientMessageId, InvalidClientMessageId, InvalidText, InvalidUsername, NewMessage, Text, Username};
pub use presence::Presence;
