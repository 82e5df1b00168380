//! What is asked for when connecting, and the check of what was given.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::argument::{ArgumentCheck, ArgumentFaults};
use crate::connector::file::{FieldEntry, FieldKind};

/// The longest value that is taken, in characters; keys in PEM are among them.
const LONGEST: usize = 8_192;

/// The fields of a form, with the check of values for them.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    entries: Vec<FieldEntry>,
    check: Option<Arc<ArgumentCheck>>,
}

impl Fields {
    /// Fields of a file; the fault is that of a pattern that is none.
    pub(super) fn new(entries: Vec<FieldEntry>) -> Result<Self, String> {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for entry in &entries {
            let mut schema = json!({ "type": "string", "minLength": 1, "maxLength": LONGEST });
            if let Some(pattern) = &entry.pattern {
                schema["pattern"] = pattern.value.as_str().into();
            }
            if entry.required {
                required.push(entry.name.value.as_str());
            }
            properties.insert(entry.name.value.clone(), schema);
        }
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        let check = ArgumentCheck::new(&schema)?;
        Ok(Self {
            entries,
            check: Some(Arc::new(check)),
        })
    }

    /// The fields, in the file's order.
    pub fn entries(&self) -> &[FieldEntry] {
        &self.entries
    }

    /// Whether there is a field of that name.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Whether a field holds the name of a whole host.
    pub fn is_host(&self, name: &str) -> bool {
        self.find(name)
            .is_some_and(|entry| entry.kind == Some(FieldKind::Host))
    }

    /// Checks what was given: known names, required ones present, patterns met. Faults name fields and
    /// never quote values.
    pub fn check(&self, given: &Map<String, Value>) -> Result<(), ArgumentFaults> {
        match &self.check {
            Some(check) => check.check(given),
            None if given.is_empty() => Ok(()),
            None => Err(ArgumentFaults(vec!["nothing is asked for here".to_owned()])),
        }
    }

    fn find(&self, name: &str) -> Option<&FieldEntry> {
        self.entries.iter().find(|entry| entry.name.value == name)
    }
}
