//! JSON Web Tokens: HS256 and nothing else.

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use super::{AuthError, UserIds, Verified};
use crate::clock;
use crate::config::{Secret, UserIdKind};

/// Checks tokens against one secret.
pub struct Verifier {
    user_ids: Arc<UserIds>,
    provisions: bool,
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// A verifier of tokens that are signed with this secret.
    pub fn new(secret: &Secret) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // The claims are read and compared as RFC 7519 says in one place.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        // Audiences were never part of the contract; a token that names one is still ours if the secret is.
        validation.validate_aud = false;
        Self {
            user_ids: Arc::new(UserIds::new(UserIdKind::Internal)),
            provisions: false,
            key: DecodingKey::from_secret(secret.expose().as_bytes()),
            validation,
        }
    }

    /// With ids of users as these; and whether users who do not exist are to be created.
    #[must_use]
    pub fn naming(self, user_ids: &Arc<UserIds>, provisions: bool) -> Self {
        Self {
            user_ids: Arc::clone(user_ids),
            provisions,
            ..self
        }
    }

    /// How tokens name users.
    pub(super) fn user_ids(&self) -> &UserIds {
        &self.user_ids
    }

    /// Whether the user of a good token who does not exist is created.
    pub(super) fn provisions(&self) -> bool {
        self.provisions
    }

    /// What a token says that is good now.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn verify(&self, token: &str) -> Result<Verified, AuthError> {
        let data = jsonwebtoken::decode::<Map<String, Value>>(token, &self.key, &self.validation)
            .map_err(|error| AuthError::Invalid(reason(error.kind())))?;
        // RFC 7515, 4.1.11: a recipient that does not know what is critical must refuse. Nothing of the kind is known here.
        if data.header.crit.is_some() {
            return Err(AuthError::Invalid(
                "its header has crit, and no extension is known here",
            ));
        }
        Verified::read(
            &data.claims,
            self.user_ids.are_external(),
            clock::now().millis().div_euclid(1_000),
        )
    }
}

/// Helps a developer who mints tokens, and says nothing to a stranger that the token itself doesn't say.
fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidSignature => "its signature does not match the server's JWT_SECRET",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => "it must be signed with HS256",
        _ => "it is not a JSON Web Token",
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::super::ClaimedUser;
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const USER: &str = "6945576383968f286a0ff5f9";
    const FAR: i64 = 4_000_000_000;

    /// No key has to be asked for here.
    fn ask(token: &str) -> Result<Verified, AuthError> {
        Verifier::new(&SECRET.into()).verify(token).now_or_never().unwrap()
    }

    fn verify(algorithm: Algorithm, claims: Value, secret: &str) -> Result<Verified, String> {
        let token = encode(
            &Header::new(algorithm),
            &claims,
            &EncodingKey::from_secret(secret.as_bytes()),
        )
        .unwrap();
        ask(&token).map_err(|error| error.to_string())
    }

    #[test]
    fn takes_what_the_contract_names() {
        let claims = json!({"userId": USER, "exp": FAR, "iat": 7, "aud": "x", "name": "Ada", "picture": ["x"]});
        let verified = verify(Algorithm::HS256, claims, SECRET).unwrap();
        assert_eq!(verified.user, ClaimedUser::Id(USER.parse().unwrap()));
        assert_eq!((verified.issued_at, verified.expires_at), (Some(7), Some(FAR)));
        assert_eq!(verified.profile.name.as_deref(), Some("Ada"));
        assert_eq!(verified.profile.picture, None);
        // Date.now() / 1000 has decimals; issuers forget to cut them off.
        verify(
            Algorithm::HS256,
            json!({"userId": USER, "exp": 4_000_000_000.5}),
            SECRET,
        )
        .unwrap();
        let admin = |role: Value| {
            let claims = json!({"userId": USER, "exp": FAR, "role": role});
            verify(Algorithm::HS256, claims, SECRET).unwrap().admin
        };
        assert!(admin(json!("admin")));
        for other in [
            Value::Null,
            json!("editor"),
            json!(3),
            json!(["admin"]),
            json!({"admin": null}),
            json!(true),
        ] {
            assert!(!admin(other.clone()), "{other}");
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
        assert!(ask(unsigned).is_err());
    }

    #[test]
    fn what_a_header_calls_critical_is_refused() {
        let mut header = Header::new(Algorithm::HS256);
        header.crit = Some(vec!["b64".to_owned()]);
        let claims = json!({"userId": USER, "exp": FAR});
        let token = encode(&header, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
        let error = ask(&token).unwrap_err();
        assert!(error.to_string().contains("crit"), "{error}");
    }
}
