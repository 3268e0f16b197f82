//! The settings of tokens: which are taken.

use clap::Args;

use super::{Secret, values};

/// The settings of tokens.
#[derive(Debug, Clone, Args)]
pub struct Tokens {
    /// Secret that tokens are signed with (HS256), 32 bytes or more
    ///
    /// Without this setting a random one is created once, in DATA_DIR/jwt_secret.
    #[arg(long, env = "JWT_SECRET", hide_env_values = true, value_parser = values::jwt_secret)]
    pub jwt_secret: Option<Secret>,
}
