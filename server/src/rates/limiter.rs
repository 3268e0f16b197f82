//! One rate, and how much of it somebody has used.
//!
//! Each use pushes the time up to which the rate is used on by as long as it takes for another one to be allowed. Where that time
//! would lie further ahead of now than a burst lasts, the use has to wait. (GCRA, the generic cell rate algorithm: a bucket
//! that leaks, in one number.)

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Allowed;

/// The longest time that [`Limiter::delay`] asks for. What was refused meanwhile beyond that is forgotten, so this bounds what one
/// gets for many uses at once; and a client answers a ping too late that waits much longer.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// The furthest ahead of now that a time may lie: a number that is always reached, some 290 years.
const MAX_AHEAD: u64 = u64::MAX / 2;

/// How much somebody has used of a rate: the time up to which it is used, in nanoseconds of [`Uptime`].
#[derive(Debug, Default)]
pub struct Used(AtomicU64);

/// The time since a moment that all limiters of a server share.
#[derive(Debug, Clone, Copy)]
pub struct Uptime(Instant);

/// A rate, or that there is none.
pub struct Limiter(Option<Limited>);

struct Limited {
    allowed: Allowed,
    uptime: Uptime,
    /// Nanoseconds for one use.
    each: u64,
    /// How far ahead of now the time may lie, in nanoseconds.
    ahead: u64,
}

/// More often than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOften {
    /// What is allowed.
    pub allowed: Allowed,
    /// After how long it may be done again.
    pub retry_after: Duration,
}

impl TooOften {
    /// After how many milliseconds it may be done again, at least one.
    pub fn retry_after_ms(&self) -> u64 {
        let ms = self.retry_after.as_nanos().div_ceil(1_000_000);
        u64::try_from(ms).unwrap_or(u64::MAX).max(1)
    }
}

impl fmt::Display for TooOften {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.allowed.fmt(f)
    }
}

impl Limiter {
    /// A limiter of this rate.
    pub fn new(allowed: Option<Allowed>, uptime: Uptime) -> Self {
        Self(allowed.map(|allowed| {
            let each = allowed.span / allowed.count.max(1);
            let each = u64::try_from(each.as_nanos()).unwrap_or(u64::MAX).max(1);
            Limited {
                allowed,
                uptime,
                each,
                ahead: each.saturating_mul(allowed.burst.into()).min(MAX_AHEAD),
            }
        }))
    }

    /// Counts one use.
    ///
    /// # Errors
    /// It may not be; nothing was counted.
    pub fn count(&self, used: &Used) -> Result<(), TooOften> {
        self.count_all(used, 1)
    }

    /// Counts so many uses at once, or none of them. More than a burst are counted as one burst.
    ///
    /// # Errors
    /// They may not be; nothing was counted.
    pub fn count_all(&self, used: &Used, uses: u32) -> Result<(), TooOften> {
        let Some(limited) = &self.0 else { return Ok(()) };
        let now = limited.uptime.now();
        let mut before = used.0.load(Ordering::Relaxed);
        loop {
            let after = limited.after(before, now, uses)?;
            let swapped = used
                .0
                .compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed);
            match swapped {
                Ok(_) => return Ok(()),
                Err(changed) => before = changed,
            }
        }
    }

    /// Counts one use of those that are not refused, and returns how long there should be none until the rate holds again: nothing
    /// as long as it holds, and [`MAX_DELAY`] at most.
    pub fn delay(&self, used: &Used) -> Duration {
        let Some(limited) = &self.0 else { return Duration::ZERO };
        let most = u64::try_from(MAX_DELAY.as_nanos()).unwrap_or(u64::MAX);
        let now = limited.uptime.now();
        let ahead = now.saturating_add(limited.ahead);
        let count = |before: u64| {
            Some(
                before
                    .max(now)
                    .saturating_add(limited.each)
                    .min(ahead.saturating_add(most)),
            )
        };
        let before = used.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        let after = before.ok().and_then(count).unwrap_or_default();
        Duration::from_nanos(after.saturating_sub(ahead))
    }

    /// How much is left of what [`delay`](Self::delay) asked for.
    pub fn delayed(&self, used: &Used) -> Duration {
        let Some(limited) = &self.0 else { return Duration::ZERO };
        let ahead = limited.uptime.now().saturating_add(limited.ahead);
        Duration::from_nanos(used.0.load(Ordering::Relaxed).saturating_sub(ahead))
    }

    /// Whether one use would be counted.
    ///
    /// # Errors
    /// It would not.
    pub fn look(&self, used: &Used) -> Result<(), TooOften> {
        let Some(limited) = &self.0 else { return Ok(()) };
        let before = used.0.load(Ordering::Relaxed);
        limited.after(before, limited.uptime.now(), 1).map(drop)
    }
}

impl Limited {
    /// The time up to which the rate is used after so many uses more.
    fn after(&self, before: u64, now: u64, uses: u32) -> Result<u64, TooOften> {
        let more = self.each.saturating_mul(uses.into()).min(self.ahead);
        let after = before.max(now).saturating_add(more);
        match after.saturating_sub(now).checked_sub(self.ahead) {
            None | Some(0) => Ok(after),
            Some(wait) => Err(TooOften {
                allowed: self.allowed,
                retry_after: Duration::from_nanos(wait),
            }),
        }
    }
}

impl Used {
    /// Whether it says nothing any more: all of the rate is free again.
    pub fn has_passed(&self, now: u64) -> bool {
        self.0.load(Ordering::Relaxed) <= now
    }
}

impl Uptime {
    /// Begins now.
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// The nanoseconds since then.
    pub fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(count: u32, burst: u32) -> Limiter {
        let span = Duration::from_secs(1);
        Limiter::new(Some(Allowed { count, span, burst }), Uptime::begin())
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_at_once_and_then_so_many_in_a_second() {
        let (limiter, used) = (limiter(20, 100), Used::default());
        let burst = (0..200).filter(|_| limiter.count(&used).is_ok()).count();
        assert_eq!(burst, 100);
        let refused = limiter.count(&used).unwrap_err();
        assert!((1..=50).contains(&refused.retry_after_ms()), "{refused:?}");
        tokio::time::advance(Duration::from_millis(refused.retry_after_ms())).await;
        assert_eq!(limiter.count(&used), Ok(()), "after as long as it said");
        tokio::time::advance(Duration::from_secs(2)).await;
        let more = (0..200).filter(|_| limiter.count(&used).is_ok()).count();
        assert!((39..=41).contains(&more), "{more}");
    }

    #[tokio::test(start_paused = true)]
    async fn looking_counts_nothing() {
        let (limiter, used) = (limiter(1, 1), Used::default());
        assert!((0..10).all(|_| limiter.look(&used).is_ok()));
        assert_eq!(limiter.count(&used), Ok(()));
        assert!(limiter.look(&used).is_err());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(limiter.look(&used), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_are_counted_together_or_not_at_all() {
        let (limiter, used) = (limiter(10, 100), Used::default());
        assert_eq!(limiter.count_all(&used, 60), Ok(()));
        let refused = limiter.count_all(&used, 60).unwrap_err();
        assert!((1_900..=2_001).contains(&refused.retry_after_ms()), "{refused:?}");
        assert_eq!(
            limiter.count_all(&used, 40),
            Ok(()),
            "the refused ones were not counted"
        );
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(
            limiter.count_all(&used, 1_000),
            Ok(()),
            "more than ever may be count as a burst"
        );
        assert!(limiter.count(&used).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_refused_is_delayed() {
        let (limiter, used) = (limiter(100, 10), Used::default());
        assert!((0..10).all(|_| limiter.delay(&used).is_zero()));
        assert_eq!(limiter.delay(&used), Duration::from_millis(10));
        assert_eq!(limiter.delay(&used), Duration::from_millis(20));
        tokio::time::advance(Duration::from_millis(30)).await;
        assert!(limiter.delay(&used).is_zero(), "the rate holds again");
        let longest = (0..1_000).map(|_| limiter.delay(&used)).max();
        assert_eq!((longest, limiter.delayed(&used)), (Some(MAX_DELAY), MAX_DELAY));
        tokio::time::advance(MAX_DELAY + Duration::from_millis(10)).await;
        assert!(limiter.delay(&used).is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_rate_of_the_largest_burst_is_one() {
        let allowed = Allowed {
            count: 1,
            span: Duration::from_secs(86_400),
            burst: 1_000_000,
        };
        let (limiter, used) = (Limiter::new(Some(allowed), Uptime::begin()), Used::default());
        let burst = (0..2_000_000).filter(|_| limiter.count(&used).is_ok()).count();
        assert!((100_000..=1_000_000).contains(&burst), "{burst}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_passed_says_nothing_any_more() {
        let uptime = Uptime::begin();
        let span = Duration::from_secs(10);
        let limiter = Limiter::new(
            Some(Allowed {
                count: 10,
                span,
                burst: 5,
            }),
            uptime,
        );
        let used = Used::default();
        assert!(used.has_passed(uptime.now()));
        (0..5).for_each(|_| limiter.count(&used).unwrap());
        assert!(!used.has_passed(uptime.now()));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(used.has_passed(uptime.now()));
    }

    #[test]
    fn without_a_rate_all_may_be() {
        let (limiter, used) = (Limiter::new(None, Uptime::begin()), Used::default());
        assert!((0..1_000).all(|_| limiter.count(&used).is_ok() && limiter.count_all(&used, 1_000).is_ok()));
        assert!(used.has_passed(0));
    }

    /// What a message costs: `cargo test --release -p server --lib cost_of_a_message -- --ignored --nocapture`.
    #[test]
    #[ignore = "measures, and judges nothing"]
    fn cost_of_a_message() {
        let (limiter, used) = (limiter(1_000_000, 1_000_000), Used::default());
        let begun = std::time::Instant::now();
        let uses = 10_000_000;
        let counted = (0..uses).filter(|_| limiter.count(&used).is_ok()).count();
        let each = begun.elapsed().as_nanos() / uses;
        println!("{each} ns each, {counted} of {uses} were allowed");
    }
}
