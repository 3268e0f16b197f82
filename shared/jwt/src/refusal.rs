//! Why a token is not taken.

/// Why a token is not taken. The texts help a developer who signs tokens, and tell a stranger nothing that the token itself does not
/// say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is none.
    Malformed,
    /// RFC 7515, 4.1.11: a recipient that does not know what is critical must refuse. Nothing of the kind is known here.
    Critical,
    /// No key is for its algorithm.
    Algorithm,
    /// A provider's keys are picked by id.
    UnknownKey,
    /// A provider has several keys that might have signed it.
    KeyIdMissing,
    /// No key of the provider has been fetched yet.
    NoKeysYet,
    /// It was signed with another key, or changed since.
    Signature,
    /// The claim that names the user.
    User,
    /// The same, of a user of another system.
    ExternalUser,
    /// The claim `exp`.
    Expiry,
    /// A date that is none.
    Date,
    /// A date in milliseconds.
    ExpiryTooLate,
    /// A date in milliseconds.
    BeginTooLate,
    /// A date in milliseconds.
    IssueTooLate,
    /// It was good once.
    Expired,
    /// It will be good.
    NotYet,
    /// The claim `iss`.
    Issuer,
    /// The claim `aud`.
    Audience,
}

impl Refusal {
    /// Its text.
    pub fn why(self) -> &'static str {
        match self {
            Self::Malformed => "it is not a JSON Web Token",
            Self::Critical => "its header has crit, and no extension is known here",
            Self::Algorithm => "no key of the server is for its algorithm (alg)",
            Self::UnknownKey => "no key of the server has its key id (kid)",
            Self::KeyIdMissing => "its header needs the id of its key (kid), of which the server has several",
            Self::NoKeysYet => "the keys of the identity provider could not be fetched",
            Self::Signature => "its signature does not match any key of the server (JWT_SECRET and others)",
            Self::User => "it needs the claim userId, or the one that JWT_USER_CLAIM names: 24 hexadecimal digits",
            Self::ExternalUser => {
                "it needs the claim userId, or the one that JWT_USER_CLAIM names: a text of 1 to 128 characters"
            }
            Self::Expiry => "it needs the claim exp, in seconds",
            Self::Date => "its exp, nbf or iat is no number of seconds",
            Self::ExpiryTooLate => "its exp lies beyond the year 9999; it counts seconds, not milliseconds",
            Self::BeginTooLate => "its nbf lies beyond the year 9999; it counts seconds, not milliseconds",
            Self::IssueTooLate => "its iat lies beyond the year 9999; it counts seconds, not milliseconds",
            Self::Expired => "it has expired",
            Self::NotYet => "it is not valid yet",
            Self::Issuer => "its issuer (iss) is not one that the server takes",
            Self::Audience => "its audience (aud) is not one that the server takes",
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.why())
    }
}

impl std::error::Error for Refusal {}
