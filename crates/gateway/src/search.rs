//! Finds tools by words: an index over names, titles, tags and descriptions, made once for an exposure,
//! ranked by Okapi BM25 with a weight for each field. The same words always find the same, in one order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::tool::Tool;

/// How much a word counts by where it stands.
const OF_NAME: f64 = 3.0;
const OF_TAG: f64 = 2.0;
const OF_TITLE: f64 = 2.0;
const OF_DESCRIPTION: f64 = 1.0;
/// How soon more of the same word counts no more, and how much a long text takes away.
const SATURATION: f64 = 1.2;
const LENGTH: f64 = 0.5;
/// What the beginning of a word counts for, as part of the whole word.
const OF_BEGINNING: f64 = 0.6;
/// Beginnings of words are looked for from so many characters on, among so many words.
const SHORTEST_BEGINNING: usize = 3;
const MOST_BEGUN: usize = 64;
/// Words of a question that are looked for.
const MOST_WORDS: usize = 16;

/// Words that say nothing about which tool is meant.
const COMMON: [&str; 22] = [
    "a", "an", "and", "are", "as", "at", "by", "do", "for", "from", "how", "i", "in", "is", "it",
    "its", "of", "on", "or", "the", "to", "with",
];

/// The words of tools.
#[derive(Debug)]
pub(crate) struct Index {
    /// Where each word is: the place of a tool, and how much the word counts there.
    words: BTreeMap<String, Vec<(usize, f64)>>,
    lengths: Vec<f64>,
    average: f64,
}

impl Index {
    /// Reads tools; a hit is told by its place among them.
    pub(crate) fn new(tools: &[Arc<Tool>]) -> Self {
        let mut words: BTreeMap<String, Vec<(usize, f64)>> = BTreeMap::new();
        let mut lengths = Vec::with_capacity(tools.len());
        for (place, tool) in tools.iter().enumerate() {
            let mut counts: BTreeMap<String, f64> = BTreeMap::new();
            let named = format!("{} {}", tool.resource, tool.method);
            let fields = [
                (OF_NAME, named.as_str()),
                (OF_TITLE, tool.annotations.title.as_str()),
                (OF_DESCRIPTION, tool.description.as_str()),
            ];
            let tags = tool.tags.iter().map(|tag| (OF_TAG, tag.as_str()));
            for (weight, text) in fields.into_iter().chain(tags) {
                for word in split(text) {
                    *counts.entry(word).or_default() += weight;
                }
            }
            lengths.push(counts.values().sum());
            for (word, count) in counts {
                words.entry(word).or_default().push((place, count));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "no catalogue has 2^52 tools")]
        let average = lengths.iter().sum::<f64>() / lengths.len().max(1) as f64;
        Self {
            words,
            lengths,
            average,
        }
    }

    /// The places of the tools that have some of these words, the best first; equal ones in their order.
    pub(crate) fn find(&self, question: &str) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        let asked: Vec<_> = split(question)
            .filter(|word| seen.insert(word.clone()))
            .take(MOST_WORDS)
            .collect();
        let mut scores: BTreeMap<usize, (f64, u32)> = BTreeMap::new();
        for word in &asked {
            for (place, score) in self.scores_of(word) {
                let (sum, hits) = scores.entry(place).or_default();
                *sum += score;
                *hits += 1;
            }
        }
        let all = f64::from(u32::try_from(asked.len()).unwrap_or(u32::MAX).max(1));
        // Who has all of the words is meant rather than who has one of them often.
        let weighed = scores
            .into_iter()
            .map(|(place, (sum, hits))| (place, sum * (1.0 + f64::from(hits) / all)));
        let mut found: Vec<_> = weighed.collect();
        found.sort_by(|(place, score), (other, others)| {
            others.total_cmp(score).then_with(|| place.cmp(other))
        });
        found.into_iter().map(|(place, _)| place).collect()
    }

    /// What each tool gets for one word of a question.
    fn scores_of(&self, word: &str) -> BTreeMap<usize, f64> {
        let mut scores = BTreeMap::new();
        let mut add = |found: &[(usize, f64)], part: f64| {
            let rarity = self.rarity(found.len());
            for (place, count) in found {
                let score = part * rarity * self.saturated(*place, *count);
                let best: &mut f64 = scores.entry(*place).or_default();
                *best = best.max(score);
            }
        };
        if let Some(found) = self.words.get(word) {
            add(found, 1.0);
        }
        if word.chars().count() >= SHORTEST_BEGINNING {
            let begun = self
                .words
                .range(word.to_owned()..)
                .skip_while(|(whole, _)| *whole == word);
            let begun = begun.take_while(|(whole, _)| whole.starts_with(word));
            for (_, found) in begun.take(MOST_BEGUN) {
                add(found, OF_BEGINNING);
            }
        }
        scores
    }

    #[expect(clippy::cast_precision_loss, reason = "no catalogue has 2^52 tools")]
    fn rarity(&self, having: usize) -> f64 {
        let (all, having) = (self.lengths.len() as f64, having as f64);
        ((all - having + 0.5) / (having + 0.5)).ln_1p()
    }

    fn saturated(&self, place: usize, count: f64) -> f64 {
        let length = self.lengths[place] / self.average;
        count * (SATURATION + 1.0) / (count + SATURATION * (1.0 - LENGTH + LENGTH * length))
    }
}

/// The words of a text, as they are compared: `listAPIKeys` is `list`, `api`, `key`.
fn split(text: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut letters = text.chars().peekable();
    let mut before = ' ';
    while let Some(letter) = letters.next() {
        if letter.is_alphanumeric() {
            let ends_capitals = before.is_uppercase()
                && letter.is_uppercase()
                && letters.peek().is_some_and(|next| next.is_lowercase());
            if (before.is_lowercase() && letter.is_uppercase()) || ends_capitals {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(letter.to_lowercase());
            }
        } else {
            words.push(String::new());
        }
        before = letter;
    }
    let words = words.into_iter().filter(|word| !word.is_empty());
    let words = words.filter(|word| !COMMON.contains(&word.as_str()));
    words.map(|word| singular(&word))
}

/// A word without the ending of a plural.
fn singular(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(stem) if stem.len() > 1 => return format!("{stem}y"),
        _ => {}
    }
    let stem = word.strip_suffix('s');
    let stem = stem.filter(|stem| stem.len() > 2 && !stem.ends_with(['s', 'u', 'i']));
    stem.unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        split(text).collect()
    }

    #[test]
    fn words_are_split_as_people_read_them() {
        assert_eq!(words("listAPIKeys"), ["list", "api", "key"]);
        assert_eq!(
            words("api_keys-auth, the 2nd"),
            ["api", "key", "auth", "2nd"]
        );
        assert_eq!(
            words("Policies; status; access"),
            ["policy", "status", "access"]
        );
        assert_eq!(words("Über-Straße"), ["über", "straße"]);
        assert!(words("of the …").is_empty());
    }
}
