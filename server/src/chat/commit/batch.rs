//! A batch on its way to the store, and on its way from there to those who wait for it.

use tokio::time::Instant;

use super::{AppendOutcome, Charge};
use crate::delivery::InFlightGuard;
use crate::domain::NewMessage;

/// A batch on its way to the store; the lists are parallel. A sender is answered once, so there are no replies any more
/// when the senders were answered before the store did.
pub(super) struct Batch<R> {
    pub(super) messages: Vec<NewMessage>,
    pub(super) replies: Vec<R>,
    pub(super) charges: Vec<Charge>,
}

impl<R> Batch<R> {
    pub(super) fn with_capacity(messages: usize) -> Self {
        Self {
            messages: Vec::with_capacity(messages),
            replies: Vec::with_capacity(messages),
            charges: Vec::with_capacity(messages),
        }
    }
}

/// What is to be answered and delivered.
pub(super) struct Done<R> {
    /// Held until it is.
    pub(super) in_flight: Option<InFlightGuard>,
    pub(super) outcomes: Vec<AppendOutcome<R>>,
    /// What is no longer under way then.
    pub(super) charges: Vec<Charge>,
    /// Whether the receivers' room was charged, too.
    pub(super) admitted: bool,
    /// When it was committed, if it is timed.
    pub(super) committed: Option<Instant>,
}

impl<R> Done<R> {
    /// What was not handed to the store.
    pub(super) fn refused(outcomes: Vec<AppendOutcome<R>>, charges: Vec<Charge>) -> Self {
        Self {
            in_flight: None,
            outcomes,
            charges,
            admitted: false,
            committed: None,
        }
    }
}
