//! What a chat is, apart from how it is carried and kept: it knows neither sockets nor databases' formats.
//!
//! In the order of a message's way: [`model`](NewMessage) what a checked message is, [`mint`](Mint) its id and time,
//! [`commit`](Committer) the queue that makes durable batches of what waits, [`directory`](Directory) who is connected
//! here, and [`presence`](Presence) what of that the database is told.
//!
//! Beside it: [`receipts`](Receipts) the queue of watermarks, [`settings`](SettingsChanges) changing them,
//! [`reads`](Reads) whose turn it is to read, [`catchup`](missed) what somebody missed and
//! [`horizon`](Horizon) from where they can go on, [`inbox`] the conversations and [`updates`](Updates) who is told of
//! them, [`watch`](Watch) who is told of whose presence, [`typing`](Typists) who types, [`privacy`] who may know of both.

mod catchup;
mod commit;
mod directory;
mod horizon;
pub mod inbox;
mod mint;
mod presence;
pub mod privacy;
mod reads;
mod receipts;
mod settings;
mod typing;
mod updates;
mod watch;

/// What the locks of [`Directory`] and [`Horizon`] are made of; their models, `tests/delivery_model.rs`, take others.
mod sync {
    pub(super) use parking_lot::Mutex;
}

pub use catchup::{Missed, missed, receipts};
pub use commit::{Backlog, Buffered, Committed, Committer, Limits, NotStored, Refused};
pub use directory::{Device, Directory, TooManyConnections};
pub use horizon::{Horizon, Ticket};
pub use mint::Mint;
pub use presence::{Presence, heartbeat};
pub use reads::{Reading, Reads, TooManyReads};
pub use receipts::{Receipts, Settled, read_receipts};
pub use settings::SettingsChanges;
pub use typing::Typists;
pub use updates::{Hearing, Updates};
pub use watch::{CantFollow, Watch};

/// Waits until a time, or for ever if there is none.
async fn sleep_until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
