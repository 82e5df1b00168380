//! Secrets of a result, taken out of it.

use std::collections::BTreeSet;

use claviger_domain::random::Random;
use claviger_domain::time::Timestamp;
use serde_json::{Value, json};

use super::{Bound, Content, HandleKey, PATH, SECONDS};
use crate::mcp::ToolResult;
use crate::tool::Tool;

/// What stands for a secret that nobody gets.
const MASK: &str = "***";

/// With what secrets of a result are hidden.
pub(crate) struct Hiding<'a> {
    /// The tool that was called.
    pub(crate) tool: &'a Tool,
    pub(crate) key: &'a HandleKey,
    /// For whom handles are made; without an MCP server there are none.
    pub(crate) bound: Option<Bound<'a>>,
    /// Whether all secrets are sealed, and not only those that always are.
    pub(crate) seals_all: bool,
    pub(crate) public_url: &'a str,
    pub(crate) now: Timestamp,
    pub(crate) random: &'a dyn Random,
}

impl Hiding<'_> {
    /// Whether anything is hidden.
    pub(crate) fn hides(&self) -> bool {
        let Tool {
            masked_fields,
            sealed_fields,
            secret_fields,
            ..
        } = self.tool;
        let of_choice = self.seals_all && !secret_fields.is_empty();
        of_choice || !masked_fields.is_empty() || !sealed_fields.is_empty()
    }

    /// What a call came to with its secrets replaced by handles, or by a mask; in what went wrong, by a mask
    /// always.
    pub(crate) fn hide(&self, outcome: ToolResult) -> ToolResult {
        let masked = &self.tool.masked_fields;
        let of_choice = self.tool.secret_fields.iter().filter(|_| self.seals_all);
        // Each once: a handle must not be taken for a secret.
        let sealed: BTreeSet<_> = self.tool.sealed_fields.iter().chain(of_choice).collect();
        if masked.is_empty() && sealed.is_empty() {
            return outcome;
        }
        let mask = &mut |value: &mut Value| *value = MASK.into();
        let mut outcome = match outcome {
            Ok(outcome) => outcome,
            Err(mut failure) => {
                let raw = failure.raw_response.get_or_insert_default();
                let all = masked.iter().chain(sealed);
                all.for_each(|field| at(raw, field, mask));
                failure.raw_response.take_if(|raw| raw.is_null());
                return Err(failure);
            }
        };
        let Some(result) = outcome.envelope.get_mut("result") else {
            return Ok(outcome);
        };
        // What is neither JSON nor text has its secrets nobody knows where.
        if outcome.passed.take().is_some() {
            *result = MASK.into();
        }
        for field in masked {
            at(result, field, mask);
        }
        for field in sealed {
            at(result, field, &mut |value| self.seal(field, value));
        }
        Ok(outcome)
    }

    fn seal(&self, field: &str, value: &mut Value) {
        let (Some(bound), Value::String(secret)) = (self.bound, &*value) else {
            *value = MASK.into();
            return;
        };
        let expires_at = self.now.plus_seconds(SECONDS);
        let content = Content {
            resource: self.tool.resource.clone(),
            method: self.tool.method.clone(),
            field: field.to_owned(),
            expires_at: expires_at.as_micros(),
            secret: secret.clone(),
        };
        let handle = self.key.seal(bound, &content, self.random);
        let reveal_url = format!("{}{PATH}?token={handle}", self.public_url);
        *value = json!({ "sealed": handle, "reveal_url": reveal_url, "expires_at": expires_at });
    }
}

/// Does something to the value of a member, `a.b` being one of a member, in an object or in each of a list.
/// What is not there or null is no secret; what stands in the place of an object may be one itself.
fn at(value: &mut Value, field: &str, act: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Array(items) => {
            for item in items {
                at(item, field, act);
            }
        }
        Value::Object(members) => {
            if let Some((first, rest)) = field.split_once('.') {
                if let Some(inside) = members.get_mut(first) {
                    at(inside, rest, act);
                }
            } else if let Some(secret) = members.get_mut(field)
                && !secret.is_null()
                && *secret != MASK
            {
                act(secret);
            }
        }
        Value::Null => {}
        instead => {
            if *instead != MASK {
                act(instead);
            }
        }
    }
}
