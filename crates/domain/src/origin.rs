//! Domain locks: which origins may use a key.

/// A domain that a key is locked to: `example.com`, or `*.example.com` for all below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainPattern(Box<str>);

impl DomainPattern {
    /// Reads a pattern: a host name with an optional leading `*.`.
    pub fn parse(text: &str) -> Option<Self> {
        let folded = text.trim().to_ascii_lowercase();
        let host = folded.strip_prefix("*.").unwrap_or(&folded);
        let is_host = !host.is_empty()
            && host.len() <= 253
            && host.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            });
        is_host.then(|| Self(folded.into()))
    }

    /// Takes a pattern that was parsed before it was stored.
    pub fn from_trusted(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The pattern in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `host`, in lower case, is within the pattern.
    pub fn matches(&self, host: &str) -> bool {
        match self.0.strip_prefix("*.") {
            Some(domain) => host
                .strip_suffix(domain)
                .is_some_and(|below| below.len() > 1 && below.ends_with('.')),
            None => host == &*self.0,
        }
    }
}

/// The host of a bare host, an Origin or a whole Referer URL, in lower case, without a port.
pub fn host_of(text: &str) -> Option<String> {
    let text = text.trim();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    // What stands before an `@` is a user name, by which a host could be feigned.
    let host_and_port = authority.rsplit('@').next()?;
    let host = host_and_port.split(':').next()?;
    let host = host.trim_end_matches('.');
    let is_plain = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    is_plain.then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, origin: &str) -> bool {
        host_of(origin).is_some_and(|host| DomainPattern::parse(pattern).unwrap().matches(&host))
    }

    #[test]
    fn a_host_an_origin_and_a_referer_name_the_same_host() {
        for origin in [
            "Example.com",
            "https://example.com",
            "http://EXAMPLE.com:8080/a?b#c",
        ] {
            assert!(allows("example.com", origin), "{origin}");
        }
    }

    #[test]
    fn a_wildcard_is_for_what_is_below_and_only_that() {
        assert!(allows("*.example.com", "https://a.b.example.com"));
        assert!(!allows("*.example.com", "https://example.com"));
        assert!(!allows("*.example.com", "https://evilexample.com"));
        assert!(!allows("example.com", "https://example.com.evil.org"));
    }

    #[test]
    fn a_feigned_host_does_not_pass() {
        for origin in [
            "https://example.com@evil.org",
            "https://evil.org\\@example.com",
            "",
            "://",
        ] {
            assert!(!allows("example.com", origin), "{origin}");
        }
    }

    #[test]
    fn dots_alone_are_no_host() {
        assert_eq!(host_of("https://..:80/"), None);
        assert_eq!(host_of("example.com."), Some("example.com".to_owned()));
    }

    #[test]
    fn a_pattern_is_a_host() {
        for text in [
            "",
            "*",
            "*.",
            "https://example.com",
            "a b.com",
            "*.*.com",
            "a..b",
        ] {
            assert_eq!(DomainPattern::parse(text), None, "{text}");
        }
    }
}
