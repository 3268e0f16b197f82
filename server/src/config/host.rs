//! What `HOST` may say: where connections are taken.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// Where connections are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// At every address of this machine.
    All,
    /// At this one, which may also stand for all.
    Address(IpAddr),
    /// At the address that this name has when the server starts.
    Name(String),
}

impl FromStr for Host {
    type Err = String;

    /// An empty text is this machine alone, as if there were no setting.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(text).parse() {
            return Ok(Self::Address(address));
        }
        let is_of_names = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        match text {
            "" => Ok(Self::Address(Ipv4Addr::LOCALHOST.into())),
            "*" => Ok(Self::All),
            // What is all digits and dots is an address with a mistake in it.
            name if name.chars().all(is_of_names) && name.contains(|letter: char| letter.is_ascii_alphabetic()) => {
                Ok(Self::Name(name.to_owned()))
            }
            _ => Err(
                "write an address such as 127.0.0.1 or ::1, a name, or * for all addresses of this machine; the \
                      port is PORT"
                    .to_owned(),
            ),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_names_and_all_are_told_apart() {
        let address = |text: &str| Ok(Host::Address(text.parse().unwrap()));
        for text in ["::1", "[::1]", " [::1] "] {
            assert_eq!(text.parse(), address("::1"), "{text}");
        }
        assert_eq!("0.0.0.0".parse(), address("0.0.0.0"));
        assert_eq!("".parse(), address("127.0.0.1"));
        assert_eq!("*".parse(), Ok(Host::All));
        assert_eq!("localhost".parse(), Ok(Host::Name("localhost".to_owned())));
        for wrong in [
            "not an address",
            "localhost:5000",
            "http://localhost",
            "127.0.0.1:80",
            "127.0.0.256",
            "[::1",
            "**",
        ] {
            assert!(wrong.parse::<Host>().is_err(), "{wrong}");
        }
    }
}
