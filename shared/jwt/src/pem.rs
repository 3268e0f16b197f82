//! Keys in PEM: public ones, which check tokens, and private ones, which sign them.

use jsonwebtoken::EncodingKey;
use pem::Pem;
use pkcs8::der::Decode as _;
use pkcs8::spki::SubjectPublicKeyInfoRef;
use pkcs8::{ObjectIdentifier, PrivateKeyInfo};

use crate::key::{Curve, InvalidKey, Key, check_rsa};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Most keys that are taken of one text.
pub const MAX_KEYS: usize = 32;

/// How every section of PEM begins.
pub const BEGIN: &str = "-----BEGIN ";

/// Why a text holds no keys of the kind that is needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Nothing in it is PEM.
    #[error(
        "it holds no PEM, which begins with -----BEGIN PUBLIC KEY-----, of a key that signs with -----BEGIN PRIVATE KEY-----"
    )]
    None,
    /// Not all in it can be read.
    #[error("its PEM is damaged: between -----BEGIN …----- and the same -----END …----- stands base64")]
    Damaged,
    /// Too many keys.
    #[error("it holds more than {MAX_KEYS} keys")]
    TooMany,
    /// A secret where none belongs.
    #[error("it holds a private key; only the public one belongs here: `openssl pkey -in key.pem -pubout` prints it")]
    Private,
    /// A public key where a private one is needed.
    #[error("it holds a public key; tokens are signed with the private one")]
    Public,
    /// A certificate.
    #[error("it holds a certificate; `openssl x509 -in cert.pem -noout -pubkey` prints the key of it")]
    Certificate,
    /// The older form of a private key.
    #[error(
        "it holds `{0}`; `openssl pkcs8 -topk8 -nocrypt -in key.pem` prints the key as PRIVATE KEY, which is taken"
    )]
    Form(String),
    /// Another kind of key.
    #[error("it holds a key of another kind; RSA, P-256, P-384 and Ed25519 are taken")]
    Kind,
    /// Something that is no key.
    #[error("it holds `{0}`, which is no PUBLIC KEY")]
    Other(String),
    /// The key itself.
    #[error("it holds {0}")]
    Key(#[from] InvalidKey),
}

/// The public keys of a text, in their order. `from` says where it stands.
///
/// # Errors
/// [`PemError`]: all of it has to be public keys.
pub fn public_keys(text: &str, from: &str) -> Result<Vec<Key>, PemError> {
    let sections = sections(text)?;
    if sections.len() > MAX_KEYS {
        return Err(PemError::TooMany);
    }
    let many = sections.len() > 1;
    let label = |index: usize| match many {
        true => format!("key {} of {from}", index + 1),
        false => format!("the key of {from}"),
    };
    let keys = sections.iter().enumerate();
    keys.map(|(index, section)| public_key(section, label(index))).collect()
}

fn sections(text: &str) -> Result<Vec<Pem>, PemError> {
    // Variables often hold their lines in one, as `\n`.
    let text = text.replace("\\n", "\n");
    let sections = pem::parse_many(&text).map_err(|_| PemError::Damaged)?;
    match (sections.len(), text.matches(BEGIN).count()) {
        (_, 0) => Err(PemError::None),
        (read, there) if read < there => Err(PemError::Damaged),
        _ => Ok(sections),
    }
}

fn public_key(section: &Pem, label: String) -> Result<Key, PemError> {
    let der = section.contents();
    match section.tag() {
        "PUBLIC KEY" => {
            let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| PemError::Damaged)?;
            let bytes = info.subject_public_key.as_bytes().ok_or(PemError::Damaged)?;
            let kind = kind(info.algorithm.oid, info.algorithm.parameters_oid().ok())?;
            Ok(match kind {
                Kind::Rsa => Key::rsa(bytes, label)?,
                Kind::Elliptic(curve) => Key::elliptic(curve, bytes, label)?,
                Kind::Edwards => Key::edwards(bytes, label)?,
            })
        }
        "RSA PUBLIC KEY" => Ok(Key::rsa(der, label)?),
        "CERTIFICATE" => Err(PemError::Certificate),
        tag if tag.ends_with("PRIVATE KEY") => Err(PemError::Private),
        tag => Err(PemError::Other(tag.to_owned())),
    }
}

/// The kinds of keys that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RS256, RS384, RS512, PS256, PS384, PS512.
    Rsa,
    /// ES256 or ES384.
    Elliptic(Curve),
    /// `EdDSA`.
    Edwards,
}

fn kind(algorithm: ObjectIdentifier, parameter: Option<ObjectIdentifier>) -> Result<Kind, PemError> {
    match (algorithm, parameter) {
        (RSA, _) => Ok(Kind::Rsa),
        (ELLIPTIC, Some(P256)) => Ok(Kind::Elliptic(Curve::P256)),
        (ELLIPTIC, Some(P384)) => Ok(Kind::Elliptic(Curve::P384)),
        (ED25519, _) => Ok(Kind::Edwards),
        _ => Err(PemError::Kind),
    }
}

/// The private key of a text, and its kind.
///
/// # Errors
/// [`PemError`].
pub fn private_key(text: &str) -> Result<(EncodingKey, Kind), PemError> {
    let sections = sections(text)?;
    // `openssl ecparam -genkey` writes the curve first.
    let Some(section) = sections.iter().find(|section| section.tag() != "EC PARAMETERS") else {
        return Err(PemError::None);
    };
    let der = section.contents();
    match section.tag() {
        "RSA PRIVATE KEY" => Ok((rsa(der)?, Kind::Rsa)),
        "PRIVATE KEY" => {
            let info = PrivateKeyInfo::from_der(der).map_err(|_| PemError::Damaged)?;
            let kind = kind(info.algorithm.oid, info.algorithm.parameters_oid().ok())?;
            let key = match kind {
                Kind::Rsa => rsa(info.private_key)?,
                Kind::Elliptic(_) => EncodingKey::from_ec_der(der),
                Kind::Edwards => EncodingKey::from_ed_der(der),
            };
            Ok((key, kind))
        }
        tag @ ("EC PRIVATE KEY" | "ENCRYPTED PRIVATE KEY") => Err(PemError::Form(tag.to_owned())),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Err(PemError::Public),
        tag => Err(PemError::Other(tag.to_owned())),
    }
}

/// A key that a server would take as well.
fn rsa(der: &[u8]) -> Result<EncodingKey, PemError> {
    let key = pkcs1::RsaPrivateKey::from_der(der).map_err(|_| PemError::Damaged)?;
    check_rsa(key.modulus.as_bytes())?;
    Ok(EncodingKey::from_rsa_der(der))
}
