//! The settings of the pages for developers, and what follows from the others where they are not set.

use clap::{ArgAction, Args};

use super::{Config, Endpoint, Host, values};

/// The settings of the pages for developers.
#[derive(Debug, Clone, Args)]
pub struct Pages {
    /// Serve the page /playground, on which two users of its own can be tried: true or false
    ///
    /// Whoever reaches the page can be one of these two users, and read what they write. Without this setting it is on where only
    /// this machine reaches the server, no proxy is trusted, and the database is the embedded one; and then it answers programs of
    /// this machine only.
    #[arg(
        long, env = "PLAYGROUND", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true",
        value_parser = values::flag
    )]
    pub playground: Option<bool>,

    /// Send clients the event `dev_hint` about mistakes in how they use the server, and log each kind once a minute: true or false
    ///
    /// Without this setting it is on with the playground.
    #[arg(
        long, env = "DEV_HINTS", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true",
        value_parser = values::flag
    )]
    pub dev_hints: Option<bool>,
}

/// Who may use the playground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Playground {
    /// Nobody.
    Off,
    /// Programs of this machine that come without a proxy, because nobody asked for more.
    OfThisMachine,
    /// Whoever reaches the server.
    Open,
}

impl Config {
    /// Who may use the playground.
    pub fn playground(&self) -> Playground {
        match self.pages.playground {
            Some(true) => Playground::Open,
            None if self.is_for_this_machine() && self.has_secret() => Playground::OfThisMachine,
            Some(false) | None => Playground::Off,
        }
    }

    /// Whether clients are told about their mistakes.
    pub fn gives_dev_hints(&self) -> bool {
        self.pages
            .dev_hints
            .unwrap_or_else(|| self.playground() != Playground::Off)
    }

    /// Whether there is a secret that a token can be signed with.
    pub fn has_secret(&self) -> bool {
        let keys = &self.tokens.keys;
        keys.need_generated_secret() || keys.jwt_secret.is_some() || keys.jwt_secret_file.is_some()
    }

    /// Whether nothing but programs of this machine is meant to reach it, and what they write stays here.
    fn is_for_this_machine(&self) -> bool {
        let mut places = self.listen.places().0;
        places.extend(self.listen.administration());
        self.mongo_uri.is_none() && self.limits.trusted_proxies.is_empty() && places.iter().all(is_loopback)
    }
}

/// A socket in the file system is most likely a proxy's.
fn is_loopback(place: &Endpoint) -> bool {
    match place {
        Endpoint::Tcp(Host::Address(address), _) => address.is_loopback(),
        Endpoint::Tcp(Host::Name(name), _) => name.eq_ignore_ascii_case("localhost"),
        Endpoint::Tcp(Host::All, _) | Endpoint::Unix(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn config(arguments: &[&str]) -> Config {
        Config::parse_from([&["server"], arguments].concat())
    }

    #[test]
    fn the_playground_is_on_where_only_this_machine_reaches_it() {
        for (arguments, expected) in [
            (&[][..], Playground::OfThisMachine),
            (&["--host", "localhost"], Playground::OfThisMachine),
            (&["--listen", "[::1]:1,127.0.0.2:2"], Playground::OfThisMachine),
            (&["--admin-listen", "off"], Playground::OfThisMachine),
            (&["--host", "0.0.0.0"], Playground::Off),
            (&["--host", "*"], Playground::Off),
            (&["--host", "10.0.0.1"], Playground::Off),
            (&["--host", "example.org"], Playground::Off),
            (&["--listen", "127.0.0.1:1,*:2"], Playground::Off),
            (&["--listen", "unix:/run/chat.sock"], Playground::Off),
            (&["--admin-listen", "10.0.0.1:1"], Playground::Off),
            (&["--mongo-uri", "mongodb://localhost"], Playground::Off),
            (&["--trusted-proxies", "127.0.0.1"], Playground::Off),
            (&["--jwt-jwks-url", "https://id.example.com/keys"], Playground::Off),
            (&["--playground", "false"], Playground::Off),
            (&["--playground", "true", "--host", "*"], Playground::Open),
            (
                &["--playground", "--mongo-uri", "mongodb://localhost"],
                Playground::Open,
            ),
        ] {
            assert_eq!(config(arguments).playground(), expected, "{arguments:?}");
            assert_eq!(
                config(arguments).gives_dev_hints(),
                expected != Playground::Off,
                "{arguments:?}"
            );
        }
        assert!(!config(&["--dev-hints", "false"]).gives_dev_hints());
        assert!(config(&["--dev-hints", "true", "--host", "*"]).gives_dev_hints());
    }
}
