//! Paths of documents, with parameters to fill in.

use std::collections::HashSet;

use percent_encoding::{AsciiSet, utf8_percent_encode};
use serde_json::Value;

use super::query::plain;
use super::{IN_SEGMENT, refuse};
use crate::argument::ArgumentFaults;

/// What a path of a document may have as it is (RFC 3986, `pchar`).
const IN_FIXED: &AsciiSet = &IN_SEGMENT
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A path with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate(Vec<Vec<Piece>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Fixed(String),
    Parameter(String),
}

impl PathTemplate {
    /// Reads a template as OpenAPI writes them: `/pots/{id}/lid`. No parameter is there twice.
    pub fn parse(path: &str) -> Option<Self> {
        if path.contains(['?', '#']) {
            return None;
        }
        let segments = path.strip_prefix('/')?.split('/').map(parse_segment);
        let template = Self(segments.collect::<Option<Vec<_>>>()?);
        let mut seen = HashSet::new();
        let is_sound = template.parameters().all(|name| seen.insert(name));
        is_sound.then_some(template)
    }

    /// The names of its parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(name.as_str()),
            Piece::Fixed(_) => None,
        })
    }

    /// The path with `value_of` each parameter: the argument's name and its value. A value fills its
    /// segment and never changes the path: one that is empty, or that makes a dot segment, is refused,
    /// since no encoding keeps all upstreams from resolving it.
    pub(super) fn fill<'a>(
        &self,
        value_of: impl Fn(&str) -> Option<(&'a str, &'a Value)>,
    ) -> Result<String, ArgumentFaults> {
        let mut path = String::new();
        for segment in &self.0 {
            let mut raw = String::new();
            let mut argument = "";
            path.push('/');
            for piece in segment {
                match piece {
                    Piece::Fixed(text) => {
                        raw.push_str(text);
                        path.push_str(text);
                    }
                    Piece::Parameter(parameter) => {
                        let (name, value) =
                            value_of(parameter).ok_or_else(|| refuse(parameter, "is missing"))?;
                        let text = plain(value);
                        if text.is_empty() {
                            return Err(refuse(name, "must not be empty"));
                        }
                        if value.is_null() || value.is_array() || value.is_object() {
                            return Err(refuse(name, "must be a text or a number"));
                        }
                        argument = name;
                        raw.push_str(&text);
                        path.extend(utf8_percent_encode(&text, IN_SEGMENT));
                    }
                }
            }
            // Some servers read what is behind a semicolon as a parameter of the segment.
            let name = raw.split(';').next();
            if matches!(name, Some("." | "..")) {
                return Err(refuse(argument, "must not be `.` or `..`"));
            }
        }
        Ok(path)
    }
}

/// A text of a document's path, with what a URL cannot have in it as escapes. A percent sign that begins none is
/// one of those.
fn fixed(text: &str) -> Piece {
    let mut parts = text.split('%');
    let escaped = |part: &str| utf8_percent_encode(part, IN_FIXED).to_string();
    let mut whole = parts.next().map(escaped).unwrap_or_default();
    for part in parts {
        let digits = part.as_bytes().get(..2);
        let is_escape = digits.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        whole.push_str(if is_escape { "%" } else { "%25" });
        whole.push_str(&escaped(part));
    }
    Piece::Fixed(whole)
}

fn parse_segment(segment: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = segment;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        if name.is_empty() || name.contains('{') || before.contains('}') {
            return None;
        }
        if !before.is_empty() {
            pieces.push(fixed(before));
        }
        pieces.push(Piece::Parameter(name.to_owned()));
        rest = after;
    }
    if rest.contains('}') {
        return None;
    }
    if !rest.is_empty() {
        pieces.push(fixed(rest));
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_are_read_or_refused() {
        assert_eq!(PathTemplate::parse("/"), Some(PathTemplate(vec![vec![]])));
        assert_eq!(
            PathTemplate::parse("/a/{b}.{c}")
                .unwrap()
                .parameters()
                .collect::<Vec<_>>(),
            ["b", "c"]
        );
        for bad in [
            "a",
            "/{",
            "/}",
            "/{}",
            "/{a{b}}",
            "/a}b{c}",
            "/a?b=c",
            "/a#b",
            "/{a}/b/{a}",
        ] {
            assert_eq!(PathTemplate::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_a_url_cannot_have_is_escaped_in_fixed_parts() {
        let path = |template: &str| {
            PathTemplate::parse(template)
                .unwrap()
                .fill(|_| None)
                .unwrap()
        };
        assert_eq!(path("/a b/ü/c:d,(e)%20"), "/a%20b/%C3%BC/c:d,(e)%20");
        assert_eq!(path("/50%/x/%2F%zz%4"), "/50%25/x/%2F%25zz%254");
    }

    #[test]
    fn two_dots_made_of_two_parameters_are_refused() {
        let template = PathTemplate::parse("/{a}{b}").unwrap();
        let dot = json!(".");
        assert!(
            template
                .fill(|name| Some((if name == "a" { "a" } else { "b" }, &dot)))
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn any_template_is_read_or_refused_without_panic(text in ".{0,40}") {
            PathTemplate::parse(&text);
        }
    }
}
