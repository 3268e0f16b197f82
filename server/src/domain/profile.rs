//! What is shown of a user beside the username.

use shared::limits;

use super::visible::{is_visible, shown};

/// The name of a user that is shown to people: 1 to 128 characters, none of them a control character, at least one that can be
/// seen, no white space at either end. It need not be unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

/// Where a picture of a user is: an address of http or https of at most 2,048 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvatarUrl(String);

/// What is shown of a user; what is missing is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The name.
    pub display_name: Option<DisplayName>,
    /// The picture.
    pub avatar_url: Option<AvatarUrl>,
}

/// What can't be shown of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProfile {
    /// As it says.
    #[error(
        "displayName has 1 to {} characters, one of which can be seen, no control characters and no white space at either end",
        limits::DISPLAY_NAME_CHARS
    )]
    DisplayName,
    /// As it says.
    #[error(
        "avatarUrl is an address that begins with https:// or http://, without white space, of at most {} bytes",
        limits::AVATAR_URL_BYTES
    )]
    AvatarUrl,
}

impl DisplayName {
    /// Checks a name.
    ///
    /// # Errors
    /// See [`InvalidProfile::DisplayName`].
    pub fn new(name: String) -> Result<Self, InvalidProfile> {
        let fits = name.chars().count() <= limits::DISPLAY_NAME_CHARS;
        match fits && name.contains(is_visible) && name.trim() == name && !name.contains(char::is_control) {
            true => Ok(Self(name)),
            false => Err(InvalidProfile::DisplayName),
        }
    }

    /// As much of a text as can be shown, if anything can.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::new(shown(text, limits::DISPLAY_NAME_CHARS)).ok()
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AvatarUrl {
    /// Checks an address. Of another scheme a page that shows it could make a script.
    ///
    /// # Errors
    /// See [`InvalidProfile::AvatarUrl`].
    pub fn new(url: String) -> Result<Self, InvalidProfile> {
        let scheme = ["https://", "http://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        let odd = |sign: char| sign.is_whitespace() || sign.is_control() || ['"', '<', '>', '\\'].contains(&sign);
        match url.len() <= limits::AVATAR_URL_BYTES && scheme.is_some_and(|rest| !rest.is_empty()) && !url.contains(odd)
        {
            true => Ok(Self(url)),
            false => Err(InvalidProfile::AvatarUrl),
        }
    }

    /// The address itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<DisplayName> for String {
    fn from(DisplayName(name): DisplayName) -> Self {
        name
    }
}

impl From<AvatarUrl> for String {
    fn from(AvatarUrl(url): AvatarUrl) -> Self {
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_token_says_is_shown_as_far_as_it_can_be() {
        let name = |text: &str| DisplayName::from_text(text).map(|name| name.as_str().to_owned());
        assert_eq!(name(" Ada\nLovelace ").as_deref(), Some("Ada Lovelace"));
        assert_eq!(name(&"é".repeat(200)), Some("é".repeat(128)));
        for nothing in ["", " \n", "\u{200b}"] {
            assert_eq!(name(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn pictures_are_on_the_web() {
        let is_url = |url: &str| AvatarUrl::new(url.to_owned()).is_ok();
        assert!(is_url("https://example.com/a.png?x=1") && is_url("http://[::1]/ä"));
        for wrong in [
            "",
            "https://",
            "javascript:alert(1)",
            "data:image/png;base64,AA",
            "//example.com",
            "https://a b",
            "https://a\"b",
            &format!("https://{}", "a".repeat(2_048)),
        ] {
            assert!(!is_url(wrong), "{wrong:?}");
        }
    }
}
