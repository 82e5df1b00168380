//! Bytes as JSON has them: lists that `json_each` unpacks, of which `unhex` gives them back on both engines, and
//! lines of the log.

/// Writes bytes as digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|half| char::from(DIGITS[usize::from(half)]))
        .collect()
}

/// Reads bytes that were written as digits.
pub(crate) fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let value = |digit: u8| char::from(digit).to_digit(16);
    let bytes = pairs.iter().map(|[high, low]| {
        let byte = value(*high)? * 16 + value(*low)?;
        u8::try_from(byte).ok()
    });
    if rest.is_empty() {
        bytes.collect()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were_written() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes_of(&hexadecimal(&bytes)), Some(bytes));
        assert_eq!(bytes_of(""), Some(Vec::new()));
        for broken in ["0", "0g", "+1", "é"] {
            assert_eq!(bytes_of(broken), None, "{broken}");
        }
    }
}
