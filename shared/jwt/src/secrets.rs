//! The secrets of `JWT_SECRET` and `JWT_SECRET_FILE`: the first signs, all check.

use shared::limits::SECRET_BYTES;
use shared::values::Secret;

use crate::pem::BEGIN;

/// How sections of PEM end that hold no secret.
const PUBLIC: [&str; 2] = ["PUBLIC KEY-----", "CERTIFICATE-----"];

/// Most secrets that are taken at a time: each costs every token some time that none of the others signed.
pub const MAX: usize = 16;

/// The secrets of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    /// The first one signs. All check.
    pub all: Vec<Secret>,
    /// What the operator may have meant otherwise.
    pub doubts: Vec<Doubt>,
}

/// What the operator may have meant otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// White space was cut off.
    #[error("white space around JWT_SECRET was cut off; tokens have to be signed with the secret without it")]
    WhiteSpace,
    /// A comma is part of the secret.
    #[error(
        "JWT_SECRET has a comma and is one secret, as it always was: only where each part has {SECRET_BYTES} bytes or more, the parts are \
         secrets of their own"
    )]
    Comma,
}

/// Why there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecrets {
    /// The file has no line.
    #[error("it has no secret; write one in each line, the one that signs first")]
    Empty,
    /// Too many.
    #[error("it has more than {MAX} secrets")]
    TooMany,
    /// A key that everybody may have, and with which everybody could sign then.
    #[error(
        "it holds a public key, which is no secret: whoever has it could sign tokens; write it into JWT_PUBLIC_KEY"
    )]
    PublicKey,
    /// Lines that everybody knows.
    #[error(
        "it holds PEM, of which each line would be a secret, the first one too, which everybody knows; a public key belongs into JWT_PUBLIC_KEY"
    )]
    Pem,
}

impl Secrets {
    /// The secrets of `JWT_SECRET`: separated by commas, if each part is long enough to be one. A setting of the time when a comma was a
    /// character like others so keeps its meaning; and where both readings are possible, both are taken. A short part is never taken
    /// by itself: it could be guessed.
    ///
    /// # Errors
    /// [`InvalidSecrets`].
    pub fn of_variable(text: &str) -> Result<Self, InvalidSecrets> {
        let whole = text.trim();
        // Libraries that take the algorithm from the token take a secret and a public key by one setting.
        if whole.contains(BEGIN) && PUBLIC.iter().any(|tag| whole.contains(tag)) {
            return Err(InvalidSecrets::PublicKey);
        }
        let parts: Vec<&str> = whole.split(',').map(str::trim).collect();
        let mut doubts = Vec::new();
        if whole.len() < text.len() {
            doubts.push(Doubt::WhiteSpace);
        }
        if parts.len() == 1 || parts.iter().any(|part| part.len() < SECRET_BYTES) {
            if parts.len() > 1 {
                doubts.push(Doubt::Comma);
            }
            return Ok(Self {
                all: vec![whole.into()],
                doubts,
            });
        }
        if parts.len() > MAX {
            return Err(InvalidSecrets::TooMany);
        }
        Ok(Self {
            all: parts.into_iter().chain([whole]).map(Secret::from).collect(),
            doubts: Vec::new(),
        })
    }

    /// The secrets of `JWT_SECRET_FILE`: one a line, white space around them cut off.
    ///
    /// # Errors
    /// [`InvalidSecrets`].
    pub fn of_file(text: &str) -> Result<Self, InvalidSecrets> {
        if text.contains(BEGIN) {
            return Err(InvalidSecrets::Pem);
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let all: Vec<Secret> = lines.map(Secret::from).collect();
        match all.len() {
            0 => Err(InvalidSecrets::Empty),
            1..=MAX => Ok(Self {
                all,
                doubts: Vec::new(),
            }),
            _ => Err(InvalidSecrets::TooMany),
        }
    }

    /// The bytes of the shortest one, if it is short enough to be guessed.
    pub fn too_short(&self) -> Option<usize> {
        let shortest = self.all.iter().map(|secret| secret.expose().len()).min()?;
        Some(shortest).filter(|bytes| *bytes < SECRET_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposed(secrets: &Secrets) -> Vec<&str> {
        secrets.all.iter().map(Secret::expose).collect()
    }

    #[test]
    fn commas_separate_what_is_long_enough_to_be_a_secret() {
        let (one, two) = ("1".repeat(32), "2".repeat(40));
        let both = format!("{one}, {two}");
        let secrets = Secrets::of_variable(&both).unwrap();
        assert_eq!(
            exposed(&secrets),
            [&*one, &two, &both],
            "an older reading of it is taken, too"
        );
        assert_eq!(secrets.doubts, []);
        // Neither half could be guessed from the other, but the short one by itself.
        for old in [
            format!("a,{one}"),
            format!("{one},"),
            ",".to_owned(),
            format!("{one},{}", &two[..31]),
        ] {
            let secrets = Secrets::of_variable(&old).unwrap();
            assert_eq!(
                (exposed(&secrets), secrets.doubts.clone()),
                (vec![&*old], vec![Doubt::Comma])
            );
        }
        let secrets = Secrets::of_variable(" short ").unwrap();
        assert_eq!(
            (exposed(&secrets), secrets.doubts.clone()),
            (vec!["short"], vec![Doubt::WhiteSpace])
        );
        assert_eq!(secrets.too_short(), Some(5));
        let many = vec![&*one; MAX + 1].join(",");
        assert_eq!(Secrets::of_variable(&many), Err(InvalidSecrets::TooMany));
    }

    /// What was a public key for another program would be a secret that everybody knows.
    #[test]
    fn keys_that_everybody_has_are_no_secrets() {
        let key = include_str!("../tests/pem/rsa.pub.pem");
        let certificate = include_str!("../tests/pem/p256.cert.pem");
        for public in [
            key,
            &key.replace('\n', "\\n"),
            certificate,
            include_str!("../tests/pem/rsa.pkcs1.pub.pem"),
        ] {
            assert_eq!(Secrets::of_variable(public), Err(InvalidSecrets::PublicKey), "{public}");
            assert_eq!(Secrets::of_file(public), Err(InvalidSecrets::Pem), "{public}");
        }
        let private = include_str!("../tests/pem/rsa.pem");
        assert_eq!(exposed(&Secrets::of_variable(private).unwrap()), [private.trim()]);
        assert_eq!(Secrets::of_file(private), Err(InvalidSecrets::Pem));
    }

    #[test]
    fn a_file_has_one_in_each_line() {
        let secrets = Secrets::of_file("new,with a comma\r\n\n  old \n").unwrap();
        assert_eq!(exposed(&secrets), ["new,with a comma", "old"]);
        assert_eq!(secrets.too_short(), Some(3));
        assert_eq!(Secrets::of_file(" \n\n"), Err(InvalidSecrets::Empty));
        assert_eq!(Secrets::of_file(&"x\n".repeat(17)), Err(InvalidSecrets::TooMany));
    }
}
