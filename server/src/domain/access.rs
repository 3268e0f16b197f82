//! Whom an administrator has shut out: tokens of a user that hold no more, and bans.

use shared::Timestamp;

/// So far ahead of this clock may be the one of whoever makes tokens, in milliseconds.
const AHEAD: i64 = 60_000;

/// What an administrator has decided about a user. The default lets everybody in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Tokens that were made before this moment, which is a whole second, are refused.
    pub revoked_before: Option<Timestamp>,
    /// The user is shut out, whatever the token.
    pub ban: Option<Ban>,
}

/// A user is shut out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// When that was decided.
    pub at: Timestamp,
    /// When it ends by itself; never, if it is missing.
    pub until: Option<Timestamp>,
    /// Why, for people. The user is shown it.
    pub reason: Option<String>,
}

/// Why a good token is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShutOut {
    /// The token was made before its user's tokens were revoked, or does not say when it was made.
    Revoked,
    /// The user is banned.
    Banned(Ban),
}

impl Access {
    /// Whether a token that was made in this second is refused now, and why. One that was made later than now says nothing of whether
    /// it was made before the revocation, and would outlast every one.
    pub fn refusal(&self, issued_at: Option<i64>, now: Timestamp) -> Option<ShutOut> {
        if let Some(ban) = self.ban.as_ref().filter(|ban| ban.holds(now)) {
            return Some(ShutOut::Banned(ban.clone()));
        }
        let before = self.revoked_before?;
        let made = issued_at.map(|seconds| seconds.saturating_mul(1_000));
        let latest = now.millis().saturating_add(AHEAD);
        made.is_none_or(|made| made < before.millis() || made > latest)
            .then_some(ShutOut::Revoked)
    }
}

impl Ban {
    /// Whether it has not ended.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The moment before which tokens are revoked by a request of now: the next whole second. A token names the second in which
/// it was made, so one that was made earlier in this second can't be told from one that is made later in it: both are refused.
pub fn revocation_of(now: Timestamp) -> Timestamp {
    let next = now.millis().div_euclid(1_000).saturating_add(1);
    Timestamp::from_millis(next.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_before_are_refused_and_those_of_after_are_not() {
        for now in [7_000, 7_001, 7_999] {
            let now = Timestamp::from_millis(now);
            let access = Access {
                revoked_before: Some(revocation_of(now)),
                ban: None,
            };
            let refusal = |issued_at| access.refusal(issued_at, now);
            assert_eq!(refusal(Some(7)), Some(ShutOut::Revoked), "it may be of before");
            assert_eq!(refusal(Some(8)), None);
            assert_eq!(refusal(None), Some(ShutOut::Revoked));
            assert_eq!(refusal(Some(i64::MIN)), Some(ShutOut::Revoked));
            assert_eq!(refusal(Some(66)), None, "clocks differ");
            for of_no_time in [69, 253_402_300_799, i64::MAX] {
                assert_eq!(refusal(Some(of_no_time)), Some(ShutOut::Revoked), "{of_no_time}");
            }
        }
        for issued_at in [None, Some(i64::MAX)] {
            assert_eq!(Access::default().refusal(issued_at, Timestamp::from_millis(0)), None);
        }
    }

    #[test]
    fn a_ban_ends_by_itself() {
        let ban = Ban {
            at: Timestamp::from_millis(1),
            until: Some(Timestamp::from_millis(5)),
            reason: None,
        };
        let access = Access {
            revoked_before: None,
            ban: Some(ban.clone()),
        };
        let at = |millis| access.refusal(Some(9), Timestamp::from_millis(millis));
        assert_eq!((at(4), at(5)), (Some(ShutOut::Banned(ban)), None));
    }
}
