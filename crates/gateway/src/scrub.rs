//! Keeps credentials out of what an upstream answers: many places answer with what they were asked.

mod spelling;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Number, Value};

use self::spelling::{has_escapes, spellings, unescaped};
use crate::answer_json;

/// Characters of a secret that can be told from other text.
pub(crate) const TELLING: usize = 8;
/// A number that is no count of something by chance.
const LARGE: f64 = 1e6;
/// How often escapes are read that stand within others.
const DEEPEST: usize = 3;
const MASK: &str = "***";

/// The credentials of a call, in the spellings in which they come back.
#[derive(Clone, Default)]
pub(crate) struct Scrub {
    spelled: Arc<Spelled>,
    /// How many of the texts are looked for.
    looked_for: usize,
}

#[derive(Default)]
struct Spelled {
    /// The longest first: else a part of one is masked, and the rest stays.
    texts: Vec<String>,
    /// How many of them can be told from other text.
    telling: usize,
    /// Those that may come back as a number, too; with it, where that is large enough to be told from others.
    numbers: Vec<(String, Option<f64>)>,
}

impl Drop for Spelled {
    fn drop(&mut self) {
        self.texts.zeroize();
        for (text, _) in &mut self.numbers {
            text.zeroize();
        }
    }
}

/// The credentials of a connected account's calls, which are spelled out once while they are the same.
#[derive(Default)]
pub(crate) struct KeptScrub(Mutex<Option<(Vec<SecretString>, Scrub)>>);

impl KeptScrub {
    /// Those secrets with all their spellings.
    pub(crate) fn of(&self, secrets: &[&str]) -> Scrub {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((same, scrub)) = &*kept
            && same
                .iter()
                .map(ExposeSecret::expose_secret)
                .eq(secrets.iter().copied())
        {
            return scrub.clone();
        }
        let scrub = Scrub::of(secrets.iter().copied());
        let secrets = secrets.iter().map(|secret| SecretString::from(*secret));
        *kept = Some((secrets.collect(), scrub.clone()));
        scrub
    }
}

impl std::fmt::Debug for Scrub {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[secrets]")
    }
}

impl Scrub {
    /// Those secrets with all their spellings.
    pub(crate) fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let secrets = secrets.into_iter().filter(|secret| !secret.is_empty());
        let mut texts: Vec<String> = secrets.flat_map(looked_for).collect();
        texts.sort_by(|one, other| other.len().cmp(&one.len()).then(one.cmp(other)));
        texts.dedup();
        let numbers = texts.iter().filter_map(|text| {
            let number = text.parse::<f64>().ok().filter(|it| it.is_finite())?;
            let is_telling = number.abs() >= LARGE;
            (text.len() >= TELLING).then(|| (text.clone(), is_telling.then_some(number)))
        });
        let spelled = Spelled {
            telling: texts.partition_point(|text| text.len() >= TELLING),
            numbers: numbers.collect(),
            texts,
        };
        Self {
            looked_for: spelled.texts.len(),
            spelled: Arc::new(spelled),
        }
    }

    fn texts(&self) -> &[String] {
        &self.spelled.texts[..self.looked_for]
    }

    /// A text without them; one that has a secret too short to be told from other text is masked whole, and
    /// so is one that has a secret behind escapes.
    pub(crate) fn text(&self, text: &str) -> Option<String> {
        let masked = self.literally(text);
        if self.is_behind_escapes(masked.as_deref().unwrap_or(text)) {
            return Some(MASK.to_owned());
        }
        masked
    }

    fn literally(&self, text: &str) -> Option<String> {
        let mut masked: Option<String> = None;
        for secret in self.texts() {
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

    fn is_behind_escapes(&self, text: &str) -> bool {
        if self.texts().is_empty() {
            return false;
        }
        let mut read = unescaped(text);
        for _ in 0..DEEPEST {
            let Some(text) = read else {
                return false;
            };
            if self.has(&text) {
                return true;
            }
            read = unescaped(&text);
        }
        false
    }

    fn has(&self, text: &str) -> bool {
        let mut texts = self.texts().iter();
        texts.any(|secret| text.contains(secret.as_str()))
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
                if self.is_number(number) {
                    *value = MASK.into();
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// The same of a value that was read from that JSON. Of most answers one look at the whole text is enough:
    /// what stands nowhere in it, where it has no escapes, stands in none of its texts.
    pub(crate) fn value_of(&self, value: &mut Value, json: &[u8]) {
        let is_clear = self.spelled.numbers.is_empty()
            && !has_escapes(json)
            && std::str::from_utf8(json).is_ok_and(|json| !self.has(json));
        if !is_clear {
            self.value(value);
        }
    }

    /// Whether a number is one of them, however it is written. Most calls have none that could be.
    fn is_number(&self, number: &Number) -> bool {
        if self.spelled.numbers.is_empty() {
            return false;
        }
        let (text, value) = (number.to_string(), number.as_f64());
        let mut numbers = self.spelled.numbers.iter();
        numbers.any(|(secret, same)| {
            text.contains(secret.as_str()) || same.is_some() && value == *same
        })
    }

    /// The same without those that are too short to be told from other text: for results, of which
    /// nothing may be lost by chance.
    pub(crate) fn telling(mut self) -> Self {
        self.looked_for = self.spelled.telling;
        self
    }

    /// Whether a parameter of a URL has one of them, however that is escaped.
    pub(crate) fn is_told_by(&self, pair: &str) -> bool {
        self.text(pair).is_some() || self.text(&pair.replace('+', " ")).is_some()
    }

    /// Whether bytes have one of them.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        self.text(&String::from_utf8_lossy(bytes)).is_some() || self.is_between_zeros(bytes)
    }

    /// Bytes without them. JSON stays JSON, and everything else is masked whole where a secret stands in it
    /// behind escapes.
    pub(crate) fn bytes(&self, bytes: Bytes) -> Bytes {
        if self.texts().is_empty() {
            return bytes;
        }
        if self.is_between_zeros(&bytes) {
            return MASK.into();
        }
        let text = String::from_utf8_lossy(&bytes);
        let masked = self.literally(&text);
        if self.is_behind_escapes(masked.as_deref().unwrap_or(&text)) {
            return match answer_json::parse(&bytes) {
                Ok(mut value) => {
                    self.value(&mut value);
                    value.to_string().into()
                }
                Err(_) => MASK.into(),
            };
        }
        masked.map_or_else(|| bytes.clone(), Bytes::from)
    }

    /// Whether bytes have one of them in letters of two or four bytes each.
    fn is_between_zeros(&self, bytes: &[u8]) -> bool {
        if self.texts().is_empty() || !bytes.contains(&0) {
            return false;
        }
        let letters: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
        self.has(&String::from_utf8_lossy(&letters))
    }
}

/// The spellings of a secret, and how it is read where what looks like escapes in it is read with others.
fn looked_for(secret: &str) -> Vec<String> {
    let mut texts = spellings(secret);
    let mut read = unescaped(secret);
    for _ in 0..DEEPEST {
        let Some(text) = read.filter(|text| text.len() >= TELLING) else {
            break;
        };
        read = unescaped(&text);
        texts.push(text);
    }
    texts
}

#[cfg(test)]
mod tests;
