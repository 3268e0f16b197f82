//! The settings of tokens: which are taken.

use clap::{Args, ValueEnum};

use super::{Secret, values};

/// The settings of tokens.
#[derive(Debug, Clone, Args)]
pub struct Tokens {
    /// Secret that tokens are signed with (HS256), 32 bytes or more
    ///
    /// Without this setting a random one is created once, in DATA_DIR/jwt_secret.
    #[arg(long, env = "JWT_SECRET", hide_env_values = true, value_parser = values::jwt_secret)]
    pub jwt_secret: Option<Secret>,

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
