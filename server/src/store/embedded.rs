//! The store in SQLite beside the server.
