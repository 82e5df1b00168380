//! Property names that every client accepts, and the way back to those of the document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

const LONGEST: usize = 64;

/// Which properties of a schema were renamed, at every depth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renames {
    names: BTreeMap<String, String>,
    inside: BTreeMap<String, Renames>,
    items: Option<Box<Renames>>,
}

impl Renames {
    /// Whether nothing was renamed.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.inside.is_empty() && self.items.is_none()
    }

    pub(super) fn note(&mut self, safe: &str, original: &str, inside: Self) {
        if safe != original {
            self.names.insert(safe.to_owned(), original.to_owned());
        }
        if !inside.is_empty() {
            self.inside.insert(safe.to_owned(), inside);
        }
    }

    pub(super) fn of_items(items: Self) -> Self {
        let items = (!items.is_empty()).then(|| Box::new(items));
        Self {
            items,
            ..Self::default()
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.names.extend(other.names);
        self.inside.extend(other.inside);
        self.items = self.items.take().or(other.items);
    }

    /// The name that a property of the document has in the strict schema.
    pub fn safe<'a>(&'a self, original: &'a str) -> &'a str {
        let renamed = self.names.iter().find(|(_, known)| *known == original);
        renamed.map_or(original, |(safe, _)| safe.as_str())
    }

    /// The document's name of a property of the strict schema.
    pub fn original<'a>(&'a self, safe: &'a str) -> &'a str {
        self.names.get(safe).map_or(safe, String::as_str)
    }

    /// What was renamed inside one property.
    #[must_use]
    pub fn inside(&self, safe: &str) -> Self {
        self.inside.get(safe).cloned().unwrap_or_default()
    }

    /// A value with the document's names in place of the safe ones.
    pub fn restore(&self, value: Value) -> Value {
        if self.is_empty() {
            return value;
        }
        match value {
            Value::Object(members) => Value::Object(
                members
                    .into_iter()
                    .map(|(name, value)| {
                        let value = match self.inside.get(&name) {
                            Some(inside) => inside.restore(value),
                            None => value,
                        };
                        (self.original(&name).to_owned(), value)
                    })
                    .collect(),
            ),
            Value::Array(items) => match &self.items {
                Some(inside) => {
                    Value::Array(items.into_iter().map(|item| inside.restore(item)).collect())
                }
                None => Value::Array(items),
            },
            other => other,
        }
    }
}

/// A name of at most 64 letters, digits, `_`, `.` and `-` that is not taken; the given one if it is so.
pub(crate) fn safe_name(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let mut safe: String = name
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    if safe.is_empty() {
        safe.push('_');
    }
    if safe.len() > LONGEST {
        safe = shortened(&safe, name, LONGEST);
    }
    let mut number = 2;
    let mut candidate = safe.clone();
    while is_taken(&candidate) {
        let tail = format!("_{number}");
        candidate = format!("{}{tail}", &safe[..safe.len().min(LONGEST - tail.len())]);
        number += 1;
    }
    candidate
}

/// The beginning of an ASCII text with a tail that depends on all of `whole`, so that it stays the same
/// from one day to the next and differs where the ends differ.
pub(crate) fn shortened(ascii: &str, whole: &str, longest: usize) -> String {
    let digest = Sha256::digest(whole.as_bytes());
    let mut tail = String::from("_");
    for byte in &digest[..4] {
        write!(tail, "{byte:02x}").expect("writing to a string cannot fail");
    }
    format!("{}{tail}", &ascii[..longest - tail.len()])
}

/// A name as words: `customAccountId` is `Custom account id`.
pub(crate) fn describe_name(name: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for piece in name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|piece| !piece.is_empty())
    {
        let mut word = String::new();
        let mut previous_lower = false;
        for character in piece.chars() {
            if character.is_uppercase() && previous_lower {
                words.push(std::mem::take(&mut word));
            }
            previous_lower = !character.is_uppercase();
            word.push(character);
        }
        words.push(word);
    }
    // An abbreviation keeps its capitals: `clientIP` is `Client IP`.
    let is_abbreviation = |word: &str| word.len() > 1 && !word.chars().any(char::is_lowercase);
    let words: Vec<String> = words
        .into_iter()
        .map(|word| {
            if is_abbreviation(&word) {
                word
            } else {
                word.to_lowercase()
            }
        })
        .collect();
    let words = words.join(" ");
    let mut characters = words.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => "A value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn names_become_words() {
        assert_eq!(describe_name("customAccountId"), "Custom account id");
        assert_eq!(describe_name("clientIP"), "Client IP");
        assert_eq!(describe_name("refresh_token"), "Refresh token");
        assert_eq!(describe_name("__"), "A value");
    }

    #[test]
    fn renamed_properties_go_back_at_every_depth() {
        let mut inner = Renames::default();
        inner.note("a_b", "a b", Renames::default());
        let mut outer = Renames::default();
        outer.note("list", "list", Renames::of_items(inner));
        let restored = outer.restore(json!({ "list": [{ "a_b": 1 }], "other": { "a_b": 2 } }));
        assert_eq!(
            restored,
            json!({ "list": [{ "a b": 1 }], "other": { "a_b": 2 } })
        );
    }

    proptest! {
        #[test]
        fn a_safe_name_is_accepted_everywhere_and_stable(name in ".{0,200}") {
            let safe = safe_name(&name, |_| false);
            prop_assert!((1..=64).contains(&safe.len()));
            prop_assert!(safe.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)));
            prop_assert_eq!(&safe, &safe_name(&name, |_| false));
            let other = safe_name(&name, |taken| taken == safe);
            prop_assert_ne!(&safe, &other);
            prop_assert!(other.len() <= 64);
        }
    }
}
