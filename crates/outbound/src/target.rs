//! Where a request goes: a URL that was read, before anything is looked up.

use std::net::IpAddr;

use reqwest::Url;

/// Characters of a URL, at most.
const LONGEST: usize = 2_048;

/// Characters of one with all that a request has in it, at most.
const LONGEST_REQUEST: usize = 16 * 1_024;

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

    /// The URL of a path and a query below this one; none where that would be another place than what is
    /// written, such as one behind dot segments, or on another host.
    pub fn below(&self, path_and_query: &str) -> Option<Self> {
        let base = self.url.path().trim_end_matches('/');
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        let path = format!("{base}{path}");
        let origin = self.url.origin().ascii_serialization();
        let mut text = format!("{origin}{path}");
        if let Some(query) = query {
            text.push('?');
            text.push_str(query);
        }
        if !path_and_query.starts_with('/') || text.len() > LONGEST_REQUEST {
            return None;
        }
        let url = Url::parse(&text).ok()?;
        let is_as_written = url.path() == path
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.origin() == self.url.origin();
        is_as_written.then_some(Self { url })
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
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
    fn what_is_below_a_url_is_as_it_is_written() {
        let base = Target::parse("https://example.com/v1/").unwrap();
        let below = |text| base.below(text).map(|target| target.url().to_owned());
        for (path, expected) in [
            ("/a/b?c=d&e", "https://example.com/v1/a/b?c=d&e"),
            ("/a%2Fb", "https://example.com/v1/a%2Fb"),
            ("//e", "https://example.com/v1//e"),
            ("/@e", "https://example.com/v1/@e"),
            ("/:80@e/", "https://example.com/v1/:80@e/"),
            ("/", "https://example.com/v1/"),
        ] {
            assert_eq!(below(path).as_deref(), Some(expected), "{path}");
        }
        for path in [
            "",
            "a",
            "@e",
            ":80@e",
            "/../x",
            "/%2e%2e/x",
            "/.%2E",
            "/a/./b",
            "/\\e",
            "/a#b",
            "/a b",
            "/a\nb",
            "?x",
        ] {
            assert_eq!(below(path), None, "{path}");
        }
        let long = format!("/{}", "a".repeat(LONGEST_REQUEST));
        assert_eq!(below(&long), None);
        let root = Target::parse("https://example.com").unwrap();
        assert_eq!(
            root.below("//e/x").unwrap().url(),
            "https://example.com//e/x"
        );
        assert_eq!(root.below("//e/x").unwrap().origin(), "https://example.com");
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
