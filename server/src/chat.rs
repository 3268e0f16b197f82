//! What a chat does, apart from how it is carried and kept: it knows neither sockets nor databases' formats.
//!
//! In the order of a message's way: [`message_ids`](MessageIdGenerator) its id and time, [`commit`](Committer) the queue
//! that makes durable batches of what waits.
//!
//! Beside it: [`receipts`](Receipts) the queue of watermarks, [`settings`](SettingsChanges) changing them,
//! [`reads`](Reads) whose turn it is to read, [`catchup`](missed) what somebody missed, [`inbox`] the conversations.

mod catchup;
mod commit;
pub mod inbox;
mod message_ids;
mod reads;
mod receipts;
mod settings;
#[cfg(test)]
mod tests;

pub use catchup::{Missed, missed, receipts};
pub use commit::{AppendOutcome, Backlog, Buffered, Committer, Limits, NotStored, SubmitError};
pub use message_ids::MessageIdGenerator;
pub use reads::{Reading, Reads, TooManyReads};
pub use receipts::{MarkOutcome, Receipts, read_receipts};
pub use settings::SettingsChanges;
