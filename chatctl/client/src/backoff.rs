//! How long to wait before the next try to connect: longer each time, and never the same for two clients, so that
//! a server that comes back is not run over by all of them at once.

use std::time::Duration;

const FIRST_DELAY: Duration = Duration::from_millis(250);
const MAX_DELAY: Duration = Duration::from_secs(10);

/// The waiting times of one client.
#[derive(Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next waiting time; `random` is in 0..1.
    pub fn next(&mut self, random: f64) -> Duration {
        let whole = FIRST_DELAY.saturating_mul(1 << self.tries.min(16)).min(MAX_DELAY);
        self.tries += 1;
        whole.mul_f64(0.5 + random / 2.0)
    }

    /// It worked: the next trouble begins with short waiting times again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_limit_and_starts_over() {
        let mut backoff = Backoff::default();
        let times: Vec<u128> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(times, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        assert_eq!(backoff.next(0.0), MAX_DELAY / 2);
        backoff.reset();
        assert_eq!(backoff.next(0.0), FIRST_DELAY / 2);
    }
}
