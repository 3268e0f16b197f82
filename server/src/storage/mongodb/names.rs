//! The names that are stored: of the collections, and of the database where nothing else says which.

pub(super) const MESSAGES: &str = "messages";
pub(super) const USERS: &str = "users";
pub(super) const NODES: &str = "nodes";
/// Who has received and read what.
pub(super) const MARKERS: &str = "markers";
/// Each user's conversations in the order of their newest messages: derived from `messages`.
pub(super) const INBOXES: &str = "inboxes";
/// Messages that became visible long after their ids and times were made.
pub(super) const RENEWALS: &str = "renewals";
/// What this database is, and how far work on all of it has come.
pub(super) const META: &str = "meta";

/// The database, where nothing else says which.
pub(super) const DEFAULT_DATABASE: &str = "realtime_chat";
