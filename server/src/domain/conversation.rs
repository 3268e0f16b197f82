//! Whose messages belong together.

use shared::UserId;

/// The two people of a conversation, in either order; a user may talk to themself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conversation {
    low: UserId,
    high: UserId,
}

impl Conversation {
    /// The conversation between two users, the same for `(a, b)` and `(b, a)`.
    pub fn between(a: UserId, b: UserId) -> Self {
        Self {
            low: a.min(b),
            high: a.max(b),
        }
    }

    /// The participant whose id sorts first.
    pub fn low(self) -> UserId {
        self.low
    }

    /// The participant whose id sorts last.
    pub fn high(self) -> UserId {
        self.high
    }

    /// Whether this user takes part.
    pub fn includes(self, user: UserId) -> bool {
        user == self.low || user == self.high
    }
}
