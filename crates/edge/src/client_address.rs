//! The address that a request comes from, where a proxy in between is trusted to tell it.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use claviger_domain::address::is_within;
use claviger_verify::Network;
use http::{Extensions, HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::Core;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address as trusted proxies tell it. It travels as a request extension; a request
/// without one comes from its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Reads the forwarding headers of a request, when its peer is a trusted proxy.
    ///
    /// Each proxy adds whom it was asked by, so that only what trusted ones added can be believed:
    /// the right-most address that is not one of theirs. `None` when no such address is told.
    pub(crate) fn told(
        trusted: &[IpNet],
        extensions: &Extensions,
        headers: &HeaderMap,
    ) -> Option<Self> {
        if trusted.is_empty() || !is_within(trusted, peer(extensions)?) {
            return None;
        }
        let of = |name: HeaderName, read: fn(&str) -> Option<IpAddr>| {
            headers
                .contains_key(&name)
                .then(|| right_most(trusted, headers, &name, read))
        };
        let listed = of(X_FORWARDED_FOR, node);
        let named = of(header::FORWARDED, forwarded_for);
        match (listed, named) {
            (Some(one), None) | (None, Some(one)) => one.map(Self),
            // A proxy that writes one of the two passes the other on as the client sent it.
            (Some(one), Some(other)) if one == other => one.map(Self),
            _ => None,
        }
    }
}

/// The network that a request comes from. Through a proxy, where none is trusted to tell more, it is
/// the proxy's. A call through a tool comes from wherever the tool was called.
pub fn network_of(core: &Core, extensions: &Extensions, headers: &HeaderMap) -> Option<Network> {
    if let Some(told) = extensions.get::<Network>() {
        return Some(*told);
    }
    if let Some(ClientAddress(told)) = extensions.get::<ClientAddress>() {
        return Some(Network::of(*told));
    }
    let peer = peer(extensions)?;
    if core.trusted_proxies.is_empty() && is_forwarded(headers) {
        return Some(Network::behind(peer));
    }
    Some(Network::of(peer))
}

/// Whether a proxy says that it passes the request on.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .any(|name| name == header::FORWARDED || name.as_str().starts_with("x-forwarded-"))
}

/// The other end of the connection.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(peer.0.ip().to_canonical())
}

/// The right-most address that is not trusted, or the left-most where all are. Nothing to the left
/// of an entry that is no address can be believed, and neither can that.
fn right_most(
    trusted: &[IpNet],
    headers: &HeaderMap,
    name: &HeaderName,
    read: impl Fn(&str) -> Option<IpAddr>,
) -> Option<IpAddr> {
    let mut last = None;
    for line in headers.get_all(name).iter().rev() {
        for entry in line.to_str().ok()?.rsplit(',') {
            let address = read(entry)?;
            if !is_within(trusted, address) {
                return Some(address);
            }
            last = Some(address);
        }
    }
    last
}

/// An entry of `X-Forwarded-For`: an address, with its port from some proxies.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(bare) => IpAddr::V6(bare.parse().ok()?),
        None => text
            .parse::<IpAddr>()
            .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
            .ok()?,
    };
    Some(address.to_canonical())
}

/// The address of one element of `Forwarded` (RFC 7239): `for="[2001:db8::1]:4711";proto=https`.
///
/// Elements are told apart from the right, before quotes are looked at: what a client put into a
/// quoted value of a proxy's element, such as its host, leaves half a quote or a backslash behind.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    if element.contains('\\') || element.matches('"').count() % 2 == 1 {
        return None;
    }
    let mut named = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    });
    let value = named.next()?.trim();
    if named.next().is_some() {
        return None;
    }
    let quoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    node(quoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn told(peer: &str, pairs: &[(&'static str, &str)]) -> Option<String> {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let mut extensions = Extensions::new();
        let peer = SocketAddr::new(peer.parse().unwrap(), 50_000);
        extensions.insert(ConnectInfo(peer));
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append::<HeaderName>(name, value);
                headers
            });
        ClientAddress::told(&trusted, &extensions, &headers).map(|client| client.0.to_string())
    }

    fn listed(text: &str) -> Option<String> {
        told(PROXY, &[("x-forwarded-for", text)])
    }

    fn named(text: &str) -> Option<String> {
        told(PROXY, &[("forwarded", text)])
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let headers = [("x-forwarded-for", "203.0.113.7")];
        assert_eq!(told(PROXY, &headers).unwrap(), "203.0.113.7");
        assert_eq!(told("::ffff:10.0.0.1", &headers).unwrap(), "203.0.113.7");
        assert_eq!(told("fd00::1", &headers).unwrap(), "203.0.113.7");
        assert_eq!(told("192.0.2.1", &headers), None);
        assert_eq!(told(PROXY, &[]), None);
    }

    #[test]
    fn what_the_client_sent_itself_stands_to_the_left_and_is_not_read() {
        assert_eq!(
            listed("6.6.6.6, 203.0.113.7, 10.0.0.2").unwrap(),
            "203.0.113.7"
        );
        assert_eq!(listed("rubbish, 203.0.113.7").unwrap(), "203.0.113.7");
        let lines = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        assert_eq!(told(PROXY, &lines).unwrap(), "203.0.113.7");
        assert_eq!(listed("10.0.0.3, 10.0.0.2").unwrap(), "10.0.0.3");
    }

    #[test]
    fn an_entry_that_is_no_address_hides_all_before_it() {
        for text in [
            "",
            ",",
            "203.0.113.7,",
            "203.0.113.7, unknown",
            "203.0.113.7, rubbish, 10.0.0.2",
            "203.0.113.7 10.0.0.2",
            "203.0.113.7:x",
            "[203.0.113.7]",
        ] {
            assert_eq!(listed(text), None, "{text}");
        }
        let bytes = HeaderValue::from_bytes(b"203.0.113.7, \xff").unwrap();
        assert!(bytes.to_str().is_err());
    }

    #[test]
    fn addresses_may_be_of_version_6_and_have_ports() {
        for (text, address) in [
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8::1, ::ffff:10.0.0.2", "2001:db8::1"),
        ] {
            assert_eq!(listed(text).as_deref(), Some(address), "{text}");
        }
    }

    #[test]
    fn the_standard_header_is_read_too() {
        for (text, address) in [
            ("for=203.0.113.7", "203.0.113.7"),
            ("for=\"203.0.113.7:80\";proto=https", "203.0.113.7"),
            (
                "proto=https;For=\"[2001:db8::1]:4711\";by=10.0.0.1",
                "2001:db8::1",
            ),
            ("for=6.6.6.6, for=203.0.113.7, for=10.0.0.2", "203.0.113.7"),
            ("for=\"open, for=203.0.113.7", "203.0.113.7"),
        ] {
            assert_eq!(named(text).as_deref(), Some(address), "{text}");
        }
        for text in [
            "for=unknown",
            "for=_hidden",
            "proto=https",
            "for=6.6.6.6;for=203.0.113.7",
            "for=6.6.6.6, for=_hidden",
        ] {
            assert_eq!(named(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_that_looks_like_an_element_is_none() {
        for host in ["e, for=6.6.6.6", "e, for=6.6.6.6;x=", "e, for=6.6.6.6;x=\\"] {
            let text = format!("for=203.0.113.7;host=\"{host}\"");
            assert_ne!(named(&text).as_deref(), Some("6.6.6.6"), "{text}");
        }
    }

    #[test]
    fn of_two_headers_that_differ_neither_is_believed() {
        let both =
            |listed, named| told(PROXY, &[("x-forwarded-for", listed), ("forwarded", named)]);
        assert_eq!(
            both("203.0.113.7", "for=203.0.113.7").unwrap(),
            "203.0.113.7"
        );
        assert_eq!(both("203.0.113.7", "for=6.6.6.6"), None);
        assert_eq!(both("6.6.6.6", "for=203.0.113.7"), None);
        assert_eq!(both("rubbish", "for=203.0.113.7"), None);
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_sends_changes_what_its_proxy_tells(sent in "[ -~]{0,40}") {
            let lines = [
                ("x-forwarded-for", sent.as_str()),
                ("x-forwarded-for", "203.0.113.7"),
            ];
            prop_assert_eq!(told(PROXY, &lines).unwrap(), "203.0.113.7");
            prop_assert_eq!(listed(&format!("{sent}, 203.0.113.7")).unwrap(), "203.0.113.7");
            prop_assert_eq!(named(&format!("{sent}, for=203.0.113.7")).unwrap(), "203.0.113.7");
            prop_assert_eq!(told("192.0.2.1", &lines), None);
        }
    }
}
