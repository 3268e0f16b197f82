//! What every part of `chatctl` shares that speaks to a person: how things look, how arguments are read, and Ctrl-C.
//!
//! It is a crate of its own because the everyday commands need it as well as `bench` and `prove`, and a build without those two
//! is to leave out all of the load generator.
//!
//! | module | what it owns |
//! |---|---|
//! | [`output`] | colours, columns, times, JSON, and texts of strangers made harmless |
//! | [`values`] | values of arguments that need more than their type |
//! | [`interrupt`] | Ctrl-C and SIGTERM |

pub mod interrupt;
pub mod output;
pub mod values;

/// A wrong use of the command line that the parser of arguments can't see; the exit status is 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);
