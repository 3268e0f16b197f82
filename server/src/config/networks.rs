//! Lists of addresses and networks, as settings have them: `10.0.0.0/8, 2001:db8::1`.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// Stands for the address of programs of this machine that come through a socket in the file system (`LISTEN=unix:…`): nobody
/// has it. It is written `unix`.
pub const UNIX: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Addresses and networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether an address is one of them, or in one of them. One of IPv4 that is written as one of IPv6 is of IPv4.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A list, as a setting has it.
pub(super) fn networks(text: &str) -> Result<Networks, String> {
    if ["", "none", "off"].contains(&text.trim().to_ascii_lowercase().as_str()) {
        return Ok(Networks::default());
    }
    let parse = |part: &str| {
        let part = part.trim();
        let address = |text: &str| {
            if text == "unix" {
                return Some(UNIX.into());
            }
            text.parse::<IpAddr>()
                .ok()
                .map(|address| IpNet::from(address.to_canonical()))
        };
        part.parse::<IpNet>().ok().or_else(|| address(part)).ok_or_else(|| {
            format!("`{part}` is none; write addresses and networks with commas between them, such as 10.0.0.1,10.1.0.0/16,fd00::/8 (or unix for LISTEN=unix:…), or none")
        })
    };
    text.split(',').map(parse).collect::<Result<_, _>>().map(Networks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read() {
        let list = networks(" 10.1.0.0/16, 192.0.2.7 ,2001:db8::/32,::1").unwrap();
        for (address, is_in) in [
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:1::5", true),
            ("2001:db9::", false),
            ("::1", true),
        ] {
            assert_eq!(list.contain(address.parse().unwrap()), is_in, "{address}");
        }
        assert!(networks("unix,::1").unwrap().contain(UNIX) && !list.contain(UNIX));
        assert!(networks("none").unwrap().is_empty() && networks(" ").unwrap().is_empty());
        for wrong in [
            "10.0.0.0/33",
            "proxy",
            "10.0.0.1,,10.0.0.2",
            "10.0.0.1 10.0.0.2",
            "[::1]",
        ] {
            assert!(networks(wrong).is_err_and(|why| why.contains("10.1.0.0/16")), "{wrong}");
        }
    }
}
