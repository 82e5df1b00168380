//! The one shape of a successful answer: what the upstream said is always in `result`.

use serde_json::{Map, Value, json};

use crate::cursor::Asked;
use crate::page::Page;
use claviger_domain::plain_text;

/// The answer of a list: its page, with the cursors of its neighbours.
pub fn list(page: Page, seal: impl Fn(&Asked) -> String) -> Map<String, Value> {
    let count = page.items.len();
    let mut envelope = Map::new();
    envelope.insert(
        "result".to_owned(),
        plain_text::clean_value(Value::Array(page.items)),
    );
    envelope.insert(
        "next_cursor".to_owned(),
        page.next.as_ref().map(&seal).into(),
    );
    envelope.insert(
        "prev_cursor".to_owned(),
        page.previous.as_ref().map(&seal).into(),
    );
    envelope.insert("result_count".to_owned(), json!(count));
    envelope
}

/// The answer of everything else; an empty upstream body is null.
pub fn single(body: Option<Value>) -> Map<String, Value> {
    let mut envelope = Map::new();
    envelope.insert(
        "result".to_owned(),
        plain_text::clean_value(body.unwrap_or(Value::Null)),
    );
    envelope
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Window;

    #[test]
    fn a_list_has_cursors_and_a_count() {
        let page = Page {
            items: vec![json!({ "name": "a\u{202e}b" })],
            next: Some(Asked::from(Window {
                offset: 1,
                limit: 1,
            })),
            previous: None,
        };
        assert_eq!(
            Value::Object(list(page, |asked| format!("at {}", asked.window.offset))),
            json!({ "result": [{ "name": "ab" }], "next_cursor": "at 1", "prev_cursor": null, "result_count": 1 })
        );
    }

    #[test]
    fn an_empty_body_is_null() {
        assert_eq!(Value::Object(single(None)), json!({ "result": null }));
        assert_eq!(
            Value::Object(single(Some(json!(true)))),
            json!({ "result": true })
        );
    }
}
