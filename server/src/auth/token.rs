//! JSON Web Tokens: HS256 and nothing else.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use shared::Claims;

use super::AuthError;
use crate::clock;
use crate::config::Secret;

/// The last second of the year 9999, in which every calendar ends. Since 1978 the milliseconds of any date are more.
const LAST_SECOND: i64 = 253_402_300_799;

/// Checks tokens against one secret.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// A verifier of tokens that are signed with this secret.
    pub fn new(secret: &Secret) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // The claims themselves can't be read without `exp`, and `check_times` reads them as RFC 7519 says.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        // Audiences were never part of the contract; a token that names one is still ours if the secret is.
        validation.validate_aud = false;
        Self {
            key: DecodingKey::from_secret(secret.expose().as_bytes()),
            validation,
        }
    }

    /// The claims of a token that is good now.
    pub fn verify(&self, token: &str) -> Result<Claims, AuthError> {
        let data = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation)
            .map_err(|error| AuthError::Invalid(reason(error.kind())))?;
        // RFC 7515, 4.1.11: a recipient that does not know what is critical must refuse. Nothing of the kind is known here.
        if data.header.crit.is_some() {
            return Err(AuthError::Invalid(
                "its header has crit, and no extension is known here",
            ));
        }
        check_times(&data.claims, clock::now().millis().div_euclid(1_000)).map_err(AuthError::Invalid)?;
        Ok(data.claims)
    }
}

/// RFC 7519, 4.1. Without tolerance: the clocks of issuer and server are the same or synchronised.
fn check_times(claims: &Claims, now: i64) -> Result<(), &'static str> {
    if claims.exp > LAST_SECOND {
        return Err("its exp lies beyond the year 9999; it counts seconds, not milliseconds");
    }
    if claims.nbf.is_some_and(|nbf| nbf > LAST_SECOND) {
        return Err("its nbf lies beyond the year 9999; it counts seconds, not milliseconds");
    }
    if claims.iat.is_some_and(|iat| iat > LAST_SECOND) {
        return Err("its iat lies beyond the year 9999; it counts seconds, not milliseconds");
    }
    if claims.exp <= now {
        return Err("it has expired");
    }
    if claims.nbf.is_some_and(|nbf| nbf > now) {
        return Err("it is not valid yet");
    }
    Ok(())
}

/// Helps a developer who mints tokens, and says nothing to a stranger that the token itself doesn't say.
fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidSignature => "its signature does not match the server's JWT_SECRET",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => "it must be signed with HS256",
        ErrorKind::Json(_) => {
            "it needs the claims userId (24 hexadecimal digits) and exp (seconds); nbf and iat are seconds, too"
        }
        _ => "it is not a JSON Web Token",
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const USER: &str = "6945576383968f286a0ff5f9";
    const FAR: i64 = 4_000_000_000;

    fn verify(algorithm: Algorithm, claims: Value, secret: &str) -> Result<Claims, String> {
        let token = encode(
            &Header::new(algorithm),
            &claims,
            &EncodingKey::from_secret(secret.as_bytes()),
        )
        .unwrap();
        Verifier::new(&SECRET.into())
            .verify(&token)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn takes_what_the_contract_names() {
        let claims = verify(
            Algorithm::HS256,
            json!({"userId": USER, "exp": FAR, "aud": "x"}),
            SECRET,
        )
        .unwrap();
        assert_eq!(claims.user_id.to_string(), USER);
        // Date.now() / 1000 has decimals; issuers forget to cut them off.
        verify(
            Algorithm::HS256,
            json!({"userId": USER, "exp": 4_000_000_000.5}),
            SECRET,
        )
        .unwrap();
        let role = |role: Value| {
            let claims = json!({"userId": USER, "exp": FAR, "role": role});
            verify(Algorithm::HS256, claims, SECRET).unwrap().role
        };
        assert_eq!(role(json!("admin")), Some(shared::Role::Admin));
        assert_eq!(role(Value::Null), None);
        for other in [
            json!("editor"),
            json!(3),
            json!(["admin"]),
            json!({"admin": null}),
            json!(true),
        ] {
            assert_eq!(role(other.clone()), Some(shared::Role::Other), "{other}");
        }
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        let good = json!({"userId": USER, "exp": FAR});
        for (algorithm, claims, secret, why) in [
            (
                Algorithm::HS256,
                good.clone(),
                "another secret of thirty-two byte",
                "signature",
            ),
            (Algorithm::HS384, good.clone(), SECRET, "HS256"),
            (Algorithm::HS256, json!({"userId": USER, "exp": 1}), SECRET, "expired"),
            (
                Algorithm::HS256,
                json!({"userId": USER, "exp": FAR, "nbf": FAR - 1}),
                SECRET,
                "not valid yet",
            ),
            (
                Algorithm::HS256,
                json!({"userId": USER, "exp": FAR * 1_000}),
                SECRET,
                "exp lies beyond the year 9999; it counts seconds",
            ),
            (
                Algorithm::HS256,
                json!({"userId": USER, "exp": FAR, "nbf": 1_800_000_000_000_i64}),
                SECRET,
                "nbf lies beyond",
            ),
            (
                Algorithm::HS256,
                json!({"userId": USER, "exp": FAR, "iat": 1_800_000_000_000_i64}),
                SECRET,
                "iat lies beyond",
            ),
            (
                Algorithm::HS256,
                json!({"userId": USER, "exp": FAR, "nbf": "1"}),
                SECRET,
                "nbf",
            ),
            (
                Algorithm::HS256,
                json!({"userId": USER, "exp": FAR, "iat": null}),
                SECRET,
                "iat",
            ),
            (Algorithm::HS256, json!({"userId": USER}), SECRET, "exp"),
            (Algorithm::HS256, json!({"exp": FAR}), SECRET, "userId"),
            (Algorithm::HS256, json!({"userId": "ada", "exp": FAR}), SECRET, "userId"),
        ] {
            let error = verify(algorithm, claims, secret).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        // {"alg":"none","typ":"JWT"}, with a payload that is otherwise good and no signature
        let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJ1c2VySWQiOiI2OTQ1NTc2MzgzOTY4ZjI4NmEwZmY1ZjkiLCJleHAiOjQwMDAwMDAwMDB9.";
        assert!(Verifier::new(&SECRET.into()).verify(unsigned).is_err());
    }
    #[test]
    fn a_token_ends_in_the_second_that_it_names() {
        let claims = |exp, nbf| Claims {
            user_id: USER.parse().unwrap(),
            exp,
            nbf,
            iat: Some(LAST_SECOND),
            role: None,
        };
        assert_eq!(check_times(&claims(101, Some(100)), 100), Ok(()));
        assert_eq!(check_times(&claims(100, None), 100), Err("it has expired"));
        assert_eq!(check_times(&claims(102, Some(101)), 100), Err("it is not valid yet"));
        assert_eq!(check_times(&claims(LAST_SECOND, None), 100), Ok(()));
    }

    #[test]
    fn what_a_header_calls_critical_is_refused() {
        let mut header = Header::new(Algorithm::HS256);
        header.crit = Some(vec!["b64".to_owned()]);
        let claims = json!({"userId": USER, "exp": FAR});
        let token = encode(&header, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
        let error = Verifier::new(&SECRET.into()).verify(&token).unwrap_err();
        assert!(error.to_string().contains("crit"), "{error}");
    }
}
