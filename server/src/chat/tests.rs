//! The queues of messages, watermarks and settings over the embedded store, on a disk that hangs as long as a test wants.

mod commit;
mod receipts;
