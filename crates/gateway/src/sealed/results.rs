//! Secrets of a result, taken out of it.

use std::collections::BTreeSet;

use claviger_domain::random::Random;
use claviger_domain::time::Timestamp;
use serde_json::{Map, Value, json};

use super::{Bound, Content, HandleKey, PATH, SECONDS};
use crate::tool::Tool;

/// What stands for a secret that nobody gets.
const MASK: &str = "***";

/// With what secrets of a result are hidden.
pub(crate) struct Hiding<'a> {
    pub(crate) key: &'a HandleKey,
    /// For whom handles are made; without an MCP server there are none.
    pub(crate) bound: Option<Bound<'a>>,
    /// Whether all secrets are sealed, and not only those that always are.
    pub(crate) seals_all: bool,
    pub(crate) public_url: &'a str,
    pub(crate) now: Timestamp,
    pub(crate) random: &'a dyn Random,
}

/// Replaces the secrets of an envelope by handles, or by a mask.
pub(crate) fn hide(envelope: &mut Map<String, Value>, tool: &Tool, hiding: &Hiding<'_>) {
    let Some(result) = envelope.get_mut("result") else {
        return;
    };
    for field in &tool.masked_fields {
        at(result, field, &mut |value| *value = MASK.into());
    }
    let of_choice = tool.secret_fields.iter().filter(|_| hiding.seals_all);
    // Each once: a handle must not be taken for a secret.
    let sealed: BTreeSet<_> = tool.sealed_fields.iter().chain(of_choice).collect();
    for field in sealed {
        at(result, field, &mut |value| hiding.seal(tool, field, value));
    }
}

impl Hiding<'_> {
    fn seal(&self, tool: &Tool, field: &str, value: &mut Value) {
        let (Some(bound), Value::String(secret)) = (self.bound, &*value) else {
            *value = MASK.into();
            return;
        };
        let expires_at = self.now.plus_seconds(SECONDS);
        let content = Content {
            resource: tool.resource.clone(),
            method: tool.method.clone(),
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
/// What is not there or null is no secret.
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
        _ => {}
    }
}
