//! The settings of tokens: which are taken, and what becomes of their bearers.

use clap::Args;

/// The settings of tokens.
#[derive(Debug, Clone, Args)]
pub struct Tokens {
    /// Which are taken; `chatctl` reads the same.
    #[command(flatten)]
    pub keys: jwt::Settings,
}
