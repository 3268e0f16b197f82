//! TCP: accepting connections, and the two things about them that the Socket.IO library does not see to.
//!
//! [`serve`](listener::serve) accepts and hands to hyper; [`stream`] lets a connection be ended from outside;
//! [`detach`] keeps a long-lived connection from pinning the memory of the request it began with.

pub mod detach;
pub mod listener;
pub mod stream;
