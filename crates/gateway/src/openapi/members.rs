//! Whether an answer may have a member, as far as the document says what is in it.

use serde_json::{Map, Value};

use super::Document;

/// How deep schemas are looked into.
const DEEPEST: usize = 24;
/// What has no members.
const SIMPLE: [&str; 5] = ["string", "number", "integer", "boolean", "null"];

/// What a schema says of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    /// It names members, and not this one, or can have none.
    Lacks,
    /// It names none.
    Nothing,
    /// There may be others than those that it names.
    IsOpen,
    /// It names this one.
    Has,
}

impl Document {
    /// Whether what a schema describes may have a member, `a.b` being one of a member, in an object or in
    /// each of a list. What the document does not say may be.
    pub(crate) fn may_have(&self, schema: &Value, path: &str) -> bool {
        let steps: Vec<&str> = path.split('.').collect();
        self.said(schema, &steps, 0) != Said::Lacks
    }

    fn said(&self, schema: &Value, steps: &[&str], depth: usize) -> Said {
        let Some((step, rest)) = steps.split_first() else {
            return Said::Has;
        };
        let followed = self.follow(schema).and_then(Value::as_object);
        let Some(schema) = followed.filter(|_| depth < DEEPEST) else {
            return Said::Nothing;
        };
        if let Some(items) = schema.get("items") {
            // A number is a position in a list, and a name is looked for in each of its items.
            let steps = if step.parse::<usize>().is_ok() {
                rest
            } else {
                steps
            };
            return self.said(items, steps, depth + 1);
        }
        let kind = schema.get("type").and_then(Value::as_str);
        if kind.is_some_and(|kind| SIMPLE.contains(&kind)) {
            return Said::Lacks;
        }
        let parts = |name: &str| {
            let parts = schema.get(name).and_then(Value::as_array);
            let parts = parts.into_iter().flatten();
            parts.map(|part| self.said(part, steps, depth + 1))
        };
        // Of all that it is, some say nothing of members; of what it may be instead, each may have any then.
        let all = parts("allOf").filter(|said| *said != Said::Nothing);
        let any = parts("anyOf").chain(parts("oneOf"));
        let any = any.map(|said| match said {
            Said::Nothing => Said::IsOpen,
            said => said,
        });
        let own = self.own(schema, step, rest, depth);
        all.chain(any).chain(own).max().unwrap_or(Said::Nothing)
    }

    fn own(
        &self,
        schema: &Map<String, Value>,
        step: &str,
        rest: &[&str],
        depth: usize,
    ) -> Option<Said> {
        let known = schema.get("properties").and_then(Value::as_object);
        let known = known.filter(|known| !known.is_empty())?;
        if let Some(member) = known.get(step) {
            return Some(self.said(member, rest, depth + 1));
        }
        let others = schema.get("additionalProperties");
        let is_open = others.is_some_and(|others| *others != Value::Bool(false));
        Some(if is_open { Said::IsOpen } else { Said::Lacks })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_is_found_in_whatever_describes_it() {
        let document = json!({
            "openapi": "3.1.0", "info": { "title": "Tea" }, "paths": {},
            "components": { "schemas": {
                "Pot": { "allOf": [
                    { "description": "A pot." },
                    { "properties": { "id": {}, "key": { "readOnly": true } } },
                    { "properties": { "lid": { "$ref": "#/components/schemas/Lid" } } },
                ] },
                "Lid": { "properties": { "code": {}, "pot": { "$ref": "#/components/schemas/Pot" } } },
            } },
        });
        let document = Document::parse(document.to_string().as_bytes()).unwrap();
        let pot = json!({ "$ref": "#/components/schemas/Pot" });
        let list = json!({ "properties": { "data": { "type": "array", "items": pot } } });
        let open = json!({ "properties": { "id": {} }, "additionalProperties": true });
        for (schema, there, not_there) in [
            (
                &pot,
                &["key", "lid.code", "lid.pot.lid.code"][..],
                &["kye", "lid.kye"][..],
            ),
            (&list, &["data.key", "data.0.key"], &["key", "data.kye"]),
            (&open, &["id", "key"], &[]),
            (&json!({ "anyOf": [pot, {}] }), &["kye"], &[]),
            (
                &json!({ "oneOf": [pot, { "type": "null" }] }),
                &["key"],
                &["kye"],
            ),
            (&json!(true), &["key"], &[]),
        ] {
            for path in there {
                assert!(document.may_have(schema, path), "{path}");
            }
            for path in not_there {
                assert!(!document.may_have(schema, path), "{path}");
            }
        }
    }
}
