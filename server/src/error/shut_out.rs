//! What clients see who are shut out.

use shared::{ErrorCode, WireError};

use crate::delivery::client::Ending;
use crate::domain::Ban;

/// What a user who is banned is told.
pub(super) fn banned(ban: &Ban) -> WireError {
    let until = ban.until.map(|until| format!(" until {until}")).unwrap_or_default();
    let reason = ban
        .reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    WireError {
        until: ban.until,
        ..WireError::new(ErrorCode::Banned, format!("this user is banned{until}{reason}"))
    }
}

/// Why a connection is ended, and why its requests are refused until it is.
pub fn ended(ending: &Ending) -> WireError {
    match ending {
        Ending::Revoked { .. } => WireError::new(
            ErrorCode::TokenRevoked,
            "the tokens of this user were revoked; connect again with a new one",
        ),
        Ending::Banned(ban) => banned(ban),
        Ending::Expired => WireError::new(
            ErrorCode::TokenExpired,
            "the token of this connection has ended; connect again with a new one",
        ),
        Ending::Disconnected => WireError::new(
            ErrorCode::Disconnected,
            "an administrator ended this connection; connect again if you are meant to",
        ),
    }
}
