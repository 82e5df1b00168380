//! Which header of a request is its credential.

use claviger_domain::key_string::PlainKey;
use http::{HeaderMap, HeaderName, header};

use crate::Fields;

/// What a request presents; the first spelling there decides, without falling through.
#[derive(Clone, Debug)]
pub struct Credential(pub PlainKey);

/// Spellings in order of precedence, before `Authorization`.
const HEADERS: [HeaderName; 4] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("access_key"),
    HeaderName::from_static("api_key"),
];

impl Credential {
    /// Reads the credential; `None` when no header has one.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        Self::text(headers).map(|text| Self(PlainKey::new(text)))
    }

    /// The same, borrowed.
    pub fn text(fields: &dyn Fields) -> Option<&str> {
        for name in &HEADERS {
            // Bytes that are no text are a credential too: one that nobody has.
            if let Some(text) = fields.text(name) {
                return Some(text.trim());
            }
        }
        let value = fields.text(&header::AUTHORIZATION)?.trim();
        let bare = match value.split_once(' ') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
            _ => value,
        };
        Some(bare)
    }

    /// Removes every header that could be one, before a request goes on in another's name.
    pub fn strip(headers: &mut HeaderMap) {
        for name in HEADERS {
            headers.remove(name);
        }
        headers.remove(header::AUTHORIZATION);
        headers.remove(header::COOKIE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Option<String> {
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        Credential::of(&headers).map(|credential| credential.0.expose().to_owned())
    }

    #[test]
    fn the_first_spelling_decides() {
        assert_eq!(
            read(&[("authorization", "Bearer b"), ("x-api-key", "a")]).unwrap(),
            "a"
        );
        assert_eq!(read(&[("api-key", "c"), ("access_key", "d")]).unwrap(), "c");
        assert_eq!(
            read(&[("api_key", "e"), ("authorization", "f")]).unwrap(),
            "e"
        );
        assert_eq!(
            read(&[("x-api-key", ""), ("authorization", "f")]).unwrap(),
            ""
        );
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn a_bearer_may_come_without_its_scheme() {
        assert_eq!(read(&[("authorization", "bearer  key")]).unwrap(), "key");
        assert_eq!(read(&[("authorization", "key")]).unwrap(), "key");
    }
}
