//! Where a request goes: a URL that was read, before anything is looked up.

use std::net::IpAddr;

use reqwest::Url;

/// Characters of a URL, at most.
const LONGEST: usize = 2_048;

/// Why a text is no target: a sentence about it, without the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetFault {
    /// It is no URL.
    #[error("must be a URL such as https://example.com/hooks")]
    NoUrl,
    /// Another scheme.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// It has a name or a password in it.
    #[error("must have no user and no password in it: give them as a header")]
    Credentials,
    /// It has a part behind a `#`, which is never sent.
    #[error("must have no # in it")]
    Fragment,
    /// It is too long.
    #[error("must have at most {LONGEST} characters")]
    TooLong,
    /// The port is not one to which requests go.
    #[error("must have the port 80, 443 or 8443, or one that this instance is configured for")]
    Port,
}

/// A URL to which a request may go, as far as its text tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) url: Url,
}

/// What stands for the host in a URL: decimal, octal and hexadecimal spellings are addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Target {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, TargetFault> {
        if text.len() > LONGEST {
            return Err(TargetFault::TooLong);
        }
        let url = Url::parse(text).map_err(|_| TargetFault::NoUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TargetFault::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetFault::Credentials);
        }
        if url.fragment().is_some() {
            return Err(TargetFault::Fragment);
        }
        if !url.has_host() {
            return Err(TargetFault::NoUrl);
        }
        Ok(Self { url })
    }

    /// The URL.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        claviger_store::webhooks::origin(self.url())
    }

    /// Whether what is sent there is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether it is sent to this machine itself, as its text tells.
    pub fn is_local(&self) -> bool {
        match self.host() {
            Host::Name(name) => name == "localhost",
            Host::Address(address) => address.to_canonical().is_loopback(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    pub(crate) fn host(&self) -> Host {
        let text = self.url.host_str().unwrap_or_default();
        let inner = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        match inner.unwrap_or(text).parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Name(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_however_it_is_spelled() {
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        for spelling in [
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "0177.0.0.01",
            "127.1",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "127。0。0。1",
        ] {
            let target = Target::parse(&format!("http://{spelling}/")).unwrap();
            assert_eq!(target.host(), Host::Address(local), "{spelling}");
        }
        let target = Target::parse("http://[::ffff:127.0.0.1]:80/").unwrap();
        let mapped = "::ffff:7f00:1".parse().unwrap();
        assert_eq!(target.host(), Host::Address(mapped));
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = |text| Target::parse(text).unwrap().origin();
        assert_eq!(origin("https://Example.com:443/a?b"), "https://example.com");
        assert_eq!(
            origin("http://example.com:8443/"),
            "http://example.com:8443"
        );
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        let fault = |text: &str| Target::parse(text).unwrap_err();
        assert_eq!(fault("example.com/hooks"), TargetFault::NoUrl);
        assert_eq!(fault("file:///etc/passwd"), TargetFault::Scheme);
        assert_eq!(fault("gopher://example.com/"), TargetFault::Scheme);
        assert_eq!(fault("https://me@example.com/"), TargetFault::Credentials);
        assert_eq!(fault("https://:pw@example.com/"), TargetFault::Credentials);
        assert_eq!(fault("https://example.com/#x"), TargetFault::Fragment);
        assert_eq!(fault("https://"), TargetFault::NoUrl);
        let long = format!("https://example.com/{}", "a".repeat(LONGEST));
        assert_eq!(fault(&long), TargetFault::TooLong);
    }
}
