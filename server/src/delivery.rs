//! Who is connected to this process, and how they are told what happened.
//!
//! [`connections`](ConnectionRegistry) who is connected, [`dispatcher`](Dispatcher) the way to them,
//! [`watermark`](DeliveryWatermark) from where they can go on, [`conversation_notifier`](ConversationNotifier) who is told how
//! their conversations stand, [`presence_subscriptions`](PresenceSubscriptions) who is told of whose presence,
//! [`typing`](TypingTracker) who types, [`privacy`] who may know of both, [`remote_changes`] what other programs write, and
//! [`presence_writer`](PresenceWriter) what the database is told of who is online.

mod connections;
mod conversation_notifier;
mod dispatcher;
mod presence_subscriptions;
mod presence_writer;
pub mod privacy;
pub mod remote_changes;
mod typing;
mod watermark;

/// What the locks of [`ConnectionRegistry`] and [`DeliveryWatermark`] are made of; their models, `tests/delivery_model.rs`,
/// take others.
mod sync {
    pub(super) use parking_lot::Mutex;
}

pub use connections::{Connection, ConnectionRegistry, TooManyConnections};
pub use conversation_notifier::{ConversationNotifier, Hearing};
pub use dispatcher::Dispatcher;
pub use presence_subscriptions::{CantFollow, PresenceSubscriptions};
pub use presence_writer::{PresenceWriter, heartbeat};
pub use typing::TypingTracker;
pub use watermark::{DeliveryWatermark, InFlightGuard};

/// Waits until a time, or for ever if there is none.
async fn sleep_until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
