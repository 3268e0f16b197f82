//! Why the server ends a connection or a session.

/// Why a connection was ended by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// More waited for it than may wait.
    Unread,
    /// It took what waited for it more slowly than the least rate, or not at all.
    TooSlow,
    /// Nothing came from it for longer than a ping and its answer may take.
    Silent,
    /// It sent much that waits for its rest or for who it is, while others did the same; or the rest did not come in time.
    Intake,
    /// It asked again and again to be connected.
    Connects,
    /// It asked for a namespace that does not exist.
    Namespace,
    /// It sent by polling what is not allowed there, or two bodies at a time.
    Protocol,
}

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Unread,
        Self::TooSlow,
        Self::Silent,
        Self::Intake,
        Self::Connects,
        Self::Namespace,
        Self::Protocol,
    ];

    /// What the log and the counters call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::TooSlow => "too_slow",
            Self::Silent => "silent",
            Self::Intake => "intake",
            Self::Connects => "connects",
            Self::Namespace => "namespace",
            Self::Protocol => "protocol",
        }
    }
}
