//! Compiled catalogues in memory: by content, so that whoever brings the same connector shares one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Catalogue, content};
use crate::connector::{Connector, Faults};
use crate::openapi::Document;

/// How many bytes the kept catalogues may take together, about. Of more, those go that were asked for
/// least recently.
const LARGEST: usize = 256 * 1_024 * 1_024;

/// Catalogues by content, of each content one.
#[derive(Debug)]
pub struct Catalogues {
    kept: Mutex<Kept>,
    largest: usize,
}

#[derive(Debug, Default)]
struct Kept {
    by_content: HashMap<[u8; 32], Entry>,
    bytes: usize,
    /// Counts what is asked for, as the time of a clock that all entries share.
    asked: u64,
}

#[derive(Debug)]
struct Entry {
    catalogue: Arc<Catalogue>,
    last_asked: u64,
}

impl Default for Catalogues {
    fn default() -> Self {
        Self::within(LARGEST)
    }
}

impl Catalogues {
    /// Keeps so many bytes, about; the one that was asked for last is kept in any case.
    pub fn within(largest: usize) -> Self {
        Self {
            kept: Mutex::default(),
            largest,
        }
    }

    /// The catalogue of that content, if it is kept.
    pub fn get(&self, content: &[u8; 32]) -> Option<Arc<Catalogue>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked += 1;
        let asked = kept.asked;
        let entry = kept.by_content.get_mut(content)?;
        entry.last_asked = asked;
        Some(Arc::clone(&entry.catalogue))
    }

    /// Keeps a catalogue, and forgets others where there is no room for all. Gives the one that is kept: of
    /// two that were compiled at once, the first.
    pub fn keep(&self, content: [u8; 32], catalogue: Arc<Catalogue>) -> Arc<Catalogue> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked += 1;
        let asked = kept.asked;
        if let Some(entry) = kept.by_content.get_mut(&content) {
            entry.last_asked = asked;
            return Arc::clone(&entry.catalogue);
        }
        kept.bytes += catalogue.bytes();
        let entry = Entry {
            catalogue: Arc::clone(&catalogue),
            last_asked: asked,
        };
        kept.by_content.insert(content, entry);
        while kept.bytes > self.largest && kept.by_content.len() > 1 {
            let oldest = kept
                .by_content
                .iter()
                .min_by_key(|(_, entry)| entry.last_asked);
            let Some(oldest) = oldest.map(|(content, _)| *content) else {
                break;
            };
            if let Some(gone) = kept.by_content.remove(&oldest) {
                kept.bytes -= gone.catalogue.bytes();
            }
        }
        catalogue
    }

    /// The catalogue of a connector and a document, compiled now if it is not kept.
    pub fn of(&self, connector: &Connector, document: &Document) -> Result<Arc<Catalogue>, Faults> {
        let content = content(connector, document);
        if let Some(catalogue) = self.get(&content) {
            return Ok(catalogue);
        }
        let catalogue = Arc::new(Catalogue::compile(connector, document)?);
        Ok(self.keep(content, catalogue))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(slug: &str) -> (Connector, Document) {
        let file = json!({
            "slug": slug, "label": "Tea", "tool_prefix": "tea", "openapi": "x",
            "base_url": "https://tea.example",
        });
        let document = json!({ "openapi": "3.0.0", "paths": { "/pots": { "get": {} } } });
        (
            Connector::parse(&file.to_string()).unwrap(),
            Document::parse(document.to_string().as_bytes()).unwrap(),
        )
    }

    #[test]
    fn what_was_asked_for_least_recently_goes_first() {
        let of = |catalogues: &Catalogues, slug: &str| {
            let (connector, document) = made(slug);
            catalogues.of(&connector, &document).unwrap();
        };
        let is_kept = |catalogues: &Catalogues, slug: &str| {
            let (connector, document) = made(slug);
            let kept = catalogues.kept.lock().unwrap();
            kept.by_content
                .contains_key(&content(&connector, &document))
        };
        let (connector, document) = made("a");
        let one = Catalogue::compile(&connector, &document).unwrap().bytes();
        assert!(one > 100, "{one}");
        let catalogues = Catalogues::within(one * 2 + one / 2);
        for slug in ["a", "b", "a", "c"] {
            of(&catalogues, slug);
        }
        let kept: Vec<_> = ["a", "b", "c"]
            .map(|slug| is_kept(&catalogues, slug))
            .into();
        assert_eq!(kept, [true, false, true]);

        // One that is larger than all the room is used, and takes it.
        let small = Catalogues::within(1);
        for slug in ["a", "b"] {
            of(&small, slug);
        }
        assert!(!is_kept(&small, "a") && is_kept(&small, "b"));
    }
}
