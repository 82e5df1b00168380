//! Keeps credentials out of what an upstream answers: many places answer with what they were asked.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use crate::request::IN_SEGMENT;

/// Characters of a secret that can be told from other text.
const TELLING: usize = 8;
const MASK: &str = "***";

/// The credentials of a call, in the spellings in which they come back.
#[derive(Default)]
pub(crate) struct Scrub {
    texts: Vec<String>,
}

impl std::fmt::Debug for Scrub {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[secrets]")
    }
}

impl Scrub {
    /// Adds a secret with all its spellings.
    pub(crate) fn add(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        let quoted = Value::from(secret).to_string();
        let quoted = quoted.trim_matches('"');
        let mut spelled = vec![
            secret.to_owned(),
            quoted.to_owned(),
            quoted.replace('/', "\\/"),
            markup(secret),
        ];
        for set in [NON_ALPHANUMERIC, IN_SEGMENT] {
            let percent = utf8_percent_encode(secret, set).to_string();
            spelled.extend([percent.replace("%20", "+"), lower(&percent), percent]);
        }
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            spelled.push(engine.encode(secret));
        }
        let mut hex = String::new();
        for byte in secret.bytes() {
            write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
        }
        spelled.extend([hex.to_uppercase(), hex]);
        self.texts.extend(spelled);
        // The longest first: else a part of it is masked, and the rest stays.
        self.texts
            .sort_by(|one, other| other.len().cmp(&one.len()).then(one.cmp(other)));
        self.texts.dedup();
    }

    /// A text without them; one that has a secret too short to be told from other text is masked whole.
    pub(crate) fn text(&self, text: &str) -> Option<String> {
        let mut masked: Option<String> = None;
        for secret in &self.texts {
            let at = masked.as_deref().unwrap_or(text);
            if at.contains(secret.as_str()) {
                if secret.len() < TELLING {
                    return Some(MASK.to_owned());
                }
                masked = Some(at.replace(secret.as_str(), MASK));
            }
        }
        masked
    }

    /// The same of all texts in a value, the names of members too.
    pub(crate) fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(masked) = self.text(text) {
                    *text = masked;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => {
                members.values_mut().for_each(|member| self.value(member));
                if members.keys().any(|name| self.text(name).is_some()) {
                    let all = std::mem::take(members).into_iter();
                    members
                        .extend(all.map(|(name, value)| (self.text(&name).unwrap_or(name), value)));
                }
            }
            Value::Number(number) => {
                if self
                    .text(&number.to_string())
                    .is_some_and(|_| number.to_string().len() >= TELLING)
                {
                    *value = MASK.into();
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// The same without those that are too short to be told from other text: for results, of which
    /// nothing may be lost by chance.
    pub(crate) fn telling(mut self) -> Self {
        self.texts.retain(|text| text.len() >= TELLING);
        self
    }

    /// Whether a parameter of a URL has one of them, however that is escaped.
    pub(crate) fn is_told_by(&self, pair: &str) -> bool {
        let decoded = percent_decode_str(pair).decode_utf8_lossy();
        [pair, &decoded, &decoded.replace('+', " ")]
            .iter()
            .any(|text| self.text(text).is_some())
    }

    /// Whether bytes have one of them.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        self.texts
            .iter()
            .any(|secret| text.contains(secret.as_str()))
    }

    /// Bytes without them.
    pub(crate) fn bytes(&self, bytes: bytes::Bytes) -> bytes::Bytes {
        if !self.is_in(&bytes) {
            return bytes;
        }
        let text = String::from_utf8_lossy(&bytes);
        self.text(&text).unwrap_or_default().into()
    }
}

/// Small letters in the escapes, which some write.
fn lower(percent: &str) -> String {
    let mut left = 0;
    let spelled = percent.chars().map(|character| {
        if character == '%' {
            left = 2;
            return character;
        }
        if left > 0 {
            left -= 1;
            return character.to_ascii_lowercase();
        }
        character
    });
    spelled.collect()
}

/// As a page writes it.
fn markup(secret: &str) -> String {
    let spelled = secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    spelled.replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn scrub(secrets: &[&str]) -> Scrub {
        let mut scrub = Scrub::default();
        for secret in secrets {
            scrub.add(secret);
        }
        scrub
    }

    #[test]
    fn a_secret_is_masked_however_it_is_spelled() {
        let secret = "canary/of \"32\"+<x>";
        let scrub = scrub(&[secret]);
        let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        for spelled in [
            secret.to_owned(),
            json!(secret).to_string(),
            json!(secret).to_string().replace('/', "\\/"),
            percent.replace("%20", "+"),
            lower(&percent),
            percent,
            STANDARD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
            "canary/of &quot;32&quot;+&lt;x&gt;".to_owned(),
        ] {
            let told = scrub.text(&format!("you sent {spelled}!")).unwrap();
            let expected = ["you sent ***!", "you sent \"***\"!"];
            assert!(expected.contains(&told.as_str()), "{spelled}: {told}");
        }
    }

    #[test]
    fn names_of_members_and_numbers_are_masked_too() {
        let mut value =
            json!({ "canary-one": [{ "a": "x canary-one" }], "n": 1_234_567_890, "m": 12 });
        scrub(&["canary-one", "1234567890"]).value(&mut value);
        assert_eq!(
            value,
            json!({ "***": [{ "a": "x ***" }], "n": "***", "m": 12 })
        );
    }

    #[test]
    fn what_has_a_short_secret_is_masked_whole_but_results_are_not() {
        assert_eq!(scrub(&["abc"]).text("an abc b").as_deref(), Some("***"));
        assert_eq!(scrub(&["abc"]).telling().text("an abc b"), None);
    }

    proptest! {
        #[test]
        fn no_text_keeps_a_secret(secret in "[!-~]{8,40}", before in ".{0,20}", after in ".{0,20}") {
            let text = format!("{before}{secret}{after}");
            let masked = scrub(&[&secret]).text(&text).unwrap();
            prop_assert!(!masked.contains(&secret) || MASK.contains(&secret));
        }
    }
}
