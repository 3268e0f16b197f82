//! What notices that a task of a queue is gone before its end.

use std::sync::Arc;

use super::queue::Queue;

/// A task that reads a queue, or answers what was in it. If it is dropped before its end, the queue is broken.
pub(crate) struct Running<T> {
    queue: Arc<Queue<T>>,
    ended: bool,
}

impl<T> Running<T> {
    pub(crate) fn new(queue: &Arc<Queue<T>>) -> Self {
        Self {
            queue: Arc::clone(queue),
            ended: false,
        }
    }

    pub(crate) fn end(mut self) {
        self.ended = true;
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        if !self.ended {
            self.queue.break_off();
        }
    }
}
