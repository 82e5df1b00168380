//! What is kept of an answer: its beginning, harmless, and nothing that the request had in it alone for
//! the receiver. Many places answer with what they were asked.

use claviger_domain::plain_text;
use http::{HeaderMap, HeaderValue};

/// Characters of an answer that are kept.
const KEPT: usize = 500;
/// Characters of a secret that can be told from other text.
const TELLING: usize = 8;
const MASK: &str = "***";

/// What is to be kept out of an excerpt.
pub(crate) struct Secrets {
    texts: Vec<String>,
}

impl Secrets {
    /// The values of sensitive headers, whole and in parts, as they are and as JSON spells them.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut texts = Vec::new();
        for value in headers.values().filter(|value| value.is_sensitive()) {
            let value = HeaderValue::to_str(value).unwrap_or_default();
            // Such as what stands behind `Bearer`, or each of two signatures.
            let parts = value.split([' ', ',', ';']);
            let parts = parts.filter(|part| part.len() >= TELLING);
            for text in parts.chain([value]) {
                let quoted = serde_json::Value::from(text).to_string();
                let spelled = quoted.trim_matches('"');
                texts.extend([
                    text.to_owned(),
                    spelled.to_owned(),
                    spelled.replace('/', "\\/"),
                ]);
            }
        }
        texts.retain(|text| !text.is_empty());
        // The longest first: else a part of it is masked, and the rest stays.
        texts.sort_by(|one, other| other.len().cmp(&one.len()).then(one.cmp(other)));
        texts.dedup();
        Self { texts }
    }

    /// How many bytes at the end of a text are the beginning of a secret: enough of them to be no chance.
    fn begun_at_the_end_of(&self, text: &str) -> Option<usize> {
        let lengths = self.texts.iter().filter_map(|secret| {
            let longest = secret.len().min(text.len());
            let mut begun = (TELLING..=longest).rev();
            begun.find(|length| {
                let beginning = secret.get(..*length);
                beginning.is_some_and(|beginning| text.ends_with(beginning))
            })
        });
        lengths.max()
    }
}

/// The beginning of a body as text that does nothing and has none of these secrets; nothing of one
/// that has a secret too short to be told from other text.
pub(crate) fn excerpt(body: &[u8], secrets: &Secrets) -> String {
    let mut text = plain_text::clean(&String::from_utf8_lossy(body));
    for secret in &secrets.texts {
        if text.contains(secret.as_str()) {
            if secret.len() < TELLING {
                return String::new();
            }
            text = text.replace(secret.as_str(), MASK);
        }
    }
    // The answer may have been cut in the middle of one.
    if let Some(length) = secrets.begun_at_the_end_of(&text) {
        text.truncate(text.len() - length);
        text.push_str(MASK);
    }
    text.trim().chars().take(KEPT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::READ;

    fn secrets(values: &[&str]) -> Secrets {
        let mut headers = HeaderMap::new();
        for value in values {
            let mut value = HeaderValue::from_str(value).unwrap();
            value.set_sensitive(true);
            headers.append("x-own", value);
        }
        headers.insert("webhook-id", HeaderValue::from_static("evt_is-no-secret"));
        Secrets::of(&headers)
    }

    #[test]
    fn an_excerpt_is_short_and_harmless() {
        let none = secrets(&[]);
        assert_eq!(excerpt(b" \x1b[31mred\x1b[0m\x00 ", &none), "red");
        let wide = "é".repeat(3_000);
        let kept = excerpt(&wide.as_bytes()[..READ - 1], &none);
        assert_eq!(kept.chars().count(), KEPT);
    }

    #[test]
    fn an_excerpt_has_no_secret_of_the_request() {
        let bearer = secrets(&["Bearer canary/of+32=letters", "v1,canary-one v1,canary-two"]);
        for echoed in [
            r#"{"authorization":"Bearer canary/of+32=letters"}"#,
            r#"{"authorization":"canary\/of+32=letters"}"#,
            "authorization: bearer canary/of+32=letters",
            "canary-\x00one, canary-two",
            "v1,canary-one v1,canary-two",
        ] {
            let kept = excerpt(echoed.as_bytes(), &bearer);
            assert!(kept.contains(MASK) && !kept.contains("canary"), "{kept}");
        }
        let quoted = secrets(&[r#"a"canary"\in quotes"#]);
        let echoed = serde_json::json!({"x-own": r#"a"canary"\in quotes"#}).to_string();
        assert!(!excerpt(echoed.as_bytes(), &quoted).contains("canary"));
        let kept = excerpt(b"evt_is-no-secret", &bearer);
        assert_eq!(kept, "evt_is-no-secret");
    }

    #[test]
    fn the_beginning_of_a_secret_is_not_kept_either() {
        let long = format!("Bearer {}", "canary-".repeat(500));
        let secrets = secrets(&[&long]);
        let body = format!("authorization: {long}");
        for end in [24, 40, 1_000, body.len() - 1] {
            let kept = excerpt(&body.as_bytes()[..end], &secrets);
            assert!(kept.ends_with(MASK) && !kept.contains("canary"), "{kept}");
        }
    }

    #[test]
    fn nothing_is_kept_that_has_a_secret_too_short_to_be_masked() {
        let short = secrets(&["1234567"]);
        assert_eq!(excerpt(b"you sent 1234567", &short), "");
        assert_eq!(excerpt(b"you sent something", &short), "you sent something");
    }
}
