//! `InboxStore`: the list of a user's conversations, and how each stands.

pub(crate) mod list;
pub(crate) mod unread;
