//! How values are written in a query, and read from one.

use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use super::IN_SEGMENT;
use crate::openapi::QueryStyle;

/// Names and values that are written one after the other, until they have too many bytes: a short value may
/// have a long name before it, and a list has it before each item.
#[derive(Debug)]
pub(super) struct Written {
    pairs: Vec<(String, String)>,
    left: usize,
}

/// What was to be written has more bytes than there may be.
#[derive(Debug)]
pub(super) struct TooLong;

impl Written {
    /// Nothing yet, and at most so many bytes.
    pub(super) fn within(bytes: usize) -> Self {
        Self {
            pairs: Vec::new(),
            left: bytes,
        }
    }

    /// Adds a value in the style of its parameter, and tells what that has added.
    pub(super) fn add(
        &mut self,
        style: QueryStyle,
        name: &str,
        value: &Value,
    ) -> Result<&[(String, String)], TooLong> {
        let before = self.pairs.len();
        match (value, style) {
            // An absent parameter is the only way to say null in a query.
            (Value::Null, _) => {}
            (Value::Array(items), QueryStyle::Joined(between)) => {
                self.push(name, joined(items.iter().map(plain), between))?;
            }
            (Value::Array(items), QueryStyle::Exploded | QueryStyle::Form)
                if style == QueryStyle::Exploded || !items.iter().any(has_members) =>
            {
                for item in items.iter().filter(|item| !item.is_null()) {
                    self.push(name, plain(item))?;
                }
            }
            (Value::Object(members), QueryStyle::Joined(between)) => {
                let pairs = members
                    .iter()
                    .flat_map(|(name, value)| [name.clone(), plain(value)]);
                self.push(name, joined(pairs, between))?;
            }
            (Value::Object(members), QueryStyle::Exploded) => {
                for (member, value) in members {
                    self.push(member, plain(value))?;
                }
            }
            (Value::Array(_) | Value::Object(_), QueryStyle::Deep) => {
                self.add_deep(&mut name.to_owned(), value)?;
            }
            (other, _) => self.push(name, plain(other))?,
        }
        Ok(&self.pairs[before..])
    }

    /// What is in members is in brackets, and so is what is in lists, at every depth. OpenAPI says it of the first
    /// members alone; most read the rest so.
    fn add_deep(&mut self, name: &mut String, value: &Value) -> Result<(), TooLong> {
        match value {
            Value::Null => Ok(()),
            Value::Object(members) => {
                for (member, value) in members {
                    self.add_within(name, member, value)?;
                }
                Ok(())
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    // Some read a number as a name, which is needed only where members of items belong together.
                    let place = if has_members(item) {
                        index.to_string()
                    } else {
                        String::new()
                    };
                    self.add_within(name, &place, item)?;
                }
                Ok(())
            }
            other => self.push(name, plain(other)),
        }
    }

    /// The name grows and shrinks in its place: a copy for each thing that is in it could take all memory.
    fn add_within(&mut self, name: &mut String, place: &str, value: &Value) -> Result<(), TooLong> {
        let length = name.len();
        name.extend(["[", place, "]"]);
        self.add_deep(name, value)?;
        name.truncate(length);
        Ok(())
    }

    fn push(&mut self, name: &str, value: String) -> Result<(), TooLong> {
        let bytes = size_of::<(String, String)>() + name.len() + value.len();
        self.left = self.left.checked_sub(bytes).ok_or(TooLong)?;
        self.pairs.push((name.to_owned(), value));
        Ok(())
    }

    /// All that was written.
    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.pairs
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

fn joined(texts: impl Iterator<Item = String>, between: char) -> String {
    let texts: Vec<String> = texts.collect();
    texts.join(between.encode_utf8(&mut [0; 4]))
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
            let mut query = Written::within(10_000);
            let added = query.add(style, "in", &value).unwrap();
            let pairs = added.iter().map(|(name, value)| format!("{name}={value}"));
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
        let mut query = Written::within(10_000);
        let value = json!({ "a": ["x", "y"], "b": { "c": 1 }, "d": [{ "e": true }], "f": null });
        query.add(QueryStyle::Deep, "in", &value).unwrap();
        let pairs = query.into_pairs().into_iter();
        let pairs = pairs.map(|(name, value)| format!("{name}={value}"));
        let written = pairs.collect::<Vec<_>>().join("&");
        assert_eq!(written, "in[a][]=x&in[a][]=y&in[b][c]=1&in[d][0][e]=true");
    }

    #[test]
    fn a_long_name_before_each_of_many_values_is_not_written() {
        let long = "n".repeat(100_000);
        let many = vec![json!(1); 100_000];
        let none = vec![json!([]); 100_000];
        for (style, name, value) in [
            (QueryStyle::Deep, "in", json!({ &long: many })),
            (QueryStyle::Exploded, &*long, json!(many)),
            (QueryStyle::Form, &*long, json!(many)),
        ] {
            let mut query = Written::within(1_000_000);
            assert!(query.add(style, name, &value).is_err(), "{style:?}");
            assert!(query.into_pairs().len() <= 10);
        }
        let mut query = Written::within(1_000_000);
        let value = json!({ &long: none });
        let added = query.add(QueryStyle::Deep, "in", &value).unwrap();
        assert!(added.is_empty(), "and its name is not copied for nothing");
        let added = query.add(QueryStyle::Joined(','), &long, &json!(many));
        assert_eq!(added.unwrap().len(), 1);
    }
}
