//! Fuzz targets of this module: tokens, and the keys that check them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, crypto};
use jwt::{Key, KeySet, Rules, pem};
use serde_json::Value;

use super::key_store::KeyStore;
use super::{ClaimedUser, Verified, Verifier};
use crate::clock;

const SECRET: &str = "a secret that only the fuzzer knows, 32 bytes";

/// A token as it comes; and one of a header and claims, a line each, that is signed well.
pub fn tokens(data: &[u8]) {
    let verifier = Verifier::new(KeyStore::of_secret(SECRET), Rules::default());
    if let Ok(token) = std::str::from_utf8(data) {
        assert!(verify(&verifier, token).is_none(), "nobody signed it");
    }
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (header, claims) = (&data[..end], &data[end + 1..]);
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).expect("HMAC signs anything");
    let Some(accepted) = verify(&verifier, &format!("{signed}.{signature}")) else {
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
    let ClaimedUser::Id(user) = accepted.user else {
        panic!("no setting allows ids of another system");
    };
    assert_eq!(
        claims["userId"].as_str().map(str::to_ascii_lowercase),
        Some(user.to_string())
    );
    assert_eq!(accepted.admin, claims["role"] == "admin");
}

/// What a token says. With a secret as the only key nobody has to be asked for one.
fn verify(verifier: &Verifier, token: &str) -> Option<Verified> {
    verifier.verify(token).now_or_never().expect("no key is asked for").ok()
}

/// A key set as an identity provider serves it, and public keys in PEM. None of them may be one that a stranger can sign with.
pub fn public_keys(data: &[u8]) {
    if let Ok(set) = KeySet::read(data) {
        let given: Value = serde_json::from_slice(data).expect("it was read");
        let count = given["keys"].as_array().map_or(0, Vec::len);
        assert_eq!(set.keys.len() + set.skipped.len(), count, "each key is used or named");
        set.keys.iter().for_each(check);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(keys) = pem::public_keys(text, "a text")
    {
        assert!(!keys.is_empty() && !text.contains("-----BEGIN PRIVATE KEY-----"));
        keys.iter().for_each(check);
    }
}

fn check(key: &Key) {
    assert!(!key.algorithms().is_empty());
    let is_symmetric = |algorithm: &Algorithm| algorithm.family() == AlgorithmFamily::Hmac;
    assert!(!key.algorithms().iter().any(is_symmetric));
    for algorithm in key.algorithms() {
        let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"{algorithm:?}\"}}"));
        assert!(key.claims(&format!("{header}.e30.AAAA")).is_err(), "nobody signed it");
    }
}
