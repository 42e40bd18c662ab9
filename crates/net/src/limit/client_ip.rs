//! Whose request it is: the peer's address, unless the peer is a proxy of ours that says for whom.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;
use ipnet::IpNet;

/// More proxies in a row than anybody has.
const MAX_HOPS: usize = 32;

/// What counts as one client for a limit: an IPv4 address, or an IPv6 network of 64 bits (which is
/// what one subscriber gets; within it they may take a new address for each request).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpKey(IpAddr);

impl IpKey {
    /// Groups an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            v4 @ IpAddr::V4(_) => v4,
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }
}

impl std::fmt::Display for IpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => write!(f, "{v4}"),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

/// The rule by which a request's client is found.
#[derive(Debug, Clone, Default)]
pub struct ClientIps {
    trusted: Vec<IpNet>,
}

impl ClientIps {
    /// Believes `X-Forwarded-For` from peers in these networks, and from nobody if there are none.
    pub const fn new(trusted_proxies: Vec<IpNet>) -> Self {
        Self {
            trusted: trusted_proxies,
        }
    }

    /// Returns the networks that are believed.
    pub fn trusted(&self) -> &[IpNet] {
        &self.trusted
    }

    /// Finds the client's address, IPv4-mapped ones as IPv4.
    ///
    /// # Security
    ///
    /// Each proxy appends the address it saw, so the list is read from its end, as far as the
    /// writers are ours. What stands before that may be anybody's invention, and is not looked at.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let values = headers.get_all("x-forwarded-for");
        let mut hops = 0;
        for value in values.iter().rev() {
            let Ok(value) = value.to_str() else {
                return client;
            };
            for hop in value.rsplit(',') {
                hops += 1;
                if hops > MAX_HOPS || !self.is_trusted(client) {
                    return client;
                }
                let Ok(address) = hop.trim().parse::<IpAddr>() else {
                    return client;
                };
                client = address.to_canonical();
            }
        }
        client
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted
            .iter()
            .any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        headers
    }

    fn behind_proxy() -> ClientIps {
        ClientIps::new(vec![
            "10.0.0.0/8".parse().unwrap(),
            "fd00::/8".parse().unwrap(),
        ])
    }

    #[test]
    fn a_stranger_that_claims_to_forward_is_itself() {
        let rule = behind_proxy();
        let spoofed = headers(&["198.51.100.7"]);
        assert_eq!(rule.client(ip("203.0.113.9"), &spoofed), ip("203.0.113.9"));
        assert_eq!(
            ClientIps::default().client(ip("10.0.0.1"), &spoofed),
            ip("10.0.0.1")
        );
    }

    #[test]
    fn a_claim_that_came_in_through_our_proxy_is_not_believed() {
        // The client sent "198.51.100.7"; the proxy appended what it saw.
        let rule = behind_proxy();
        for forged in [
            headers(&["198.51.100.7, 203.0.113.9"]),
            headers(&["198.51.100.7", "203.0.113.9"]),
            headers(&["10.0.0.5, 203.0.113.9"]),
            headers(&["127.0.0.1,10.0.0.9,  203.0.113.9, 10.0.0.2"]),
        ] {
            assert_eq!(
                rule.client(ip("10.0.0.1"), &forged),
                ip("203.0.113.9"),
                "{forged:?}"
            );
        }
    }

    #[test]
    fn a_malformed_list_ends_at_the_last_address_that_is_known() {
        let rule = behind_proxy();
        assert_eq!(
            rule.client(ip("10.0.0.1"), &headers(&["203.0.113.9, nonsense"])),
            ip("10.0.0.1")
        );
        assert_eq!(rule.client(ip("10.0.0.1"), &headers(&[""])), ip("10.0.0.1"));
        assert_eq!(
            rule.client(ip("10.0.0.1"), &headers(&["1.2.3.4:80"])),
            ip("10.0.0.1")
        );
        let endless = vec!["10.1.1.1"; 10_000].join(",");
        assert_eq!(
            rule.client(ip("10.0.0.1"), &headers(&[&endless])),
            ip("10.1.1.1")
        );
    }

    #[test]
    fn a_mapped_address_is_the_same_client_and_the_same_proxy() {
        let rule = behind_proxy();
        assert_eq!(
            IpKey::of(ip("::ffff:203.0.113.9")),
            IpKey::of(ip("203.0.113.9"))
        );
        let forwarded = headers(&["::ffff:203.0.113.9"]);
        assert_eq!(
            rule.client(ip("::ffff:10.0.0.1"), &forwarded),
            ip("203.0.113.9")
        );
    }

    #[test]
    fn rotating_through_a_64_bit_network_stays_one_client() {
        let one = IpKey::of(ip("2001:db8:1:2::1"));
        assert_eq!(one, IpKey::of(ip("2001:db8:1:2:ffff:ffff:ffff:ffff")));
        assert_ne!(one, IpKey::of(ip("2001:db8:1:3::1")));
        assert_eq!(one.to_string(), "2001:db8:1:2::/64");
    }
}
