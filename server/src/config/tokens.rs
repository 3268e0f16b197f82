//! The settings of tokens: which are taken.

use clap::{ArgAction, Args, ValueEnum};

use super::{Secret, values};

/// The settings of tokens.
#[derive(Debug, Clone, Args)]
pub struct Tokens {
    /// Secret that tokens are signed with (HS256), 32 bytes or more
    ///
    /// Without this setting a random one is created once, in DATA_DIR/jwt_secret.
    #[arg(long, env = "JWT_SECRET", hide_env_values = true, value_parser = values::jwt_secret)]
    pub jwt_secret: Option<Secret>,

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
}

/// Which ids users have outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UserIdKind {
    /// 24 hexadecimal digits, which this chat made.
    Internal,
    /// Whatever another system calls them.
    External,
}
