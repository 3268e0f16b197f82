//! JSON Web Tokens, as this chat reads and signs them. The server and `chatctl token --check` read a token with the same code.
//!
//! | module | what it holds |
//! |---|---|
//! | [`settings`] | which tokens are taken: the settings `JWT_…` |
//! | [`secrets`] | the secrets that several settings can hold |
//! | [`key`] | a key that checks tokens, and the algorithms it is for |
//! | [`pem`] | public and private keys in PEM |
//! | [`key_set`] | the keys of an identity provider: a JSON Web Key Set |
//! | [`fetch`] | asking an identity provider for its keys, and nobody else |
//! | [`address`] | which addresses are on the open internet |
//! | [`tls`] | what makes connections safe |
//! | [`keys`] | all keys of a server, and which of them a token may be signed with |
//! | [`claims`] | what a token says, once its signature is known to be good |
//! | [`claim_path`] | where in a token a claim is |
//! | [`refusal`] | why a token is not taken |
//! | [`sign`] | signing tokens |
//!
//! A token never decides how it is checked: each key has the algorithms it is for.

pub mod address;
pub mod claim_path;
pub mod claims;
pub mod fetch;
pub mod key;
pub mod key_set;
pub mod keys;
pub mod pem;
pub mod refusal;
pub mod secrets;
pub mod settings;
pub mod sign;
pub mod tls;

pub use claim_path::ClaimPath;
pub use claims::{ClaimedUser, Profile, Rules, Verified};
pub use key::Key;
pub use key_set::KeySet;
pub use keys::{Header, Keys, Provider, unverified};
pub use refusal::Refusal;
pub use settings::Settings;
