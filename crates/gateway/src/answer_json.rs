//! JSON of upstreams, read within bounds: a short text may become many values, each of which takes many
//! times its size.

use serde_json::Value;

/// How many values one answer has at most.
const MOST: usize = 250_000;

/// Why an answer cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is no JSON.
    NotJson,
    /// It has more values than are read.
    TooMany,
}

/// Reads an answer.
pub(crate) fn parse(body: &[u8]) -> Result<Value, Unread> {
    // No value is shorter than a letter, with what parts it from the next.
    if body.len() > 2 * MOST && count(body) > MOST {
        return Err(Unread::TooMany);
    }
    serde_json::from_slice(body).map_err(|_| Unread::NotJson)
}

/// How many values, names or members a text begins, if it is JSON.
fn count(body: &[u8]) -> usize {
    let (mut count, mut in_text, mut is_escaped) = (0, false, false);
    for byte in body {
        match (in_text, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b',' | b'[' | b'{') => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_texts_are_not_looked_into() {
        assert_eq!(count(br#"{"a,[": [1, 2, "\",{"], "b": {}}"#), 6);
        let ones = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
        assert!(parse(ones(MOST + 1).as_bytes()).is_err_and(|it| it == Unread::TooMany));
        assert!(parse(ones(MOST).as_bytes()).is_ok());
        let commas = format!("[\"{}\"]", ",".repeat(3 * MOST));
        assert!(parse(commas.as_bytes()).is_ok());
        assert_eq!(parse(b"{"), Err(Unread::NotJson));
    }
}
