//! The header fields of a request, whoever read them: axum, or the program itself.

use http::{HeaderMap, HeaderName};

/// Looks header fields up.
pub trait Fields {
    /// The value of the first field with that name.
    fn value(&self, name: &HeaderName) -> Option<&[u8]>;
}

impl Fields for HeaderMap {
    fn value(&self, name: &HeaderName) -> Option<&[u8]> {
        self.get(name).map(http::HeaderValue::as_bytes)
    }
}

impl dyn Fields + '_ {
    /// The same as text. Bytes that are no text are a value that nothing matches, not an absent one.
    pub fn text(&self, name: &HeaderName) -> Option<&str> {
        let value = self.value(name)?;
        let is_visible = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
        let text = value.iter().all(is_visible).then_some(value);
        Some(
            text.and_then(|text| str::from_utf8(text).ok())
                .unwrap_or(""),
        )
    }
}
