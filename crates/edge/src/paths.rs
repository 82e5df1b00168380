//! Rules for paths, applied before routing.
//!
//! Clients put what an end user typed into a path, and many normalise it first: a path with a dot
//! segment or a backslash never reaches a route.

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;

/// Where paths are passed on as they are.
const RAW: &str = "/custom/";

/// The request target as it is routed: repeated slashes collapsed, none at the end; `None` when
/// no route may see it.
pub(crate) fn normalize(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if is_deceptive(path) {
        return None;
    }
    if path.starts_with(RAW) {
        return Some(uri.clone());
    }
    let mut clean = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        clean.push('/');
        clean.push_str(segment);
    }
    if clean.is_empty() {
        clean.push('/');
    }
    if clean == path {
        return Some(uri.clone());
    }
    if let Some(query) = uri.query() {
        clean.push('?');
        clean.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(clean).ok()?);
    Uri::from_parts(parts).ok()
}

fn is_deceptive(path: &str) -> bool {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    decoded.contains('\\')
        || decoded.chars().any(char::is_control)
        || decoded.split('/').any(is_dots)
}

/// Whether a segment leads elsewhere, also for servers that read what is behind a semicolon as a parameter of it,
/// as in `..;/`.
fn is_dots(segment: &str) -> bool {
    let name = segment.split(';').next();
    matches!(name, Some("." | ".."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normalized(text: &str) -> Option<String> {
        normalize(&text.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn slashes_are_collapsed_and_none_stays_at_the_end() {
        assert_eq!(normalized("/api-keys/?a=b").unwrap(), "/api-keys?a=b");
        assert_eq!(normalized("//api-keys//x//").unwrap(), "/api-keys/x");
        assert_eq!(normalized("/").unwrap(), "/");
        assert_eq!(normalized("/custom/a//b/").unwrap(), "/custom/a//b/");
    }

    #[test]
    fn dot_segments_and_backslashes_reach_no_route() {
        for path in [
            "/api-keys/auth/..",
            "/api-keys/auth/%2e%2e/x",
            "/api-keys/auth/.%2E%2fverify",
            "/api-keys/auth/..%5cx",
            "/api-keys/./x",
            "/custom/%2e%2e/x",
            "/custom/..;/x",
            "/custom/a/%2e.%3bv=1/x",
            "/a/%00",
        ] {
            assert_eq!(normalized(path), None, "{path}");
        }
        assert!(normalized("/api-keys/auth/a..b").is_some());
        assert!(normalized("/custom/a;v=1/..b;c").is_some());
        assert!(normalized("/api-keys/auth/%252e%252e").is_some());
    }

    proptest! {
        #[test]
        fn what_is_normalized_stays_as_it_is(path in "(/[a-z.%0-9]{0,4}){1,5}") {
            if let Ok(uri) = path.parse::<Uri>()
                && let Some(once) = normalize(&uri)
            {
                prop_assert_eq!(normalize(&once), Some(once.clone()));
            }
        }
    }
}
