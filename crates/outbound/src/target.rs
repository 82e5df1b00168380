//! Where a request goes: a URL that was read, before anything is looked up.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use url::{Position, Url};

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
    origin: Arc<Origin>,
    /// The URL, as `Url` writes it: it begins with the origin.
    text: String,
}

/// What all URLs of a scheme, a host and a port have in common.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Such as `https://example.com:8443`.
    pub(crate) text: Arc<str>,
    pub(crate) is_encrypted: bool,
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// What requests say that they are for.
    pub(crate) host_header: HeaderValue,
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
        let origin = Origin::of(&url).ok_or(TargetFault::NoUrl)?;
        Ok(Self {
            origin: Arc::new(origin),
            text: url.into(),
        })
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.text
    }

    /// The URL of a path and a query below this one; none where that would be another place than what is
    /// written, such as one behind dot segments, or on another host.
    pub fn below(&self, path_and_query: &str) -> Option<Self> {
        let origin = &*self.origin.text;
        let base = self.path().trim_end_matches('/');
        let length = origin.len() + base.len() + path_and_query.len();
        if !path_and_query.starts_with('/') || length > LONGEST_REQUEST {
            return None;
        }
        let mut text = String::with_capacity(length);
        text.push_str(origin);
        text.push_str(base);
        text.push_str(path_and_query);
        if !is_plain(path_and_query) {
            text = self.as_written(&text)?;
        }
        Some(Self {
            origin: Arc::clone(&self.origin),
            text,
        })
    }

    /// The same URL as `Url` writes it, where its path stays as it is and nothing of it leads elsewhere.
    fn as_written(&self, text: &str) -> Option<String> {
        let url = Url::parse(text).ok()?;
        let path = text.strip_prefix(&*self.origin.text)?.split('?').next()?;
        let is_as_written = url.path() == path
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url[..Position::BeforePath] == *self.origin.text;
        is_as_written.then(|| url.into())
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin.text
    }

    /// Whether what is sent there is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.origin.is_encrypted
    }

    /// Whether it is sent to this machine itself, as its text tells.
    pub fn is_local(&self) -> bool {
        match self.host() {
            Host::Name(name) => name == "localhost",
            Host::Address(address) => address.to_canonical().is_loopback(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.origin.port
    }

    pub(crate) fn host(&self) -> &Host {
        &self.origin.host
    }

    pub(crate) fn place(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// What a request names below its origin, without a copy; `None` where HTTP has no such path.
    pub(crate) fn into_uri(self) -> Option<Uri> {
        let path_and_query = Bytes::from(self.text).slice(self.origin.text.len()..);
        PathAndQuery::from_maybe_shared(path_and_query)
            .ok()
            .map(Uri::from)
    }

    fn path(&self) -> &str {
        let path_and_query = &self.text[self.origin.text.len()..];
        let end = path_and_query.find('?').unwrap_or(path_and_query.len());
        &path_and_query[..end]
    }
}

impl Origin {
    fn of(url: &Url) -> Option<Self> {
        let text = &url[..Position::BeforePath];
        let name = url.host_str()?;
        let inner = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        Some(Self {
            text: text.into(),
            is_encrypted: url.scheme() == "https",
            host: match inner.unwrap_or(name).parse() {
                Ok(address) => Host::Address(address),
                Err(_) => Host::Name(name.to_owned()),
            },
            port: url.port_or_known_default()?,
            // A port is in the text where it is not the scheme's own.
            host_header: HeaderValue::from_str(&url[Position::BeforeHost..Position::BeforePath])
                .ok()?,
        })
    }
}

/// Whether a path and a query are such that `Url` leaves each character of them as it is, however it is read: most are,
/// and reading them takes longer than anything else about a request.
fn is_plain(path_and_query: &str) -> bool {
    let bytes = path_and_query.as_bytes();
    let is_as_it_is = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'/' | b'?' | b'-' | b'_' | b'.' | b'~' | b'=' | b'&' | b'%' | b'+'
            )
            || matches!(
                byte,
                b',' | b':' | b';' | b'@' | b'!' | b'$' | b'*' | b'(' | b')'
            )
    };
    // What may be a segment of dots begins with one, or with the beginning of an escaped one.
    let is_of_dots = |pair: &[u8]| pair == b"/." || pair == b"/%";
    bytes.iter().all(is_as_it_is) && !bytes.windows(2).any(is_of_dots)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

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
            assert_eq!(*target.host(), Host::Address(local), "{spelling}");
        }
        let target = Target::parse("http://[::ffff:127.0.0.1]:80/").unwrap();
        let mapped = "::ffff:7f00:1".parse().unwrap();
        assert_eq!(*target.host(), Host::Address(mapped));
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = |text| Target::parse(text).unwrap().origin().to_owned();
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

    /// What a path and a query below a URL are where `Url` reads them, whatever is in them.
    fn read_below(base: &Target, path_and_query: &str) -> Option<String> {
        let text = format!(
            "{}{}{path_and_query}",
            base.origin(),
            base.path().trim_end_matches('/')
        );
        let is_possible = path_and_query.starts_with('/') && text.len() <= LONGEST_REQUEST;
        is_possible.then(|| base.as_written(&text)).flatten()
    }

    #[track_caller]
    fn assert_is_read_alike(path_and_query: &str) {
        for base in ["https://example.com", "http://[::1]:8443/v1/%41//?q"] {
            let base = Target::parse(base).unwrap();
            let below = base.below(path_and_query);
            assert_eq!(
                below.map(|target| target.text),
                read_below(&base, path_and_query),
                "{path_and_query:?}"
            );
        }
    }

    #[test]
    fn what_is_below_a_url_is_what_it_is_read_as_whatever_two_characters_are_in_it() {
        let characters = || (0..=0x7F_u8).map(char::from);
        for (one, other) in characters().flat_map(|one| characters().map(move |it| (one, it))) {
            assert_is_read_alike(&format!("/{one}{other}"));
            assert_is_read_alike(&format!("/a?{one}{other}"));
        }
    }

    proptest! {
        #[test]
        fn what_is_below_a_url_is_what_it_is_read_as(
            parts in vec(
                prop_oneof![
                    4 => select(&["/", ".", "..", "%2e", "%2E", "%", "%2", "a", "?", "=", "%2F", "//"][..])
                        .prop_map(str::to_owned),
                    1 => select(&["\\", "#", "@", ":", "\t", "\n", "'", " ", "http:", "[", "é"][..])
                        .prop_map(str::to_owned),
                    1 => any::<char>().prop_map(String::from),
                ],
                0..8,
            ),
        ) {
            assert_is_read_alike(&format!("/{}", parts.concat()));
            assert_is_read_alike(&parts.concat());
        }
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
