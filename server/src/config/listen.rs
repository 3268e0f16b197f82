//! The settings of listening: where, with which certificate, and where for administration.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

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

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text.trim(), 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "write three octal digits, such as 660".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
