//! Handles in the arguments of a call: opened where the connector says so, refused anywhere else.

use claviger_domain::key_string::PlainKey;
use claviger_domain::plain_text;
use claviger_domain::time::Timestamp;
use http::StatusCode;
use serde_json::{Map, Value};

use super::{Bound, HandleKey, PREFIX, Secret};
use crate::failure::Failure;
use crate::mcp::ToolResult;
use crate::scrub::Scrub;
use crate::tool::Tool;

/// The secrets that a call was made with: none of them is in what comes of it.
#[derive(Default)]
pub(crate) struct Opened(Vec<PlainKey>);

impl Opened {
    /// The arguments with their handles opened. Without a place to open them for, as in a dry run or
    /// outside of an MCP server, none is.
    pub(crate) fn open(
        &mut self,
        tool: &Tool,
        arguments: Map<String, Value>,
        place: Option<(&HandleKey, Bound<'_>, Timestamp)>,
    ) -> Result<Map<String, Value>, Box<Failure>> {
        let mut read = Map::new();
        for (name, value) in arguments {
            let value = match value {
                Value::String(handle)
                    if handle.starts_with(PREFIX) && tool.accepts_sealed.contains(&name) =>
                {
                    let (key, bound, now) = place.ok_or_else(|| not_here(&name))?;
                    let secret = key.open(bound, &handle, now);
                    let secret = secret.filter(|secret| is_for(secret, tool, &name));
                    let secret = secret.ok_or_else(not_good)?;
                    let plain = secret.plain.expose().to_owned();
                    self.0.push(secret.plain);
                    Value::String(plain)
                }
                value if name.contains(PREFIX) || mentions(&value) => return Err(not_here(&name)),
                value => value,
            };
            read.insert(name, value);
        }
        Ok(read)
    }

    /// What a call came to, without the secrets that it was made with, wherever an upstream repeats them.
    pub(crate) fn scrubbed(&self, outcome: ToolResult) -> ToolResult {
        if self.0.is_empty() {
            return outcome;
        }
        let scrub = Scrub::of(self.0.iter().map(PlainKey::expose));
        match outcome {
            Ok(mut outcome) => {
                for value in outcome.envelope.values_mut() {
                    scrub.value(value);
                }
                if let Some(passed) = &mut outcome.passed {
                    passed.body = scrub.bytes(std::mem::take(&mut passed.body));
                }
                Ok(outcome)
            }
            Err(mut failure) => {
                if let Some(masked) = scrub.text(&failure.message) {
                    failure.message = masked;
                }
                if let Some(raw) = &mut failure.raw_response {
                    scrub.value(raw);
                }
                Err(failure)
            }
        }
    }
}

/// Whether a secret belongs in an argument: it was a member of that name, or of the same resource.
fn is_for(secret: &Secret, tool: &Tool, argument: &str) -> bool {
    let mut steps = secret.field.split('.');
    steps.next() == Some(tool.resource.as_str()) || steps.next_back() == Some(argument)
}

/// Whether there is a handle in it, as a whole or as a part, or as a name.
fn mentions(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(PREFIX),
        Value::Array(items) => items.iter().any(mentions),
        Value::Object(members) => {
            let mut members = members.iter();
            members.any(|(name, value)| name.contains(PREFIX) || mentions(value))
        }
        _ => false,
    }
}

fn not_here(argument: &str) -> Box<Failure> {
    let shown: String = plain_text::clean(argument).chars().take(64).collect();
    let message = format!(
        "argument `{shown}` takes no sealed handle: it is opened only in arguments that are made for it, as a whole, \
         in calls through the MCP server that gave it, and not in a dry run; give `reveal_url` to a person instead"
    );
    refused(message)
}

/// Of another server, account or connected account, ended or made up: not to be told apart.
fn not_good() -> Box<Failure> {
    let message =
        "this sealed handle is not good here: it is of another server, or its 15 minutes are over";
    refused(message.to_owned())
}

fn refused(message: String) -> Box<Failure> {
    let failure = Failure::refused(StatusCode::BAD_REQUEST, "sealed_not_accepted", message);
    Box::new(failure)
}
