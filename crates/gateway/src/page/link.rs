//! `Link` headers (RFC 8288). Of a link only the query is taken: the next page is asked for where the
//! first one was, wherever the link leads.

use http::HeaderMap;
use http::header::LINK;

use crate::request::parameters_of;

/// The query of the link with that relation.
pub(super) fn query_of(headers: &HeaderMap, relation: &str) -> Option<String> {
    let texts = headers
        .get_all(LINK)
        .iter()
        .filter_map(|value| value.to_str().ok());
    texts.into_iter().find_map(|text| query_in(text, relation))
}

fn query_in(text: &str, relation: &str) -> Option<String> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        let (url, after) = after.split_once('>')?;
        // A comma is in a parameter only in quotes, and what follows is told apart by its `<`.
        let (parameters, next) = match after.split_once('<') {
            Some((parameters, _)) => (parameters, &after[parameters.len()..]),
            None => (after, ""),
        };
        if has_relation(parameters, relation) {
            let (_, query) = url.split_once('?')?;
            let query = query.split('#').next().unwrap_or_default();
            return (!query.is_empty()).then(|| query.to_owned());
        }
        rest = next;
    }
    None
}

fn has_relation(parameters: &str, relation: &str) -> bool {
    parameters.split(';').any(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        let value = value
            .trim()
            .trim_end_matches(',')
            .trim_end()
            .trim_matches('"');
        name.trim().eq_ignore_ascii_case("rel")
            && value
                .split_ascii_whitespace()
                .any(|it| it.eq_ignore_ascii_case(relation))
    })
}

/// Puts the parameters of a link in place of those of the same names.
pub(super) fn follow(query: &str, parameters: &mut Vec<(String, String)>) {
    let linked = parameters_of(query);
    parameters.retain(|(name, _)| linked.iter().all(|(known, _)| known != name));
    parameters.extend(linked);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_link_of_a_relation_is_found() {
        let text = r#"<https://x.test/a?page=1&q=a,b>; rel="prev first", <https://y.test/b?page=3#f>; title="a, b"; rel=next"#;
        assert_eq!(query_in(text, "next").as_deref(), Some("page=3"));
        assert_eq!(query_in(text, "prev").as_deref(), Some("page=1&q=a,b"));
        assert_eq!(query_in(text, "last"), None);
        assert_eq!(query_in("<https://x.test/a>; rel=next", "next"), None);
    }

    #[test]
    fn its_parameters_replace_those_of_the_same_names() {
        let mut parameters = vec![("page".into(), "1".into()), ("q".into(), "a b".into())];
        follow("page=2&after=a%20b+c&x", &mut parameters);
        let expected = [("q", "a b"), ("page", "2"), ("after", "a b c"), ("x", "")];
        let expected: Vec<_> = expected
            .iter()
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .collect();
        assert_eq!(parameters, expected);
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_panic(text in "[<>;,=?# a-z\"]{0,60}") {
            query_in(&text, "next");
        }
    }
}
