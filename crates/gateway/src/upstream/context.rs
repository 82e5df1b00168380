//! What was entered for a connected account beside its credentials, as templates ask for it.

use std::sync::OnceLock;

use serde_json::{Map, Value};

/// What was entered that is no secret: JSON, which is read when a template asks for it.
pub(crate) struct Context<'a> {
    text: &'a str,
    read: OnceLock<Map<String, Value>>,
}

impl<'a> Context<'a> {
    pub(super) const fn of(text: &'a str) -> Self {
        Self {
            text,
            read: OnceLock::new(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let read = || serde_json::from_str(self.text).unwrap_or_default();
        self.read.get_or_init(read).get(name)
    }
}
