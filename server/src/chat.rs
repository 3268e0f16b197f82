//! What a chat is, apart from how it is carried and kept.

mod model;

pub use model::{ClientMessageId, InvalidClientMessageId, InvalidText, InvalidUsername, NewMessage, Text, Username};
