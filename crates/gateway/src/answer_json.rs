//! JSON of upstreams, read within bounds: a short text may become many values, each of which takes many
//! times its size.

use serde_json::Value;

/// How many values one answer has at most.
const MOST: usize = 250_000;
/// How long an escape such as `\u0041` is.
const ESCAPE: usize = 6;

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
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body).or_else(|_| {
        let mended = without_halves(body).ok_or(Unread::NotJson)?;
        serde_json::from_slice(&mended).map_err(|_| Unread::NotJson)
    })
}

/// A text in which each half of a character stands for one that is none. Programs that cut texts at so many
/// letters write halves (`\ud83d` without what follows it), and one of them would cost a whole list.
fn without_halves(body: &[u8]) -> Option<Vec<u8>> {
    let escape = |at: usize| {
        let digits = body.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut mended: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = body[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        at += match (escape(at), escape(at + ESCAPE)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 2 * ESCAPE,
            (Some(0xd800..=0xdfff), _) => {
                let mended = mended.get_or_insert_with(|| body.to_vec());
                mended[at..at + ESCAPE].copy_from_slice(b"\\ufffd");
                ESCAPE
            }
            // What is escaped is no beginning of an escape.
            _ => 2,
        };
        if at >= body.len() {
            break;
        }
    }
    mended
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

    #[test]
    fn half_a_character_costs_no_more_than_itself() {
        for (text, read) in [
            (
                r#"["hi \ud83d", "\ud83d\ude00"]"#,
                "[\"hi \u{fffd}\",\"\u{1f600}\"]",
            ),
            (r#"["\ude00\ud83d"]"#, "[\"\u{fffd}\u{fffd}\"]"),
            (r#"["\ud83d\ud83d\ude00"]"#, "[\"\u{fffd}\u{1f600}\"]"),
            (r#"["\\ud83d", "\ud83dx"]"#, r#"["\\ud83d","_x"]"#),
        ] {
            let read = read.replace('_', "\u{fffd}");
            assert_eq!(parse(text.as_bytes()).unwrap().to_string(), read, "{text}");
        }
        for text in [r#"["\ud83d"#, r"\ud83", r"\", r#"["\ud8"]"#, r#"["\ud8é"]"#] {
            assert_eq!(parse(text.as_bytes()), Err(Unread::NotJson), "{text}");
        }
    }

    #[test]
    fn a_mark_of_the_order_of_bytes_is_no_part_of_it() {
        assert_eq!(parse(b"\xef\xbb\xbf{}"), Ok(serde_json::json!({})));
    }
}
