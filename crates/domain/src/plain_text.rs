//! Text from outside, made harmless for terminals and models: control characters, ANSI sequences, and
//! characters that cannot be seen or that turn the reading direction are taken out.

use std::fmt::Write;

use serde_json::Value;

/// The text without what could hide or act; new lines and tabs stay.
pub fn clean(text: &str) -> String {
    if is_clean(text) {
        return text.to_owned();
    }
    let mut kept = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' || character == '\u{9b}' {
            let is_csi = character == '\u{9b}' || characters.next_if_eq(&'[').is_some();
            if is_csi {
                skip_control_sequence(&mut characters);
            }
        } else if !is_harmful(character) {
            kept.push(character);
        }
    }
    kept
}

/// Clean text whose lines are as long as their paragraphs: single line breaks, which sources have for
/// their own width, become spaces. Lists, tables and headings keep their lines.
pub fn flowing(text: &str) -> String {
    let mut flowing = String::with_capacity(text.len());
    for line in clean(text.trim()).lines() {
        let line = line.trim_end();
        let starts_anew = line.is_empty()
            || flowing.is_empty()
            || flowing.ends_with('\n')
            || line.starts_with([' ', '-', '*', '+', '|', '#', '>'])
            || line.starts_with(|c: char| c.is_ascii_digit());
        if starts_anew && !flowing.is_empty() {
            flowing.push('\n');
        } else if !flowing.is_empty() {
            flowing.push(' ');
        }
        flowing.push_str(line);
    }
    flowing
}

/// A value whose every text and member name is clean.
pub fn clean_value(mut value: Value) -> Value {
    clean_in_place(&mut value);
    value
}

/// Texts that are clean, which nearly all are, are not copied.
fn clean_in_place(value: &mut Value) {
    match value {
        Value::String(text) if is_clean(text) => {}
        Value::String(text) => *text = clean(text),
        Value::Array(items) => items.iter_mut().for_each(clean_in_place),
        Value::Object(members) => {
            if !members.keys().all(|name| is_clean(name)) {
                let all = std::mem::take(members).into_iter();
                *members = all.map(|(name, value)| (clean(&name), value)).collect();
            }
            members.values_mut().for_each(clean_in_place);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_clean(text: &str) -> bool {
    is_plain(text) || !text.chars().any(is_harmful)
}

/// Whether there are plain letters only, of which it is known without looking at each character: many are looked at
/// at once.
fn is_plain(text: &str) -> bool {
    let mut parts = text.as_bytes().chunks(64);
    parts.all(|part| {
        let plain = part.iter().map(|byte| matches!(byte, b' '..=b'~'));
        plain.fold(true, |all, one| all & one)
    })
}

/// JSON that means the same and hides nothing: what could hide or act is escaped, over several lines.
pub fn json(value: &Value) -> String {
    inert(format!("{value:#}"))
}

/// The same on one line.
pub fn json_line(value: &Value) -> String {
    inert(value.to_string())
}

/// Escapes what could hide or act in a text of JSON.
fn inert(text: String) -> String {
    if !text.chars().any(is_harmful) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) {
            // They stand in texts only: JSON's own are harmless.
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("a string takes all that is written to it");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Parameters and the final byte of an ANSI control sequence (ECMA-48, 5.4).
fn skip_control_sequence(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while characters
        .next_if(|c| ('\u{20}'..='\u{3f}').contains(c))
        .is_some()
    {}
    let _final = characters.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
}

fn is_harmful(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        // The last are tag characters: a whole alphabet that no one sees and models read.
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => true,
        other => other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn json_means_the_same_and_hides_nothing() {
        let value = json!({"na\u{202e}me": "\u{9b}31m\u{7f}\u{e0041}\u{1b}\n", "is": ["Größe\t"]});
        let text = super::json(&value);
        assert!(
            text.contains("Größe") && text.contains(r"\u202e") && text.contains(r"\udb40\udc41")
        );
        assert!(!text.chars().any(is_harmful), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        let line = json_line(&value);
        assert!(
            !line.chars().any(|c| is_harmful(c) || c == '\n'),
            "{line:?}"
        );
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }

    #[test]
    fn sequences_and_unseen_characters_go_and_words_stay() {
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m\r\n"), "red\n");
        assert_eq!(clean("pay\u{202e}lap\u{200b}\u{e0041}"), "paylap");
        assert_eq!(clean("Größe\t日本"), "Größe\t日本");
        assert_eq!(clean("\u{1b}"), "");
    }

    #[test]
    fn lines_broken_for_width_flow_and_others_stay() {
        assert_eq!(
            flowing(" Takes a key's\nid.\n\nThen:\n- one\n- two\n"),
            "Takes a key's id.\n\nThen:\n- one\n- two"
        );
        assert_eq!(flowing("a\r\nb"), "a b");
    }

    #[test]
    fn values_are_cleaned_at_every_depth() {
        let value = json!({ "a\u{0}": ["\u{7}x", { "b": "\u{feff}y", "n": 1 }] });
        assert_eq!(
            clean_value(value),
            json!({ "a": ["x", { "b": "y", "n": 1 }] })
        );
    }

    proptest! {
        #[test]
        fn what_is_clean_stays_as_it_is(text in ".{0,80}") {
            let once = clean(&text);
            prop_assert!(!once.chars().any(is_harmful));
            prop_assert_eq!(clean(&once), once);
        }

        #[test]
        fn one_that_cannot_be_seen_is_found_wherever_it_is(before in 0..200_usize, behind in 0..200_usize) {
            let plain = |count| "x".repeat(count);
            let text = format!("{}\u{7}{}", plain(before), plain(behind));
            prop_assert_eq!(clean(&text), plain(before + behind));
        }
    }
}
