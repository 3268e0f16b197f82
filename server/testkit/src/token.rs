//! Tokens, good and bad, as some other program that knows the secret would sign them.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// The id that an administrator's token carries: no user has it.
pub const NOBODY: &str = "000000000000000000000000";

/// Signs any claims with any of the HMAC algorithms.
pub fn sign(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    with_header(&Header::new(algorithm), secret, claims)
}

/// Signs any claims as any header says.
pub fn with_header(header: &Header, secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(header, claims, &key).expect("JSON can be signed")
}

/// A token of a user that holds for an hour.
pub fn user(secret: &str, user_id: &str) -> String {
    sign(
        Algorithm::HS256,
        secret,
        &json!({"userId": user_id, "exp": seconds() + 3_600}),
    )
}

/// An administrator's token that holds for an hour.
pub fn admin(secret: &str) -> String {
    sign(
        Algorithm::HS256,
        secret,
        &json!({"userId": NOBODY, "role": "admin", "exp": seconds() + 3_600}),
    )
}

/// Now, in seconds since the Unix epoch.
pub fn seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
    now.as_secs()
}
