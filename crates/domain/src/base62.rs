//! Text of `[0-9A-Za-z]`: ids, key bodies, checksums.

use crate::random::Random;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Draws `length` characters, each of the 62 equally likely.
pub fn random_text(random: &dyn Random, length: usize) -> String {
    let mut text = String::with_capacity(length);
    draw(random, length, |character| text.push(character));
    text
}

/// Gives `length` characters one by one, each of the 62 equally likely.
pub fn draw(random: &dyn Random, length: usize, mut take: impl FnMut(char)) {
    let mut left = length;
    let mut bytes = [0u8; 64];
    while left > 0 {
        random.fill(&mut bytes);
        // 248 is the greatest multiple of 62 that fits: the rest would favour the first letters.
        for byte in bytes.iter().filter(|byte| **byte < 248).take(left) {
            take(char::from(ALPHABET[usize::from(byte % 62)]));
            left -= 1;
        }
    }
}

/// Writes `number` in six characters, zeros in front; enough for any 32-bit number.
pub fn six_characters(number: u32) -> [u8; 6] {
    let mut text = [b'0'; 6];
    let mut rest = number as usize;
    for place in text.iter_mut().rev() {
        *place = ALPHABET[rest % 62];
        rest /= 62;
    }
    text
}

/// Writes `number` in nine characters, zeros in front, which sort as the numbers do; enough for any
/// 53-bit number.
pub fn nine_characters(number: u64) -> String {
    let mut text = [b'0'; 9];
    let mut rest = number;
    for place in text.iter_mut().rev() {
        *place = ALPHABET[usize::try_from(rest % 62).unwrap_or(0)];
        rest /= 62;
    }
    text.into_iter().map(char::from).collect()
}

/// What a character stands for, which sorts as the characters do; 0 for one that is none of the 62.
pub const fn digit(character: u8) -> u8 {
    match character {
        b'0'..=b'9' => character - b'0',
        b'A'..=b'Z' => character - b'A' + 10,
        b'a'..=b'z' => character - b'a' + 36,
        _ => 0,
    }
}

/// Whether every character is one of the 62.
pub fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
