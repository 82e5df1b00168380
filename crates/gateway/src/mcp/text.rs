//! The text of an answer. What lists all tools is large and the same for many requests: it is sent as it is,
//! and not copied for each of them.

use bytes::Bytes;

/// From so many bytes on a part is not copied.
const LARGE: usize = 16 * 1_024;

/// A text, in up to three parts that follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text([Bytes; 3]);

impl From<Bytes> for Text {
    fn from(text: Bytes) -> Self {
        Self([text, Bytes::new(), Bytes::new()])
    }
}

impl Text {
    /// A text with something before and behind it.
    pub(super) fn around(before: String, text: Bytes, behind: &'static str) -> Self {
        if text.len() < LARGE {
            let whole = [before.as_bytes(), &text, behind.as_bytes()].concat();
            return Bytes::from(whole).into();
        }
        Self([before.into(), text, Bytes::from_static(behind.as_bytes())])
    }

    /// The text in one part.
    pub fn whole(self) -> Bytes {
        self.whole_or_parts()
            .unwrap_or_else(|parts| parts.concat().into())
    }

    /// The text as it is, in one part, or in several, none of them empty.
    pub(crate) fn whole_or_parts(self) -> Result<Bytes, [Bytes; 3]> {
        let [first, second, third] = self.0;
        if second.is_empty() {
            return Ok(first);
        }
        Err([first, second, third])
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_same_in_one_part_and_in_several() {
        for length in [0, 1, LARGE - 1, LARGE, LARGE + 1] {
            let shared = Bytes::from("x".repeat(length));
            let text = Text::around("<".to_owned(), shared, ">");
            let expected = format!("<{}>", "x".repeat(length));
            assert_eq!(text.len(), length + 2);
            match text.clone().whole_or_parts() {
                Ok(whole) => assert!(length < LARGE && whole == expected),
                Err(parts) => assert!(length >= LARGE && parts.concat() == expected.as_bytes()),
            }
            assert_eq!(text.whole(), expected);
        }
    }
}
