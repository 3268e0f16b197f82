//! Which tokens which keys take: each algorithm with the key that is for it, and none with another.

use jsonwebtoken::{Algorithm, EncodingKey};
use jwt::pem::{self, PemError};
use jwt::{Header, Key, KeySet, Keys, Provider, Refusal};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const RSA: &str = include_str!("pem/rsa.pem");
const RSA_PUBLIC: &str = include_str!("pem/rsa.pub.pem");
const RSA_PKCS1: &str = include_str!("pem/rsa.pkcs1.pub.pem");
const P256: &str = include_str!("pem/p256.pem");
const P256_PUBLIC: &str = include_str!("pem/p256.pub.pem");
const P384: &str = include_str!("pem/p384.pem");
const P384_PUBLIC: &str = include_str!("pem/p384.pub.pem");
const ED25519: &str = include_str!("pem/ed25519.pem");
const ED25519_PUBLIC: &str = include_str!("pem/ed25519.pub.pem");

const RSA_ALGORITHMS: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

fn signed(key: &EncodingKey, algorithm: Algorithm, kid: Option<&str>) -> String {
    let mut header = jsonwebtoken::Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    jsonwebtoken::encode(&header, &json!({"userId": "ada"}), key).expect("it signs")
}

fn private(text: &str) -> EncodingKey {
    pem::private_key(text).expect("a private key").0
}

/// A token by each algorithm that is known.
fn tokens() -> Vec<(Algorithm, String)> {
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    let hmac = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512].map(|one| (one, secret.clone()));
    let rsa = RSA_ALGORITHMS.map(|one| (one, private(RSA)));
    let others = [
        (Algorithm::ES256, private(P256)),
        (Algorithm::ES384, private(P384)),
        (Algorithm::EdDSA, private(ED25519)),
    ];
    let all = hmac.into_iter().chain(rsa).chain(others);
    all.map(|(algorithm, key)| (algorithm, signed(&key, algorithm, None)))
        .collect()
}

fn keys(own: Vec<Key>) -> Keys {
    Keys {
        own,
        provider: Provider::None,
    }
}

fn ask(keys: &Keys, token: &str) -> Result<Map<String, Value>, Refusal> {
    let header = Header::read(token)?;
    keys.claims(token, &header).map(|(claims, _)| claims)
}

fn public(text: &str) -> Vec<Key> {
    pem::public_keys(text, "a test").expect("public keys")
}

#[test]
fn each_key_takes_the_algorithms_it_is_for_and_no_others() {
    let secret = vec![Key::secret(SECRET, "a secret".to_owned())];
    let cases = [
        (secret, &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512][..]),
        (public(RSA_PUBLIC), &RSA_ALGORITHMS),
        (public(RSA_PKCS1), &RSA_ALGORITHMS),
        (public(P256_PUBLIC), &[Algorithm::ES256]),
        (public(P384_PUBLIC), &[Algorithm::ES384]),
        (public(ED25519_PUBLIC), &[Algorithm::EdDSA]),
    ];
    for (own, algorithms) in cases {
        assert_eq!(own[0].algorithms(), algorithms);
        let keys = keys(own);
        for (algorithm, token) in tokens() {
            let asked = ask(&keys, &token).map(|claims| claims["userId"].clone());
            match algorithms.contains(&algorithm) {
                true => assert_eq!(asked, Ok(json!("ada")), "{algorithm:?}"),
                false => assert_eq!(asked, Err(Refusal::Algorithm), "{algorithm:?}"),
            }
        }
    }
}

#[test]
fn keys_of_all_kinds_take_tokens_side_by_side() {
    // A variable of one line, and text between the keys.
    let text = format!("{RSA_PUBLIC}# older\n{P256_PUBLIC}{P384_PUBLIC}{ED25519_PUBLIC}").replace('\n', "\\n");
    let mut own = public(&text);
    assert_eq!(own.iter().map(Key::label).next(), Some("key 1 of a test"));
    own.push(Key::secret("another secret, older, of 32 bytes", "secret 1".to_owned()));
    own.push(Key::secret(SECRET, "secret 2".to_owned()));
    let keys = keys(own);
    for (algorithm, token) in tokens() {
        assert!(ask(&keys, &token).is_ok(), "{algorithm:?}");
        let (head, tail) = token.split_at(token.len() - 10);
        let changed = format!("{head}{}{}", if tail.starts_with('A') { 'B' } else { 'A' }, &tail[1..]);
        assert_eq!(ask(&keys, &changed), Err(Refusal::Signature), "{algorithm:?}");
    }
}

/// The ways that have fooled others: a public key, which everybody knows, taken for a secret; no signature; an algorithm that the
/// token chose.
#[test]
fn a_token_does_not_choose_how_it_is_checked() {
    let everything = || {
        let mut own = public(&format!("{RSA_PUBLIC}{P256_PUBLIC}{ED25519_PUBLIC}"));
        own.push(Key::secret(SECRET, "secret 1".to_owned()));
        own
    };
    for own in [public(RSA_PUBLIC), everything()] {
        let keys = keys(own);
        for known in [
            RSA_PUBLIC,
            RSA_PUBLIC.trim(),
            RSA_PKCS1,
            P256_PUBLIC,
            ED25519_PUBLIC,
            "",
        ] {
            for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let forged = signed(&EncodingKey::from_secret(known.as_bytes()), algorithm, None);
                assert!(ask(&keys, &forged).is_err(), "{algorithm:?}");
            }
        }
        for alg in ["none", "None", "nOnE", "NONE", "", "HS1", "ES256K", "RS1"] {
            let unsigned = with_head(&json!({"alg": alg, "typ": "JWT"}));
            assert_eq!(ask(&keys, &unsigned), Err(Refusal::Algorithm), "{alg}");
        }
    }
    // The head of a token that is good, with another algorithm of the same key.
    let keys = keys(public(RSA_PUBLIC));
    let good = signed(&private(RSA), Algorithm::RS256, None);
    let (_, rest) = good.split_once('.').unwrap();
    let (head, _) = signed(&private(RSA), Algorithm::PS256, None)
        .split_once('.')
        .map(|(head, rest)| (head.to_owned(), rest.to_owned()))
        .unwrap();
    assert_eq!(ask(&keys, &format!("{head}.{rest}")), Err(Refusal::Signature));
}

fn with_head(head: &Value) -> String {
    use base64::Engine as _;
    let part = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(head), part(&json!({"userId": "ada"})))
}

#[test]
fn what_is_no_token_is_refused() {
    let keys = keys(vec![Key::secret(SECRET, "secret 1".to_owned())]);
    let good = signed(&EncodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS256, None);
    for wrong in [
        "",
        ".",
        "..",
        "a.b.c",
        "eyJ9",
        &good[1..],
        &format!("{good}."),
        &format!("{good}.a"),
        &good.replace('.', ""),
    ] {
        assert_eq!(ask(&keys, wrong), Err(Refusal::Malformed), "{wrong}");
    }
    for head in [
        json!({}),
        json!([]),
        json!("HS256"),
        json!({"alg": 256}),
        json!({"alg": "HS256", "kid": 7}),
    ] {
        assert_eq!(ask(&keys, &with_head(&head)), Err(Refusal::Malformed), "{head}");
    }
    let critical = with_head(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}));
    assert_eq!(ask(&keys, &critical), Err(Refusal::Critical));
    // A signature over something that is no object.
    let list = jsonwebtoken::encode(
        &jsonwebtoken::Header::new(Algorithm::HS256),
        &json!([1]),
        &EncodingKey::from_secret(SECRET.as_bytes()),
    );
    assert_eq!(ask(&keys, &list.unwrap()), Err(Refusal::Malformed));
}

#[test]
fn what_is_no_public_key_is_refused_with_the_way_to_make_one() {
    let of = |text: &str| pem::public_keys(text, "a test").map(|keys| keys.len()).unwrap_err();
    assert_eq!(of("/etc/key.pem"), PemError::None);
    assert_eq!(of(P256), PemError::Private);
    assert_eq!(of(&format!("{P256_PUBLIC}{RSA}")), PemError::Private);
    assert_eq!(of(include_str!("pem/p256.cert.pem")), PemError::Certificate);
    assert_eq!(of(include_str!("pem/p521.pub.pem")), PemError::Kind);
    let small = of(include_str!("pem/rsa-1024.pub.pem"));
    assert_eq!(
        small.to_string(),
        "it holds an RSA key of 1024 bits; 2048 to 4096 are allowed"
    );
    assert_eq!(of(&P256_PUBLIC[..100]), PemError::Damaged);
    assert_eq!(of(&P256_PUBLIC.replacen("Fk", "--", 1)), PemError::Damaged);
    assert_eq!(of(&P256_PUBLIC.repeat(33)), PemError::TooMany);
    // A point that is on no curve.
    let (at, _) = P256_PUBLIC.match_indices('\n').nth(1).unwrap();
    let moved = format!("{}{}{}", &P256_PUBLIC[..at - 4], "AAAA", &P256_PUBLIC[at..]);
    assert!(matches!(of(&moved), PemError::Key(_)));

    let of = |text: &str| pem::private_key(text).map(|_| ()).unwrap_err();
    assert_eq!(of(P256_PUBLIC), PemError::Public);
    assert!(
        of(include_str!("pem/p256.sec1.pem"))
            .to_string()
            .contains("openssl pkcs8 -topk8 -nocrypt")
    );
}

/// The key set of these public keys, each with its id.
fn set(keys: &[Value]) -> KeySet {
    KeySet::read(json!({"keys": keys}).to_string().as_bytes()).expect("a key set")
}

fn jwk(private_key: &str, algorithm: Algorithm, more: &Value) -> Value {
    let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&private(private_key), algorithm).expect("a key");
    let mut jwk = serde_json::to_value(jwk).expect("JSON");
    jwk.as_object_mut().expect("an object").remove("alg");
    for (name, value) in more.as_object().expect("an object") {
        jwk[name] = value.clone();
    }
    jwk
}

#[test]
fn a_providers_keys_are_picked_by_their_id() {
    let keys = Keys {
        own: Vec::new(),
        provider: Provider::Keys(Arc::new(set(&[
            jwk(
                RSA,
                Algorithm::RS256,
                &json!({"kid": "r", "use": "sig", "x5c": ["AAAA"]}),
            ),
            jwk(
                P256,
                Algorithm::ES256,
                &json!({"kid": "e", "alg": "ES256", "key_ops": ["verify"]}),
            ),
            jwk(P384, Algorithm::ES384, &json!({"kid": "e", "alg": "ES384"})),
            jwk(ED25519, Algorithm::EdDSA, &json!({"kid": "d"})),
        ]))),
    };
    let token = |key: &str, algorithm, kid: &str| signed(&private(key), algorithm, Some(kid));
    assert!(ask(&keys, &token(RSA, Algorithm::RS256, "r")).is_ok());
    assert!(ask(&keys, &token(RSA, Algorithm::PS512, "r")).is_ok());
    assert!(ask(&keys, &token(P256, Algorithm::ES256, "e")).is_ok());
    assert!(
        ask(&keys, &token(P384, Algorithm::ES384, "e")).is_ok(),
        "of two of one name the one that fits"
    );
    assert!(ask(&keys, &token(ED25519, Algorithm::EdDSA, "d")).is_ok());
    assert_eq!(ask(&keys, &token(RSA, Algorithm::RS256, "d")), Err(Refusal::Algorithm));
    assert_eq!(ask(&keys, &token(RSA, Algorithm::RS256, "x")), Err(Refusal::UnknownKey));
    let forged = signed(
        &EncodingKey::from_secret(RSA_PUBLIC.as_bytes()),
        Algorithm::HS256,
        Some("r"),
    );
    assert_eq!(ask(&keys, &forged), Err(Refusal::Algorithm));
    // Without an id, only where there is no choice.
    assert!(ask(&keys, &signed(&private(P256), Algorithm::ES256, None)).is_ok());
    let two = Keys {
        own: Vec::new(),
        provider: Provider::Keys(Arc::new(set(&[
            jwk(P256, Algorithm::ES256, &json!({"kid": "1"})),
            jwk(P256, Algorithm::ES256, &json!({"kid": "2"})),
        ]))),
    };
    assert_eq!(
        ask(&two, &signed(&private(P256), Algorithm::ES256, None)),
        Err(Refusal::KeyIdMissing)
    );
}

#[test]
fn keys_for_something_else_are_left_out_of_a_set() {
    let e = |more: Value| jwk(P256, Algorithm::ES256, &more);
    let short = json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"});
    let left_out = [
        (json!({"kty": "oct", "k": "c2VjcmV0", "kid": "s"}), "symmetric"),
        (e(json!({"d": "AAAA"})), "private"),
        (e(json!({"use": "enc"})), "another use"),
        (e(json!({"key_ops": ["sign"]})), "key_ops"),
        (e(json!({"alg": "ES384"})), "algorithm (ES384)"),
        (jwk(RSA, Algorithm::RS256, &json!({"alg": "RSA-OAEP"})), "algorithm"),
        (jwk(RSA, Algorithm::RS256, &json!({"alg": "HS256"})), "algorithm"),
        (e(json!({"crv": "P-384"})), "not of its curve"),
        (e(json!({"crv": "P-521"})), "curve"),
        (e(json!({"x": "AAAA"})), "not of its curve"),
        (e(json!({"x": "A".repeat(43)})), "no valid key"),
        (e(json!({"y": "!"})), "base64url"),
        (short, "no valid key"),
        (json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}), "17 bits"),
        (json!({"kty": "AKP", "pub": "AAAA"}), "kind is not known"),
        (json!({}), "kind is not known"),
    ];
    for (key, why) in left_out {
        let read = set(&[key.clone(), e(json!({"kid": "good"}))]);
        assert_eq!((read.keys.len(), read.skipped.len()), (1, 1), "{key}");
        assert!(read.skipped[0].contains(why), "{:?} instead of {why}", read.skipped);
    }
    let many: Vec<Value> = (0..101).map(|_| json!({})).collect();
    for wrong in [
        "",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[1]}",
        &json!({"keys": many}).to_string(),
    ] {
        assert!(KeySet::read(wrong.as_bytes()).is_err(), "{wrong}");
    }
    assert!(
        set(&[]).keys.is_empty(),
        "a provider without keys is one whose tokens are refused"
    );
}
