//! Whether a request is meant for us: a page that a browser was lured to can reach what listens on this
//! machine under a name of its own (DNS rebinding), but cannot change the `Host` and `Origin` it sends.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, Uri, header};

/// The names under which this server is reached.
#[derive(Debug, Clone)]
pub struct Hosts {
    public: Option<String>,
    listen: IpAddr,
}

/// Why a request is not for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotForUs {
    /// Its host is not one of ours, or it has none.
    #[error("the request's host is not one that this server answers to")]
    Host,
    /// It comes from a page of another origin.
    #[error("the request's origin is not allowed")]
    Origin,
}

impl Hosts {
    /// With a public host, that one; without, names of this machine's loopback and the listen address.
    pub fn new(public: Option<&str>, listen: SocketAddr) -> Self {
        Self {
            public: public.and_then(host_name),
            listen: listen.ip(),
        }
    }

    /// Checks the host (in HTTP/2 the authority) and, where there is one, the origin.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), NotForUs> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().ok(),
            (None, _) => uri.authority().map(http::uri::Authority::as_str),
            (Some(_), Some(_)) => None,
        };
        if !host
            .and_then(host_name)
            .is_some_and(|name| self.is_ours(&name))
        {
            return Err(NotForUs::Host);
        }
        for origin in headers.get_all(header::ORIGIN) {
            let name = origin.to_str().ok().and_then(origin_host);
            if !name.is_some_and(|name| self.is_ours(&name)) {
                return Err(NotForUs::Origin);
            }
        }
        Ok(())
    }

    fn is_ours(&self, name: &str) -> bool {
        if let Some(public) = &self.public {
            return name == public;
        }
        let address: Option<IpAddr> = name.parse().ok();
        match address {
            Some(address) => {
                address.is_loopback() || (address == self.listen && !address.is_unspecified())
            }
            None => name == "localhost",
        }
    }
}

/// The name of an authority in lower case, without port, brackets and final dot.
fn host_name(authority: &str) -> Option<String> {
    let authority: http::uri::Authority = authority.trim().parse().ok()?;
    if authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host();
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    (!host.is_empty()).then_some(host)
}

fn origin_host(origin: &str) -> Option<String> {
    let (scheme, rest) = origin.split_once("://")?;
    matches!(scheme, "http" | "https").then(|| host_name(rest))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(public: Option<&str>, host: &str, origin: Option<&str>) -> Result<(), NotForUs> {
        let hosts = Hosts::new(public, "192.168.1.5:8420".parse().unwrap());
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        hosts.check(&Uri::from_static("/mcp"), &headers)
    }

    #[test]
    fn without_a_public_host_loopback_names_and_the_listen_address_are_ours() {
        for host in [
            "localhost",
            "LOCALHOST:8420",
            "127.0.0.1:1",
            "[::1]:8420",
            "localhost.",
            "192.168.1.5:8420",
        ] {
            assert_eq!(check(None, host, None), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "192.168.1.6",
            "0.0.0.0",
            "a@localhost",
            "",
        ] {
            assert_eq!(check(None, host, None), Err(NotForUs::Host), "{host}");
        }
    }

    #[test]
    fn with_a_public_host_only_that_one_is_ours() {
        let public = Some("keys.example.com");
        assert_eq!(
            check(
                public,
                "Keys.Example.com:443",
                Some("https://keys.example.com")
            ),
            Ok(())
        );
        assert_eq!(check(public, "localhost", None), Err(NotForUs::Host));
        assert_eq!(
            check(public, "keys.example.com", Some("https://evil.example")),
            Err(NotForUs::Origin)
        );
    }

    #[test]
    fn an_origin_that_is_no_page_of_ours_is_refused() {
        for origin in [
            "http://evil.example",
            "null",
            "file://",
            "https://localhost.evil.example",
            "",
        ] {
            assert_eq!(
                check(None, "localhost", Some(origin)),
                Err(NotForUs::Origin),
                "{origin}"
            );
        }
        assert_eq!(
            check(None, "localhost", Some("http://localhost:6274")),
            Ok(())
        );
    }

    #[test]
    fn the_authority_stands_in_for_the_host_of_http2() {
        let hosts = Hosts::new(None, "127.0.0.1:8420".parse().unwrap());
        let none = HeaderMap::new();
        assert_eq!(
            hosts.check(&Uri::from_static("http://localhost:8420/mcp"), &none),
            Ok(())
        );
        assert_eq!(
            hosts.check(&Uri::from_static("/mcp"), &none),
            Err(NotForUs::Host)
        );
    }

    #[test]
    fn two_hosts_are_none() {
        let hosts = Hosts::new(None, "127.0.0.1:8420".parse().unwrap());
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, "localhost".parse().unwrap());
        headers.append(header::HOST, "evil.example".parse().unwrap());
        assert_eq!(
            hosts.check(&Uri::from_static("/mcp"), &headers),
            Err(NotForUs::Host)
        );
    }
}
