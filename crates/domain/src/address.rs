//! Address locks: from which networks a key may be used.

use std::net::IpAddr;

use ipnet::IpNet;

/// Bits of a v4-mapped address of version 6 before the address of version 4.
const MAPPED: u8 = 96;

/// Reads a network in CIDR form, or a single address; v4-mapped ones are of version 4, as the
/// addresses are that they are compared with.
pub fn parse_network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let network = text
        .parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    match (network.addr().to_canonical(), network) {
        (address @ IpAddr::V4(_), IpNet::V6(mapped)) if mapped.prefix_len() >= MAPPED => {
            IpNet::new(address, mapped.prefix_len() - MAPPED).ok()
        }
        _ => Some(network),
    }
    .map(|network| network.trunc())
}

/// Reads an end user's address. A list, as proxies write it, is none: its first entry is whatever
/// the end user sent.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.trim().parse().ok()?;
    Some(address.to_canonical())
}

/// Whether one of the networks holds `address`; a v4-mapped address counts as the v4 one.
pub fn is_within(networks: &[IpNet], address: IpAddr) -> bool {
    networks
        .iter()
        .any(|network| network.contains(&address.to_canonical()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_single_addresses_are_read() {
        assert_eq!(
            parse_network("10.1.2.3/8").unwrap().to_string(),
            "10.0.0.0/8"
        );
        assert_eq!(
            parse_network("192.0.2.7").unwrap().to_string(),
            "192.0.2.7/32"
        );
        assert_eq!(
            parse_network("2001:db8::/32").unwrap().to_string(),
            "2001:db8::/32"
        );
        for mapped in ["::ffff:192.0.2.7/120", "::ffff:192.0.2.0/120"] {
            let network = parse_network(mapped).unwrap();
            assert_eq!(network.to_string(), "192.0.2.0/24");
            assert!(is_within(&[network], "192.0.2.9".parse().unwrap()));
        }
        assert_eq!(
            parse_network("::ffff:192.0.2.7").unwrap().to_string(),
            "192.0.2.7/32"
        );
        assert!(parse_network("10.0.0.0/33").is_none());
        assert!(parse_network("example.com").is_none());
    }

    #[test]
    fn a_mapped_address_counts_as_itself() {
        let networks = [parse_network("192.0.2.0/24").unwrap()];
        assert!(is_within(
            &networks,
            parse_address("::ffff:192.0.2.9").unwrap()
        ));
        assert!(!is_within(
            &networks,
            parse_address("::ffff:198.51.100.1").unwrap()
        ));
    }

    #[test]
    fn of_several_addresses_none_is_believed() {
        for text in [
            "192.0.2.9, 198.51.100.1",
            "192.0.2.9,",
            "192.0.2.9 198.51.100.1",
            ",",
        ] {
            assert_eq!(parse_address(text), None, "{text}");
        }
        assert!(parse_address(" 192.0.2.9 ").is_some());
    }
}
