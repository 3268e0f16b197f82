//! The settings of tokens: which are taken, and what becomes of their bearers.

use clap::{ArgAction, Args, ValueEnum};

use super::values;

/// The settings of tokens.
#[derive(Debug, Clone, Args)]
pub struct Tokens {
    /// Which are taken; `chatctl` reads the same.
    #[command(flatten)]
    pub keys: jwt::Settings,

    /// Which ids users have outside: internal, those of this chat; or external, those of another system, which tokens name then
    ///
    /// With external, a place that takes the id of a user takes either, and messages have the internal one as always.
    #[arg(long, env = "USER_IDS", value_enum, default_value_t = UserIdKind::Internal)]
    pub user_ids: UserIdKind,

    /// Create the user of a good token who does not exist, with the claims name and picture
    #[arg(
        long, env = "AUTO_PROVISION", action = ArgAction::Set, default_value_t = false, num_args = 0..=1,
        default_missing_value = "true", value_parser = values::flag
    )]
    pub auto_provision: bool,

    /// What the end of a token means to a connection that is open: `connect` nothing, it is looked at when connecting only; with
    /// `live` the connection ends, unless it was refreshed
    #[arg(long, env = "TOKEN_EXPIRY", value_enum, default_value_t = TokenExpiry::Connect)]
    pub token_expiry: TokenExpiry,
}

/// What the end of a token means to a connection that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenExpiry {
    /// Nothing.
    Connect,
    /// The connection ends, unless it was refreshed.
    Live,
}

/// Which ids users have outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UserIdKind {
    /// 24 hexadecimal digits, which this chat made.
    Internal,
    /// Whatever another system calls them.
    External,
}
