//! A result that is too large for the server's budget: a list is cut between two items, honestly, and goes
//! on with the next page; anything else cannot be cut.

use http::StatusCode;
use serde_json::{Map, Value};

use crate::failure::Failure;

/// Room for what stands around the items of a list.
const AROUND: usize = 1_024;

/// The member that names what was made.
const ID: &str = "id";

/// The envelope within `most` bytes of JSON text. `upstream` is what the upstream answered, in bytes;
/// `behind` is the cursor that goes on behind so many items of the page, where there is one.
pub(super) fn within(
    mut envelope: Map<String, Value>,
    secrets: &[String],
    most: usize,
    upstream: usize,
    behind: impl Fn(usize) -> Option<String>,
) -> Result<Map<String, Value>, Box<Failure>> {
    // The text of an answer is hardly ever longer than twice that of the upstream's: most are not measured.
    if upstream.saturating_mul(2).saturating_add(AROUND) <= most {
        return Ok(envelope);
    }
    let size = length(envelope.get("result"));
    if size.saturating_add(AROUND) <= most {
        return Ok(envelope);
    }
    let Some(Value::Array(items)) = envelope.get_mut("result") else {
        return once_told(envelope, secrets, most)
            .ok_or_else(|| too_large(size, most, "ask for less"));
    };
    let all = items.len();
    let mut used = AROUND;
    let fitting = items.iter().take_while(|item| {
        used = used.saturating_add(length(Some(item))).saturating_add(1);
        used <= most
    });
    let kept = fitting.count();
    if kept == 0 {
        return Err(too_large(length(items.first()), most, "ask for less"));
    }
    let Some(cursor) = behind(kept) else {
        let advice = format!("ask for {kept} items with `limit`");
        return Err(too_large(size, most, &advice));
    };
    items.truncate(kept);
    let cut = format!(
        "cut here, after {kept} of the {all} items of this page, since a result has {} KiB at most: \
         pass `next_cursor` for the next page",
        most / 1_024
    );
    envelope.insert("next_cursor".to_owned(), cursor.into());
    envelope.insert("result_count".to_owned(), kept.into());
    envelope.insert("cut".to_owned(), cut.into());
    Ok(envelope)
}

/// Of a result that cannot be cut what is told once and never again: its secrets, and whose they are.
fn once_told(
    mut envelope: Map<String, Value>,
    secrets: &[String],
    most: usize,
) -> Option<Map<String, Value>> {
    let result = envelope.get_mut("result")?.as_object_mut()?;
    let is_secret = |name: &str| {
        let mut fields = secrets.iter();
        fields.any(|field| field.split('.').next() == Some(name))
    };
    if !result.keys().any(|name| is_secret(name)) {
        return None;
    }
    result.retain(|name, _| name == ID || is_secret(name));
    let cut = format!(
        "cut here: a result has {} KiB at most, and of this one there is what cannot be asked for again",
        most / 1_024
    );
    envelope.insert("cut".to_owned(), cut.into());
    let size = length(envelope.get("result"));
    (size.saturating_add(AROUND) <= most).then_some(envelope)
}

fn length(value: Option<&Value>) -> usize {
    value.map_or(0, |value| value.to_string().len())
}

/// The upstream has done what it was asked for, which whoever tries again must know.
fn too_large(size: usize, most: usize, advice: &str) -> Box<Failure> {
    let message = format!(
        "the call was carried out, but its result has {} KiB, and this MCP server passes on {} KiB at most: {advice}",
        size.div_ceil(1_024),
        most / 1_024
    );
    let failure = Failure::refused(StatusCode::BAD_GATEWAY, "result_too_large", message);
    Box::new(failure)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cut(items: &[Value], most: usize) -> Result<Value, Box<Failure>> {
        let envelope = json!({ "result": items, "next_cursor": null, "result_count": items.len() });
        let size = envelope.to_string().len();
        let behind = |kept: usize| Some(format!("behind {kept}"));
        let envelope = envelope.as_object().unwrap().clone();
        within(envelope, &[], most, size, behind).map(Value::Object)
    }

    #[test]
    fn a_list_is_cut_between_items_and_goes_on_behind() {
        let items: Vec<_> = (0..100).map(|_| json!("x".repeat(100))).collect();
        let told = cut(&items, 4_096).unwrap();
        let kept = told["result"].as_array().unwrap().len();
        assert_eq!(told["result_count"], kept);
        assert_eq!(told["next_cursor"], format!("behind {kept}"));
        assert!(told["cut"].as_str().unwrap().contains("of the 100 items"));
        let length = told.to_string().len();
        assert!((3_000..=4_096).contains(&length), "{length}");
        assert_eq!(cut(&items[..10], 4_096).unwrap().get("cut"), None);
    }

    #[test]
    fn what_cannot_be_cut_is_told() {
        let large = json!("x".repeat(5_000));
        let failure = cut(&[large.clone(), json!(1)], 4_096).unwrap_err();
        assert_eq!(failure.code, "result_too_large");
        let single = json!({ "result": large }).as_object().unwrap().clone();
        let nowhere = |_: usize| None;
        let failure = within(single.clone(), &[], 4_096, 5_000, nowhere).unwrap_err();
        assert!(failure.message.contains("5 KiB") && failure.message.contains("carried out"));
        assert!(within(single, &[], 8_192, 5_000, nowhere).is_ok());
    }

    #[test]
    fn a_list_that_cannot_go_on_there_is_not_cut() {
        let items: Vec<_> = (0..100).map(|_| json!("x".repeat(100))).collect();
        let envelope = json!({ "result": items }).as_object().unwrap().clone();
        let failure = within(envelope, &[], 4_096, 10_000, |_| None).unwrap_err();
        assert!(
            failure.message.contains("with `limit`"),
            "{}",
            failure.message
        );
    }
}
