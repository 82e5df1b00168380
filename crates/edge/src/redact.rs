//! Secrets in answers that are kept: each is replaced by what may be shown.

use claviger_domain::id::Id;
use claviger_domain::key_string::{self, KeyShape, PUBLIC_LENGTH};
use serde_json::Value;

const TOKEN_PREFIX: &str = "clvmcp_";

/// Replaces every full key and every MCP token in an answer by its reference or a mask.
pub fn mask_secrets(value: &mut Value) {
    match value {
        Value::String(text) => mask_text(text),
        Value::Array(items) => items.iter_mut().for_each(mask_secrets),
        Value::Object(members) => {
            // A key that the caller brought has no shape of its own: it is known by its place.
            let id = members
                .get("id")
                .and_then(Value::as_str)
                .and_then(Id::parse);
            if let (Some(id), Some(Value::String(key))) = (id, members.get_mut("key"))
                && KeyShape::read(key).is_none()
            {
                *key = key_string::custom_reference(&id);
            }
            members.values_mut().for_each(mask_secrets);
        }
        _ => {}
    }
}

fn mask_text(text: &mut String) {
    if let Some(shape) = KeyShape::read(text) {
        *text = shape.purpose.reference(shape.public);
    } else if let Some(at) = text.find(TOKEN_PREFIX) {
        // Also within the URL that carries it.
        text.truncate(at + TOKEN_PREFIX.len());
        text.extend(std::iter::repeat_n('*', PUBLIC_LENGTH));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_and_tokens_are_masked_wherever_they_are() {
        let body = "0123456789abcdef".repeat(4);
        let mut value = json!({
            "id": "key_0123456789abcdef",
            "key": "a-custom-key-of-mine",
            "list": [format!("live_{body}"), format!("test_access_{body}"), "plain"],
            "url": format!("http://localhost/mcp/clvmcp_{body}"),
        });
        mask_secrets(&mut value);
        assert_eq!(
            value,
            json!({
                "id": "key_0123456789abcdef",
                "key": "key_0123456789abcdef*********",
                "list": [
                    "live_0123456789abcdef*********",
                    "test_access_0123456789abcdef*********",
                    "plain",
                ],
                "url": "http://localhost/mcp/clvmcp_****************",
            })
        );
    }
}
