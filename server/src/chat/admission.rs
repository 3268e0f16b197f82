//! Requests are counted until they are answered, so that a stop waits for them.

use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::commit::SubmitError;

/// Requests that were taken and not answered, and writes whose requester has stopped waiting.
#[derive(Default)]
pub struct Admission(TaskTracker);

impl Admission {
    /// Counts a request until the token is dropped.
    ///
    /// # Errors
    /// The server is stopping, and takes no more.
    pub fn admit(&self) -> Result<TaskTrackerToken, SubmitError> {
        // Counted before looking, and both are one number: either the stop waits for this one, or it is refused.
        let token = self.0.token();
        match self.0.is_closed() {
            false => Ok(token),
            true => Err(SubmitError::Stopping),
        }
    }

    /// Admits nothing from now on.
    pub fn close(&self) {
        self.0.close();
    }

    /// Waits until nothing is counted any more, once it was closed.
    pub async fn wait(&self) {
        self.0.wait().await;
    }

    /// How many are counted.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
