//! Fuzz target of this module: tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::Value;

use super::Verifier;
use crate::clock;

const SECRET: &str = "a secret that only the fuzzer knows, 32 bytes";

/// A token as it comes; and one of a header and claims, a line each, that is signed well.
pub fn tokens(data: &[u8]) {
    let verifier = Verifier::new(&SECRET.into());
    if let Ok(token) = std::str::from_utf8(data) {
        assert!(verifier.verify(token).is_err(), "nobody signed it");
    }
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (header, claims) = (&data[..end], &data[end + 1..]);
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).expect("HMAC signs anything");
    let Ok(accepted) = verifier.verify(&format!("{signed}.{signature}")) else {
        return;
    };
    // What was accepted is read once more, in another way.
    let header: Value = serde_json::from_slice(header).expect("a header");
    // What is ignored need not be text.
    let claims: Value = serde_json::from_str(&String::from_utf8_lossy(claims)).expect("claims");
    assert_eq!(
        (&header["alg"], header.get("crit").is_none_or(Value::is_null)),
        (&"HS256".into(), true)
    );
    let now = clock::now().millis() / 1_000;
    assert!(
        claims["exp"].as_f64().is_some_and(|exp| exp > now as f64 - 1.0),
        "it has ended"
    );
    assert!(
        claims
            .get("nbf")
            .is_none_or(|nbf| nbf.as_f64().is_some_and(|nbf| nbf < now as f64 + 1.0))
    );
    assert_eq!(
        claims["userId"].as_str().map(str::to_ascii_lowercase),
        Some(accepted.user_id.to_string())
    );
    assert_eq!(accepted.role == Some(shared::Role::Admin), claims["role"] == "admin");
}
