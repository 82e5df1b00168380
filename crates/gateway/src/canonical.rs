//! One text for equal JSON values, whatever the order of their members: for digests.

use serde_json::{Map, Value};

/// The value with the members of every object in order of their names.
pub(crate) fn canonical(members: &Map<String, Value>) -> String {
    sorted_object(members).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => sorted_object(members),
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn sorted_object(members: &Map<String, Value>) -> Value {
    let mut names: Vec<&String> = members.keys().collect();
    names.sort();
    Value::Object(
        names
            .into_iter()
            .map(|name| (name.clone(), sorted(&members[name])))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_members_does_not_count_and_that_of_items_does() {
        let text = |value: Value| canonical(value.as_object().unwrap());
        assert_eq!(
            text(json!({ "a": { "c": 1, "b": 2 }, "d": 3 })),
            text(json!({ "d": 3, "a": { "b": 2, "c": 1 } }))
        );
        assert_ne!(text(json!({ "a": [1, 2] })), text(json!({ "a": [2, 1] })));
    }
}
