//! What a chat is made of: checked types without I/O. They know neither sockets nor databases.
//!
//! Raw input becomes one of these types where it arrives, once, and nothing after that checks it again.

mod access;
mod change;
mod conversation;
mod cursor;
mod marker;
mod new_message;
mod new_user;
mod position;
mod profile;
mod text;
mod username;
mod visible;

pub use access::{Access, Ban, ShutOut, revocation_of};
pub use change::{Change, Changes, RemoteChange};
pub use conversation::Conversation;
pub use cursor::{Cursor, Instance, InvalidCursor, PageEnd};
pub use marker::{Mark, MarkKind, Marked, Marker, Watermark};
pub use new_message::{ClientMessageId, InvalidClientMessageId, NewMessage};
pub use new_user::{Identity, NewUser};
pub use position::{Bounds, End, Position};
pub use profile::{AvatarUrl, DisplayName, InvalidProfile, Profile};
pub use text::{InvalidText, Text};
pub use username::{InvalidUsername, Username};
