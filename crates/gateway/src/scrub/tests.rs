use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn scrub(secrets: &[&str]) -> Scrub {
    Scrub::of(secrets.iter().copied())
}

/// Every character in the escape of one language.
fn escaped(text: &str, escape: impl Fn(u16) -> String) -> String {
    text.encode_utf16().map(escape).collect()
}

#[test]
fn a_secret_is_masked_however_it_is_spelled() {
    let secret = "canary/of \"32\"+<x>";
    let scrub = scrub(&[secret]);
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    for spelled in [
        secret.to_owned(),
        json!(secret).to_string(),
        json!(secret).to_string().replace('/', "\\/"),
        percent.replace("%20", "+"),
        percent.to_lowercase(),
        percent,
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        "canary/of &quot;32&quot;+&lt;x&gt;".to_owned(),
    ] {
        let told = scrub.text(&format!("you sent {spelled}!")).unwrap();
        let expected = ["you sent ***!", "you sent \"***\"!"];
        assert!(expected.contains(&told.as_str()), "{spelled}: {told}");
    }
}

#[test]
fn a_secret_behind_escapes_masks_the_text_whole() {
    let secret = "canary/of+32 letters";
    let scrub = scrub(&[secret]);
    let json = escaped(secret, |unit| format!("\\u{unit:04X}"));
    for spelled in [
        "canary\\u002Fof\\u002b32 letters".to_owned(),
        "canary\\x2fof\\x2B32 letters".to_owned(),
        "canary&#47;of&#x2b;32 letters".to_owned(),
        "c%61nary%2fof+32 letters".to_owned(),
        escaped(secret, |unit| format!("&#{unit};")),
        escaped(secret, |unit| format!("%25{unit:02x}")),
        json.replace('\\', "\\\\"),
        json,
    ] {
        let told = scrub.text(&format!("you sent {spelled}!"));
        assert_eq!(told.as_deref(), Some("***"), "{spelled}");
    }
    // One that looks escaped itself.
    let odd = Scrub::of(["canary%2fof+32%0aletters"]);
    for spelled in [
        "c\\u0061nary%2fof+32%0aletters",
        "canary\\u00252fof+32%0aletters",
        "canary%252fof+32%250aletters",
    ] {
        assert!(odd.text(spelled).is_some(), "{spelled}");
    }
    for harmless in [
        "100 % & more",
        "a\\b",
        "\\u00e",
        "&#x110000;",
        "&unknown;",
        "%",
    ] {
        assert_eq!(scrub.text(harmless), None);
    }
}

#[test]
fn bytes_stay_json_where_they_are_and_are_masked_whole_elsewhere() {
    let scrub = scrub(&["canary/of+32=letters"]);
    let bytes = |text: &str| scrub.bytes(Bytes::copy_from_slice(text.as_bytes()));
    assert_eq!(
        bytes(r#"{"a": 1.50, "echo": "x canary\/of\u002b32=letters"}"#),
        r#"{"a":1.5,"echo":"x ***"}"#
    );
    assert_eq!(bytes("<p>canary&#x2f;of+32=letters"), "***");
    let untouched = r#"{"a": 1.50, "b": "\u00e9"}"#;
    assert_eq!(bytes(untouched), untouched);
    let utf16: Vec<u8> = "<p>canary/of+32=letters"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(scrub.bytes(utf16.into()), "***");
    assert!(scrub.is_in(b"text/plain; x=canary%2fof+32=letters"));
}

#[test]
fn names_of_members_and_numbers_are_masked_too() {
    let mut value = json!({ "canary-one": [{ "a": "x canary-one" }], "n": 1_234_567_890, "m": 12 });
    scrub(&["canary-one", "1234567890"]).value(&mut value);
    assert_eq!(
        value,
        json!({ "***": [{ "a": "x ***" }], "n": "***", "m": 12 })
    );
}

#[test]
fn a_number_is_masked_however_it_is_written_and_others_are_not() {
    let scrub = scrub(&["0012345678", "12345678901234567890123456"]);
    for text in [
        "12345678",
        "12345678.0",
        "1.2345678e7",
        "12345678901234567890123456",
    ] {
        let mut value = serde_json::from_str(text).unwrap();
        scrub.value(&mut value);
        assert_eq!(value, "***", "{text}");
    }
    for text in ["1234567", "0.5", "123456789012345678"] {
        let mut value: Value = serde_json::from_str(text).unwrap();
        scrub.value(&mut value);
        assert!(value.is_number(), "{text}");
    }
}

#[test]
fn what_has_a_short_secret_is_masked_whole_but_results_are_not() {
    assert_eq!(scrub(&["abc"]).text("an abc b").as_deref(), Some("***"));
    assert_eq!(scrub(&["abc"]).telling().text("an abc b"), None);
}

proptest! {
    #[test]
    fn no_text_keeps_a_secret(secret in "[!-~]{8,40}", before in ".{0,20}", after in ".{0,20}") {
        let text = format!("{before}{secret}{after}");
        let masked = scrub(&[&secret]).text(&text).unwrap();
        prop_assert!(!masked.contains(&secret) || MASK.contains(&secret));
    }

    #[test]
    fn no_base64_of_a_longer_text_keeps_a_secret(secret in "[!-~]{12,40}", before in ".{0,20}", after in ".{0,20}") {
        for engine in [STANDARD, URL_SAFE_NO_PAD] {
            let text = engine.encode(format!("{before}{secret}{after}"));
            prop_assert!(scrub(&[&secret]).text(&text).is_some());
        }
    }

    #[test]
    fn no_escape_keeps_a_secret(secret in "\\PC{8,20}", hidden in any::<u64>()) {
        let mut units = 0;
        let text: String = secret.chars().map(|character| {
            units += 1;
            if (hidden >> (units % 64)) & 1 == 0 && character != '\\' {
                return character.to_string();
            }
            escaped(&character.to_string(), |unit| format!("\\u{unit:04x}"))
        }).collect();
        prop_assert!(scrub(&[&secret]).text(&text).is_some(), "{}", text);
    }

    #[test]
    fn a_value_is_the_same_whether_its_json_is_looked_at_first(
        parts in prop::collection::vec(
            prop_oneof![
                "[a-z \\\\%&/\"]{0,6}",
                Just("canary/one".to_owned()),
                Just("canary%2Fone".to_owned()),
                Just("12345678".to_owned()),
            ],
            0..6,
        ),
        number in prop_oneof![Just(12_345_678), any::<i32>().prop_map(i64::from)],
        has_digits in any::<bool>(),
    ) {
        let scrub = scrub(&["canary/one", if has_digits { "12345678" } else { "canary two" }]);
        let text = parts.concat();
        let json = json!({ "n": number, "a": [text], text.as_str(): true }).to_string();
        let read = || serde_json::from_str::<Value>(&json).unwrap();
        let (mut expected, mut value) = (read(), read());
        scrub.value(&mut expected);
        scrub.value_of(&mut value, json.as_bytes());
        prop_assert_eq!(value, expected);
    }

    #[test]
    fn any_text_is_read_without_panic(text in "[\\\\%&#xu0-9a-f;é/\"]{0,40}") {
        scrub(&["canary-one"]).text(&text);
    }
}
