//! How a secret comes back: the spellings in which it is looked for, and how escapes are read in which any
//! of its characters may be written.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use memchr::memchr3;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::TELLING;
use crate::request::IN_SEGMENT;

/// Characters of the longest reference of markup.
const LONGEST_REFERENCE: usize = 12;

/// The spellings that some write as a whole.
pub(super) fn spellings(secret: &str) -> Vec<String> {
    let quoted = Value::from(secret).to_string();
    let quoted = quoted.trim_matches('"');
    let mut spelled = vec![
        secret.to_owned(),
        quoted.to_owned(),
        quoted.replace('/', "\\/"),
        markup(secret),
    ];
    for set in [NON_ALPHANUMERIC, IN_SEGMENT] {
        let percent = utf8_percent_encode(secret, set).to_string();
        spelled.extend([percent.replace("%20", "+"), lower(&percent), percent]);
    }
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        spelled.push(engine.encode(secret));
    }
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        let parts = (0..3).map(|before| within_base64(&engine, secret, before));
        spelled.extend(parts.filter(|part| part.len() >= TELLING));
    }
    let mut hex = String::new();
    for byte in secret.bytes() {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
    }
    spelled.extend([hex.to_uppercase(), hex]);
    spelled
}

/// What base64 of a longer text has of a secret in it, wherever `before` bytes more or less stand before:
/// without the letters at both ends that tell of its neighbours too.
fn within_base64(engine: &GeneralPurpose, secret: &str, before: usize) -> String {
    let text = engine.encode([&[0; 2][..before], secret.as_bytes()].concat());
    let begin = [0, 2, 3][before];
    let is_whole = (before + secret.len()).is_multiple_of(3);
    let end = text.len() - usize::from(!is_whole);
    text.get(begin..end).unwrap_or_default().to_owned()
}

/// Small letters in the escapes, which some write.
fn lower(percent: &str) -> String {
    let mut left = 0;
    let spelled = percent.chars().map(|character| {
        if character == '%' {
            left = 2;
            return character;
        }
        if left > 0 {
            left -= 1;
            return character.to_ascii_lowercase();
        }
        character
    });
    spelled.collect()
}

/// As a page writes it.
fn markup(secret: &str) -> String {
    let spelled = secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    spelled.replace('"', "&quot;").replace('\'', "&#39;")
}

/// Where the first escape begins, if there is any.
fn first_escape(text: &[u8]) -> Option<usize> {
    memchr3(b'\\', b'%', b'&', text)
}

/// Whether there is anything that may be an escape.
pub(super) fn has_escapes(text: &[u8]) -> bool {
    first_escape(text).is_some()
}

/// The text with its escapes read, those of JSON, scripts, URLs and markup alike; `None` without any.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut read = Vec::new();
    let mut rest = text;
    let mut has_any = false;
    while let Some(at) = first_escape(rest.as_bytes()) {
        let (before, escaped) = rest.split_at(at);
        read.extend_from_slice(before.as_bytes());
        let length = read_escape(escaped, &mut read).unwrap_or_default();
        has_any |= length > 0;
        // One that is none stands for itself, in one byte.
        let (itself, behind) = escaped.split_at(length.max(1));
        if length == 0 {
            read.extend_from_slice(itself.as_bytes());
        }
        rest = behind;
    }
    has_any.then(|| {
        read.extend_from_slice(rest.as_bytes());
        String::from_utf8_lossy(&read).into_owned()
    })
}

/// Reads the escape that a text begins with, and tells how long it is.
fn read_escape(text: &str, read: &mut Vec<u8>) -> Option<usize> {
    match text.as_bytes()[0] {
        b'%' => {
            read.push(u8::try_from(hexadecimal(text.get(1..3)?)?).ok()?);
            Some(3)
        }
        b'&' => read_reference(text, read),
        _ => match text.as_bytes().get(1)? {
            b'u' => read_unicode(text, read),
            b'x' => {
                push(read, hexadecimal(text.get(2..4)?)?);
                Some(4)
            }
            own @ (b'/' | b'\\' | b'"' | b'\'') => {
                read.push(*own);
                Some(2)
            }
            _ => None,
        },
    }
}

/// `\u002f`, or two of them that are one character.
fn read_unicode(text: &str, read: &mut Vec<u8>) -> Option<usize> {
    let first = hexadecimal(text.get(2..6)?)?;
    let second = text.get(6..12).and_then(|next| next.strip_prefix("\\u"));
    let second = second.and_then(hexadecimal);
    let units = [first, second.unwrap_or_default()].map(|unit| u16::try_from(unit).unwrap_or(0));
    if let (0xd800..=0xdbff, Some(Ok(pair))) = (first, char::decode_utf16(units).next()) {
        push(read, u32::from(pair));
        return Some(12);
    }
    push(read, first);
    Some(6)
}

/// `&#43;`, `&#x2b;` and the names that everybody writes.
fn read_reference(text: &str, read: &mut Vec<u8>) -> Option<usize> {
    let near = &text[..text.floor_char_boundary(LONGEST_REFERENCE)];
    let end = near.find(';')?;
    let code = match &near[1..end] {
        "amp" => 0x26,
        "lt" => 0x3c,
        "gt" => 0x3e,
        "quot" => 0x22,
        "apos" => 0x27,
        other => {
            let digits = other.strip_prefix('#')?;
            match digits.strip_prefix(['x', 'X']) {
                Some(digits) => hexadecimal(digits)?,
                None => digits.parse().ok()?,
            }
        }
    };
    push(read, code);
    Some(end + 1)
}

fn hexadecimal(digits: &str) -> Option<u32> {
    let is_number = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_number.then(|| u32::from_str_radix(digits, 16).ok())?
}

fn push(read: &mut Vec<u8>, code: u32) {
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    read.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}
