//! Ctrl-C, or SIGTERM: the first ends the measuring, the second the wait for what is still on its way, the third everything.

use chatctl_terminal::interrupt::{EXIT_STATUS, InterruptSignals};
use tokio::sync::watch;

/// Counts the interrupts.
#[derive(Debug, Clone)]
pub struct InterruptCounter(watch::Receiver<u32>);

impl InterruptCounter {
    /// Listens from now on; must be called in a runtime.
    pub fn listen() -> Self {
        let (count, seen) = watch::channel(0);
        tokio::spawn(async move {
            // Without room for it a signal ends the process, as ever.
            let Ok(mut interrupts) = InterruptSignals::listen() else {
                return;
            };
            while interrupts.next().await {
                count.send_modify(|count| *count += 1);
                if *count.borrow() >= 3 {
                    std::process::exit(EXIT_STATUS.into());
                }
            }
        });
        Self(seen)
    }

    /// Returns when there were so many.
    pub async fn wait_for(&self, count: u32) {
        let mut seen = self.0.clone();
        if seen.wait_for(|now| *now >= count).await.is_err() {
            // Nobody listens any more, so none will come.
            std::future::pending().await
        }
    }

    /// Whether there was one.
    pub fn happened(&self) -> bool {
        *self.0.borrow() > 0
    }
}
