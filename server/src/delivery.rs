//! Who is connected to this process, and how they are notified of what happened.
//!
//! | module | what it owns |
//! |---|---|
//! | [`client`] | a connection as delivery sees it; a transport implements it |
//! | [`connections`](ConnectionRegistry), [`registration`] | who is connected |
//! | [`dispatcher`](Dispatcher) | the way to them |
//! | [`budget`] | bytes that wait for clients, and their bounds |
//! | [`watermark`](DeliveryWatermark) | from where clients can go on |
//! | [`conversation_notifier`](ConversationNotifier), [`conversation_view`] | who is sent how their conversations stand, and what that is |
//! | [`presence_subscriptions`](PresenceSubscriptions), [`presence_writer`](PresenceWriter) | who follows whose presence, and what the database stores of it |
//! | [`typing`](TypingTracker) | who types |
//! | [`privacy`] | who may see presence, typing and receipts |
//! | [`access`] | ending the connections of users who are shut out |
//! | [`settings_order`](SettingsOrder) | changes of one user's settings, one after the other |
//! | [`remote_changes`] | what other programs write to the same database |

use std::sync::Arc;

pub mod access;
pub mod budget;
pub mod client;
mod connections;
mod conversation_notifier;
pub mod conversation_view;
mod dispatcher;
mod presence_subscriptions;
mod presence_writer;
pub mod privacy;
pub mod registration;
pub mod remote_changes;
mod settings_order;
mod timer;
mod typing;
mod watermark;

/// What the locks of [`ConnectionRegistry`] and [`DeliveryWatermark`] are made of; their models, `tests/delivery_model.rs`,
/// take others.
mod sync {
    pub(super) use parking_lot::Mutex;
}

pub use connections::{Connection, ConnectionRegistry, TooManyConnections};
pub use conversation_notifier::{ConversationNotifier, Readiness};
pub use dispatcher::{Buffered, Dispatcher};
pub use presence_subscriptions::{CantFollow, PresenceSubscriptions};
pub use presence_writer::{PresenceWriter, run_heartbeat};
pub use settings_order::SettingsOrder;
pub use typing::TypingTracker;
pub use watermark::{DeliveryWatermark, InFlightGuard};

/// The connections of this process's users.
pub type Connections = ConnectionRegistry<client::ConnectionId, Arc<dyn client::Client>>;
