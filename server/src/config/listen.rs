//! The settings of listening: where, with which certificate, and where for administration.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use rustls_acme::acme::{LETS_ENCRYPT_PRODUCTION_DIRECTORY, LETS_ENCRYPT_STAGING_DIRECTORY};

use super::{Host, values};

/// The settings of listening.
#[derive(Debug, Clone, Args)]
pub struct Listen {
    /// Address or name to listen on; *, 0.0.0.0 or :: for all
    ///
    /// Of the addresses that a name has, one of IPv4 goes first. Without this setting, only this machine can reach the
    /// server.
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: Host,

    /// TCP port to listen on; 0 takes a free one
    #[arg(long, env = "PORT", default_value_t = 5000, value_parser = values::number(0..=u16::MAX))]
    pub port: u16,

    /// Listen here instead of at HOST and PORT: unix:/run/chat.sock, host:port, or several, separated by commas
    ///
    /// A socket file that nobody listens at any more is replaced. At an orderly stop it is removed.
    #[arg(long, env = "LISTEN", value_delimiter = ',')]
    pub listen: Vec<Endpoint>,

    /// Who may connect to the sockets of `unix:`, as chmod writes it
    #[arg(long, env = "LISTEN_MODE", default_value = "660", value_parser = mode)]
    pub listen_mode: u32,

    /// File with the certificate for TLS in PEM, the server's own one first; read again when it changes and on SIGHUP
    ///
    /// With TLS_CERT and TLS_KEY the server speaks TLS 1.2 and 1.3 at its TCP ports and nothing else; the sockets of `unix:`, and
    /// an ADMIN_LISTEN that only this machine can reach, stay without.
    #[arg(long, env = "TLS_CERT")]
    pub tls_cert: Option<PathBuf>,

    /// File with the private key of that certificate, in PEM
    #[arg(long, env = "TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// Names of this server to have a certificate made out for by ACME (Let's Encrypt), separated by commas, instead of TLS_CERT
    ///
    /// Whoever uses it agrees to the terms of the authority. It connects to port 443 of each name, which has to lead here; account and
    /// certificate are kept in DATA_DIR/acme.
    #[arg(long, env = "TLS_ACME_DOMAIN", value_delimiter = ',', value_parser = domain)]
    pub tls_acme_domain: Vec<String>,

    /// Mail address that the authority writes to; optional
    #[arg(long, env = "TLS_ACME_CONTACT", value_parser = contact)]
    pub tls_acme_contact: Option<String>,

    /// The authority: production, staging (for trials), or the https address of its directory
    #[arg(long, env = "TLS_ACME_DIRECTORY", default_value = "production", value_parser = directory)]
    pub tls_acme_directory: String,

    /// Where administration (/admin/…) is served, and nowhere else: host:port, unix:/run/chat-admin.sock, or off
    ///
    /// Without this setting 127.0.0.1, at the port 100 above that of clients (5100), so only programs of this machine reach it. It takes
    /// the other requests, too.
    #[arg(long, env = "ADMIN_LISTEN")]
    pub admin_listen: Option<Administration>,

    /// Seconds for which browsers shall come back by https only (Strict-Transport-Security); 0 says nothing of that
    ///
    /// Set it once clients reach the server by https alone, be it with TLS_CERT or through a proxy.
    #[arg(long, env = "HSTS_MAX_AGE", default_value_t = 0, value_parser = values::number(0..=u32::MAX))]
    pub hsts_max_age: u32,
}

impl Listen {
    /// Where clients are served, and the setting that says so.
    pub fn places(&self) -> (Vec<Endpoint>, &'static str) {
        match self.listen.is_empty() {
            true => (vec![Endpoint::Tcp(self.host.clone(), self.port)], "PORT"),
            false => (self.listen.clone(), "LISTEN"),
        }
    }

    /// Where administration is served, if it is.
    pub fn administration(&self) -> Option<Endpoint> {
        match &self.admin_listen {
            Some(Administration::Off) => None,
            Some(Administration::At(endpoint)) => Some(endpoint.clone()),
            None => {
                let tcp = self.places().0.into_iter().find_map(|place| match place {
                    Endpoint::Tcp(_, port) => Some(port),
                    Endpoint::Unix(_) => None,
                });
                let port = shared::admin::port_beside(tcp.unwrap_or(self.port));
                Some(Endpoint::Tcp(Host::Address(Ipv4Addr::LOCALHOST.into()), port))
            }
        }
    }

    /// The setting that names a place for the second time, and what to say of it.
    pub fn named_twice(&self) -> Option<(&'static str, String)> {
        let (mut places, setting) = self.places();
        let of_clients = places.len();
        places.extend(self.administration());
        let is_again = |index: &usize| places[..*index].iter().any(|before| before.meets(&places[*index]));
        let index = (1..places.len()).find(is_again)?;
        let place = &places[index];
        Some(match index < of_clients {
            true => (setting, format!("{place} is named twice")),
            false => (
                "ADMIN_LISTEN",
                format!("clients are served at {place} by {setting}; choose another place for administration, or off"),
            ),
        })
    }
}

/// Where administration is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Administration {
    /// Nowhere.
    Off,
    /// There.
    At(Endpoint),
}

impl FromStr for Administration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "off" => Ok(Self::Off),
            place => place.parse().map(Self::At).map_err(|why| format!("{why}, or off")),
        }
    }
}

/// A place where connections are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A port of an address.
    Tcp(Host, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Endpoint {
    /// Whether both can't be listened on, as far as that can be seen before names are looked up.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(_, 0), _) => false,
            (Self::Tcp(host, port), Self::Tcp(other_host, other_port)) => {
                let is_any = |host: &Host| match host {
                    Host::All => true,
                    Host::Address(address) => address.is_unspecified(),
                    Host::Name(_) => false,
                };
                port == other_port && (host == other_host || is_any(host) || is_any(other_host))
            }
            _ => self == other,
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => Err("after unix: stands a path from the root, such as unix:/run/chat.sock".to_owned()),
            };
        }
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        let is_bare_v6 = host.contains(':') && !host.ends_with(']');
        match (host, port.parse(), is_bare_v6) {
            (host, Ok(port), false) if !host.is_empty() => Ok(Self::Tcp(host.parse()?, port)),
            _ => {
                Err("write host:port, such as 127.0.0.1:5000, *:5000 or [::1]:5000, or unix:/run/chat.sock".to_owned())
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host @ Host::Address(address), port) if address.is_ipv6() => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn domain(text: &str) -> Result<String, String> {
    let name = text.trim().to_ascii_lowercase();
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '-') && label.len() < 64
    };
    match name.contains('.') && name.split('.').all(is_label) && name.parse::<std::net::IpAddr>().is_err() {
        true => Ok(name),
        false => Err("write names such as chat.example.org, without * and port".to_owned()),
    }
}

fn contact(text: &str) -> Result<String, String> {
    let address = text.trim().trim_start_matches("mailto:");
    match address.split_once('@') {
        Some((name, host)) if !name.is_empty() && host.contains('.') => Ok(format!("mailto:{address}")),
        _ => Err("write a mail address".to_owned()),
    }
}

fn directory(text: &str) -> Result<String, String> {
    match text.trim() {
        "production" => Ok(LETS_ENCRYPT_PRODUCTION_DIRECTORY.to_owned()),
        "staging" => Ok(LETS_ENCRYPT_STAGING_DIRECTORY.to_owned()),
        url if url.starts_with("https://") => Ok(url.to_owned()),
        _ => Err("write production, staging, or an address that begins with https://".to_owned()),
    }
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text.trim(), 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "write three octal digits, such as 660".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acme_needs_is_checked() {
        assert_eq!(domain(" Chat.Example.org "), Ok("chat.example.org".to_owned()));
        for wrong in [
            "",
            "localhost",
            "10.0.0.1",
            "*.example.org",
            "a..b",
            "a.b:443",
            "https://a.b",
        ] {
            assert!(domain(wrong).is_err(), "{wrong}");
        }
        for text in ["a@b.org", "mailto:a@b.org"] {
            assert_eq!(contact(text), Ok("mailto:a@b.org".to_owned()));
        }
        assert!(contact("a").is_err() && contact("@b.org").is_err());
        assert!(directory("staging").is_ok_and(|url| url.contains("staging")));
        assert!(directory("production").is_ok_and(|url| !url.contains("staging")));
        assert_eq!(directory("https://a/dir"), Ok("https://a/dir".to_owned()));
        assert!(directory("http://a/dir").is_err());
    }

    fn listen(arguments: &[&str]) -> Listen {
        #[derive(clap::Parser)]
        struct Program {
            #[command(flatten)]
            listen: Listen,
        }
        let program: Program = clap::Parser::parse_from([&["server"], arguments].concat());
        program.listen
    }

    #[test]
    fn administration_is_served_on_this_machine_unless_it_is_said_where() {
        let place = |arguments: &[&str]| listen(arguments).administration().map(|place| place.to_string());
        for (arguments, expected) in [
            (&["--port", "5000"][..], "127.0.0.1:5100"),
            (&["--port", "65535"], "127.0.0.1:65435"),
            (&["--port", "0", "--host", "0.0.0.0"], "127.0.0.1:0"),
            (&["--port", "1", "--listen", "unix:/a,*:7000"], "127.0.0.1:7100"),
            (&["--port", "1", "--listen", "unix:/a"], "127.0.0.1:101"),
            (&["--admin-listen", "unix:/b"], "unix:/b"),
            (&["--admin-listen", "10.0.0.1:80"], "10.0.0.1:80"),
        ] {
            assert_eq!(place(arguments).as_deref(), Some(expected), "{arguments:?}");
        }
        assert_eq!(place(&["--admin-listen", "off"]), None);
    }

    #[test]
    fn one_place_can_be_named_once() {
        let twice = |arguments: &[&str]| listen(arguments).named_twice().map(|(setting, _)| setting);
        for (arguments, setting) in [
            (&["--port", "80", "--admin-listen", "127.0.0.1:80"][..], "ADMIN_LISTEN"),
            (
                &["--host", "*", "--port", "80", "--admin-listen", "127.0.0.1:80"],
                "ADMIN_LISTEN",
            ),
            (&["--port", "80", "--admin-listen", "0.0.0.0:80"], "ADMIN_LISTEN"),
            (&["--listen", "unix:/a", "--admin-listen", "unix:/a"], "ADMIN_LISTEN"),
            (&["--listen", "*:7000,127.0.0.1:7100"], "ADMIN_LISTEN"),
            (&["--listen", "unix:/a,unix:/a"], "LISTEN"),
            (&["--listen", "a:1,a:1"], "LISTEN"),
        ] {
            assert_eq!(twice(arguments), Some(setting), "{arguments:?}");
        }
        for arguments in [
            &["--port", "0"][..],
            &["--port", "80", "--admin-listen", "10.0.0.1:80"],
            &["--port", "80", "--admin-listen", "off"],
            &["--listen", "a:0,a:0"],
        ] {
            assert_eq!(twice(arguments), None, "{arguments:?}");
        }
    }

    #[test]
    fn ports_and_socket_files_are_told_apart() {
        let tcp = |host: &str, port| Ok(Endpoint::Tcp(host.parse().unwrap(), port));
        assert_eq!("127.0.0.1:80".parse(), tcp("127.0.0.1", 80));
        assert_eq!(" [::1]:0 ".parse(), tcp("::1", 0));
        assert_eq!("*:5000".parse(), tcp("*", 5000));
        assert_eq!("localhost:5000".parse(), tcp("localhost", 5000));
        assert_eq!("unix:/a b".parse(), Ok(Endpoint::Unix("/a b".into())));
        for wrong in [
            "",
            "5000",
            ":5000",
            "::1:5000",
            "unix:a",
            "unix:",
            "a:b",
            "a:65536",
            "http://a:80",
        ] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
        for text in ["[::1]:5000", "*:1", "unix:/run/x", "10.0.0.1:80"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert_eq!((mode("660"), mode("0600")), (Ok(0o660), Ok(0o600)));
        assert!(mode("888").is_err() && mode("7777").is_err());
    }
}
