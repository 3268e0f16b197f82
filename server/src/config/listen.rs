//! The settings of listening: where, with which certificate, and where for administration.

use std::fmt;
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

    /// Where administration (/admin/…) is served, and nowhere else then: host:port or unix:/run/chat-admin.sock
    ///
    /// Without this setting programs of this machine can use it where the server listens, unless they come through a proxy.
    #[arg(long, env = "ADMIN_LISTEN")]
    pub admin_listen: Option<Endpoint>,

    /// Seconds for which browsers shall come back by https only (Strict-Transport-Security); 0 says nothing of that
    ///
    /// Set it once clients reach the server by https alone, be it with TLS_CERT or through a proxy.
    #[arg(long, env = "HSTS_MAX_AGE", default_value_t = 0, value_parser = values::number(0..=u32::MAX))]
    pub hsts_max_age: u32,
}

/// A place where connections are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A port of an address.
    Tcp(Host, u16),
    /// A socket in the file system.
    Unix(PathBuf),
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
