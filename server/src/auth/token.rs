//! JSON Web Tokens: HS256 and nothing else.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use shared::Claims;

use super::Denied;
use crate::config::Secret;

/// Checks tokens against one secret.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// A verifier of tokens that are signed with this secret.
    pub fn new(secret: &Secret) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp"]);
        validation.validate_nbf = true;
        // The clocks of issuer and server are the same or synchronised: an expired token is refused at once.
        validation.leeway = 0;
        // Audiences were never part of the contract; a token that names one is still ours if the secret is.
        validation.validate_aud = false;
        Self {
            key: DecodingKey::from_secret(secret.expose().as_bytes()),
            validation,
        }
    }

    /// The claims of a token that is good now.
    pub fn verify(&self, token: &str) -> Result<Claims, Denied> {
        let data = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation);
        data.map(|data| data.claims)
            .map_err(|error| Denied::Invalid(reason(error.kind())))
    }
}

/// Helps whoever mints tokens, without telling a stranger anything that the token itself doesn't say.
fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidSignature => "its signature does not match the server's JWT_SECRET",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => "it must be signed with HS256",
        ErrorKind::MissingRequiredClaim(_) => "it needs the claim exp",
        ErrorKind::Json(_) => "it needs the claims userId (24 hexadecimal digits) and exp (seconds)",
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
        let other = verify(
            Algorithm::HS256,
            json!({"userId": USER, "exp": FAR, "role": "editor"}),
            SECRET,
        )
        .unwrap();
        assert_ne!(other.role, Some(shared::Role::Admin));
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
}
