//! Texts that may be keys, ids or references.
#![no_main]

use claviger_domain::base62;
use claviger_domain::id::{self, Id};
use claviger_domain::key_hash::KeyHash;
use claviger_domain::key_string::{
    Environment, KeyName, KeyPurpose, KeyShape, PUBLIC_LENGTH, check_custom_key, custom_reference,
    name_of_access_key, name_of_api_key,
};
use claviger_fuzz::Same;
use libfuzzer_sys::fuzz_target;

const PURPOSES: [KeyPurpose; 5] = [
    KeyPurpose::ApiKey(Environment::Live),
    KeyPurpose::ApiKey(Environment::Test),
    KeyPurpose::AccessKey(Environment::Live),
    KeyPurpose::AccessKey(Environment::Test),
    KeyPurpose::Operator,
];

fuzz_target!(|text: &str| {
    a_shape_is_what_was_read(text);
    a_name_is_an_id_or_the_text_itself(text);
    a_custom_key_is_within_the_contract(text);
    a_drawn_key_is_read_back(text);
    if let Some(hash) = KeyHash::parse(text) {
        // A hash in another spelling is the same one: it decides whether an import is repeated.
        assert!(KeyHash::parse(text.trim_end_matches('=')).is_some());
        assert_eq!(format!("{hash:?}"), "[hash]");
    }
});

fn a_shape_is_what_was_read(text: &str) {
    let Some(shape) = KeyShape::read(text) else {
        return;
    };
    let prefix = shape.purpose.prefix();
    assert_eq!(text.len(), prefix.len() + 64);
    assert!(text.starts_with(prefix) && base62::is_base62(&text[prefix.len()..]));
    assert_eq!(shape.public, &text[prefix.len()..][..PUBLIC_LENGTH]);
    // A key never names an object, and an access key or the operator's can be nobody's own key.
    assert!(matches!(name_of_api_key(text), KeyName::Full(full) if full == text));
    assert!(matches!(name_of_access_key(text), KeyName::Full(full) if full == text));
    if !matches!(shape.purpose, KeyPurpose::ApiKey(_)) {
        assert!(check_custom_key(text).is_err());
    }
    // Any one other character breaks the checksum, which is then told and nothing else.
    let mut typo = text.to_owned().into_bytes();
    let place = prefix.len() + usize::from(text.as_bytes()[text.len() - 1]) % 64;
    typo[place] = if typo[place] == b'x' { b'y' } else { b'x' };
    let typo = String::from_utf8(typo).expect("it is ASCII");
    let read = KeyShape::read(&typo).expect("it has the same shape");
    assert_eq!(read.purpose, shape.purpose);
    assert!(!(read.checksum_holds && shape.checksum_holds));
}

fn a_name_is_an_id_or_the_text_itself(text: &str) {
    match name_of_api_key(text) {
        KeyName::Id(id) => {
            assert_eq!(Id::<id::ApiKey>::parse(id.as_str()).as_ref(), Some(&id));
            assert!(matches!(name_of_api_key(&custom_reference(&id)), KeyName::Id(same) if same == id));
            // What names a key is no key: nobody may bring it as their own.
            assert!(check_custom_key(text).is_err());
            assert!(KeyShape::read(text).is_none());
        }
        KeyName::Full(full) => assert_eq!(full, text),
    }
    match name_of_access_key(text) {
        KeyName::Id(id) => {
            assert_eq!(Id::<id::AccessKey>::parse(id.as_str()).as_ref(), Some(&id));
            assert!(check_custom_key(text).is_err());
        }
        KeyName::Full(full) => assert_eq!(full, text),
    }
}

fn a_custom_key_is_within_the_contract(text: &str) {
    if check_custom_key(text).is_err() {
        return;
    }
    assert!((12..=255).contains(&text.len()));
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!text.contains(['/', '?', '#', '%', '*', '\\']));
    assert!(!id::is_shaped_as_id(text));
    assert!(matches!(name_of_api_key(text), KeyName::Full(_)));
    assert!(matches!(name_of_access_key(text), KeyName::Full(_)));
}

fn a_drawn_key_is_read_back(text: &str) {
    let seed = text.bytes().fold(0, |seed: u8, byte| {
        seed.wrapping_mul(31).wrapping_add(byte)
    });
    for purpose in PURPOSES {
        let drawn = purpose.draw(&Same(seed));
        let shape = KeyShape::read(drawn.plain.expose()).expect("a drawn key is one");
        assert!(shape.checksum_holds);
        assert_eq!(shape.purpose, purpose);
        assert_eq!(shape.public, drawn.public);
    }
}
