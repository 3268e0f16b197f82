//! What a person who starts the server reads on standard output: where it can be reached, where messages are kept, and
//! at a terminal what to try next.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use server::config::{Given, Playground};
use server::server::Started;
use server::telemetry::{is_read_by_a_person, say};
use server::transport::tcp::bind::Address;

/// Where chatctl finds the server if nothing else is named.
const CHATCTL_LOOKS_AT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

/// Where chatctl finds the secret then.
const CHATCTL_LOOKS_IN: &str = "./data";

/// What must be said to chatctl, so that it finds this server and its secret.
pub(crate) struct Greeting {
    /// The path below which everything is.
    base: String,
    /// `.env` names another server for it.
    is_misled: bool,
    /// Where the secret is, if it would not look there.
    data_dir: Option<String>,
    /// The secret is a setting that it would not find.
    secret_is_set: bool,
    /// There is a secret that it could sign with.
    signs: bool,
    /// There is a page to try it on.
    has_playground: bool,
}

impl Greeting {
    pub(crate) fn of(given: &Given) -> Self {
        let config = &given.config;
        let looks_in = given.in_file("DATA_DIR").unwrap_or(CHATCTL_LOOKS_IN);
        let keys = &config.tokens.keys;
        let elsewhere =
            keys.need_generated_secret() && config.data_dir.components().ne(Path::new(looks_in).components());
        let secret = keys.jwt_secret.as_ref().map(|secret| secret.expose());
        let file = keys.jwt_secret_file.as_deref();
        Self {
            base: config.base_path.clone(),
            is_misled: given.in_file("CHAT_URL").is_some(),
            data_dir: elsewhere.then(|| config.data_dir.display().to_string()),
            secret_is_set: secret.is_some_and(|secret| given.in_file("JWT_SECRET") != Some(secret))
                || file.is_some_and(|file| given.in_file("JWT_SECRET_FILE").map(Path::new) != Some(file)),
            signs: keys.need_generated_secret() || secret.is_some() || file.is_some(),
            has_playground: config.playground() != Playground::Off,
        }
    }

    pub(crate) fn say(&self, started: &Started) {
        let tcp = started.tcp();
        if let Some(address) = tcp {
            say(format_args!("Server running on port {}", address.port()));
            say(self.reach(address, scheme(started)));
        }
        for address in &started.addresses {
            if let Address::Unix(_) = address {
                say(format_args!("Server running on {address}"));
            }
        }
        if let Some(address) = &started.administration {
            say(format_args!("Administration is served at {address}"));
        }
        if let Some(database) = &started.database {
            say(format_args!("Messages are kept in the {database}"));
        }
        if let Some(address) = tcp
            && is_read_by_a_person()
            && self.signs
        {
            self.suggest(here(address), scheme(started));
        }
    }

    fn suggest(&self, address: SocketAddr, scheme: &str) {
        // Under `cargo run`, chatctl is not on the PATH yet.
        let chatctl = match std::env::var_os("CARGO") {
            Some(_) => "cargo chatctl",
            None => "chatctl",
        };
        let mut settings = String::new();
        if self.is_misled || address != CHATCTL_LOOKS_AT || scheme != "http" || !self.base.is_empty() {
            settings += &format!("CHAT_URL={scheme}://{address}{} ", self.base);
        }
        if let Some(data_dir) = &self.data_dir {
            settings += &format!("DATA_DIR='{}' ", data_dir.replace('\'', r"'\''"));
        }
        let secret = match self.secret_is_set {
            true => ", with the JWT_SECRET of this server set there",
            false => "",
        };
        say("");
        if self.has_playground {
            say(format_args!(
                "Try it in a browser: {scheme}://{address}{}/playground",
                self.base
            ));
        }
        say(format_args!("Try next, in another terminal{secret}:"));
        say(format_args!("  {settings}{chatctl} seed users"));
        say(format_args!("  {settings}{chatctl} chat --as userA --with userB"));
    }

    /// Where the server can be reached, and from where.
    fn reach(&self, address: SocketAddr, scheme: &str) -> String {
        let (here, port, base) = (here(address), address.port(), &self.base);
        if !address.ip().is_unspecified() {
            return match address.ip().is_loopback() {
                true => format!(
                    "Reachable at {scheme}://{here}{base} from this machine only; with HOST=0.0.0.0 also from others"
                ),
                false => format!("Reachable at {scheme}://{here}{base}"),
            };
        }
        match own_address() {
            Some(own) => format!(
                "Reachable at {scheme}://{here}{base}, and from other machines at {scheme}://{}{base}",
                SocketAddr::new(own, port)
            ),
            None => {
                format!(
                    "Reachable at {scheme}://{here}{base}, and from other machines at port {port} of any address of this one"
                )
            }
        }
    }
}

fn scheme(started: &Started) -> &'static str {
    match started.has_tls {
        true => "https",
        false => "http",
    }
}

/// The address by which a program of this machine reaches the server.
fn here(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => address,
        // It takes IPv4, too, unless the system is set otherwise.
        IpAddr::V6(_) if !takes_both() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => (Ipv4Addr::LOCALHOST, address.port()).into(),
    }
}

/// Whether what listens at all addresses of IPv6 listens at those of IPv4, too.
fn takes_both() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only").is_ok_and(|only| only.trim() == "0")
}

/// The address that others see of this machine, if it has one. Nothing is sent: only the way there is looked up.
fn own_address() -> Option<IpAddr> {
    // An address that is kept for documents.
    let far = SocketAddr::from(([192, 0, 2, 1], 9));
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(far).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}
