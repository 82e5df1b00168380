//! How values are written in a query, and read from one.

use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use super::IN_SEGMENT;
use crate::openapi::QueryStyle;

/// Adds a value to a query, in the style of its parameter.
pub(super) fn write_query(
    style: QueryStyle,
    query: &mut Vec<(String, String)>,
    name: &str,
    value: &Value,
) {
    let mut add = |name: &str, value: &Value| query.push((name.to_owned(), plain(value)));
    match (value, style) {
        // An absent parameter is the only way to say null in a query.
        (Value::Null, _) => {}
        (Value::Array(items), QueryStyle::Joined(between)) => {
            add(name, &joined(items.iter().map(plain), between));
        }
        (Value::Array(items), QueryStyle::Form) if items.iter().any(has_members) => {
            add(name, value);
        }
        (Value::Array(items), QueryStyle::Exploded | QueryStyle::Form) => {
            for item in items.iter().filter(|item| !item.is_null()) {
                add(name, item);
            }
        }
        (Value::Object(members), QueryStyle::Joined(between)) => {
            let pairs = members
                .iter()
                .flat_map(|(name, value)| [name.clone(), plain(value)]);
            add(name, &joined(pairs, between));
        }
        (Value::Object(members), QueryStyle::Exploded) => {
            for (member, value) in members {
                add(member, value);
            }
        }
        (Value::Array(_) | Value::Object(_), QueryStyle::Deep) => write_deep(query, name, value),
        (other, _) => add(name, other),
    }
}

/// What is in members is in brackets, and so is what is in lists, at every depth. OpenAPI says it of the first
/// members alone; most read the rest so.
fn write_deep(query: &mut Vec<(String, String)>, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (member, value) in members {
                write_deep(query, &format!("{name}[{member}]"), value);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                // Some read a number as a name, which is needed only where members of items belong together.
                let place = if has_members(item) {
                    index.to_string()
                } else {
                    String::new()
                };
                write_deep(query, &format!("{name}[{place}]"), item);
            }
        }
        other => query.push((name.to_owned(), plain(other))),
    }
}

fn has_members(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

/// Names and values as a query has them, or a form.
pub(super) fn encoded(pairs: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.extend(utf8_percent_encode(name, IN_SEGMENT));
        text.push('=');
        text.extend(utf8_percent_encode(value, IN_SEGMENT));
    }
    text
}

/// The parameters of a query as it is written in a URL.
pub(crate) fn parameters_of(query: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn joined(texts: impl Iterator<Item = String>, between: char) -> Value {
    let texts: Vec<String> = texts.collect();
    texts.join(between.encode_utf8(&mut [0; 4])).into()
}

/// A value as a text of its own.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_and_objects_are_written_as_the_document_says() {
        let written = |style: QueryStyle, value: Value| {
            let mut query = Vec::new();
            write_query(style, &mut query, "in", &value);
            let pairs = query.iter().map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join("&")
        };
        let (list, object) = (|| json!(["a", 1]), || json!({ "x": "a", "y": true }));
        for (style, of_list, of_object) in [
            (QueryStyle::Exploded, "in=a&in=1", "x=a&y=true"),
            (QueryStyle::Joined(','), "in=a,1", "in=x,a,y,true"),
            (QueryStyle::Joined('|'), "in=a|1", "in=x|a|y|true"),
            (QueryStyle::Deep, "in[]=a&in[]=1", "in[x]=a&in[y]=true"),
            (QueryStyle::Form, "in=a&in=1", r#"in={"x":"a","y":true}"#),
            (
                QueryStyle::Json,
                r#"in=["a",1]"#,
                r#"in={"x":"a","y":true}"#,
            ),
        ] {
            assert_eq!(written(style, list()), of_list);
            assert_eq!(written(style, object()), of_object);
            assert_eq!(written(style, json!("a b")), "in=a b");
            assert_eq!(written(style, Value::Null), "");
        }
    }

    #[test]
    fn members_in_brackets_are_so_at_every_depth() {
        let mut query = Vec::new();
        let value = json!({ "a": ["x", "y"], "b": { "c": 1 }, "d": [{ "e": true }], "f": null });
        write_query(QueryStyle::Deep, &mut query, "in", &value);
        let pairs = query.iter().map(|(name, value)| format!("{name}={value}"));
        let written = pairs.collect::<Vec<_>>().join("&");
        assert_eq!(written, "in[a][]=x&in[a][]=y&in[b][c]=1&in[d][0][e]=true");
    }
}
