//! One text for equal JSON values, whatever the order of their members: for digests.

use serde::Serialize;
use serde_json::{Map, Value};

/// The value with the members of every object in order of their names.
pub(crate) fn canonical(members: &Map<String, Value>) -> Vec<u8> {
    let mut text = Vec::with_capacity(128);
    write_object(members, &mut text);
    text
}

fn write(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Object(members) => write_object(members, text),
        Value::Array(items) => {
            text.push(b'[');
            for (index, item) in items.iter().enumerate() {
                follow(index, text);
                write(item, text);
            }
            text.push(b']');
        }
        other => plain(other, text),
    }
}

fn write_object(members: &Map<String, Value>, text: &mut Vec<u8>) {
    let mut members: Vec<(&String, &Value)> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    text.push(b'{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        follow(index, text);
        plain(name, text);
        text.push(b':');
        write(value, text);
    }
    text.push(b'}');
}

fn follow(index: usize, text: &mut Vec<u8>) {
    if index > 0 {
        text.push(b',');
    }
}

fn plain(value: &impl Serialize, text: &mut Vec<u8>) {
    serde_json::to_writer(text, value).expect("values are JSON");
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

    #[test]
    fn the_text_is_json_without_spaces() {
        let members = json!({ "b": [1.5, { "d": null, "c": "\"é\n" }, []], "a\\": {}, "a": true });
        let text = canonical(members.as_object().unwrap());
        let expected = r#"{"a":true,"a\\":{},"b":[1.5,{"c":"\"é\n","d":null},[]]}"#;
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
