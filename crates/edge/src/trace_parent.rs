//! The trace that a request is part of, as W3C Trace Context tells it.

use http::HeaderMap;

/// `00-` with 32 digits of the trace, 16 of the span, 2 of flags.
const LENGTH: usize = 55;

/// Reads `traceparent` where it is there once and well formed: only hexadecimal digits and dashes
/// come from it. What a later version adds behind is left out.
pub(crate) fn trace_parent(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all("traceparent").iter();
    let text = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (known, rest) = text.split_at_checked(LENGTH)?;
    let mut parts = known.split('-');
    let mut part = |length: usize| {
        let part = parts.next()?;
        let is_hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (part.len() == length && part.bytes().all(is_hexadecimal)).then_some(part)
    };
    let (version, trace, span, _flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let is_of_known_form = match version {
        "00" => rest.is_empty(),
        "ff" => false,
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    let is_set = |id: &str| id.bytes().any(|digit| digit != b'0');
    (is_of_known_form && is_set(trace) && is_set(span)).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("traceparent", value.parse().unwrap());
        }
        trace_parent(&headers).map(str::to_owned)
    }

    #[test]
    fn what_is_well_formed_is_read() {
        assert_eq!(read(&[GOOD]).as_deref(), Some(GOOD));
        let later = GOOD.replacen("00", "cc", 1);
        assert_eq!(read(&[&format!("{later}-more")]), Some(later));
    }

    #[test]
    fn anything_else_is_left_alone() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[GOOD, GOOD]), None);
        for wrong in [
            String::new(),
            GOOD.to_uppercase(),
            GOOD.replacen("00", "ff", 1),
            format!("{GOOD}-more"),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace("-01", "-0g"),
            GOOD.replace('-', "_"),
            GOOD[..54].to_owned(),
            "é".repeat(28),
        ] {
            let value = http::HeaderValue::from_bytes(wrong.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([("traceparent".parse().unwrap(), value)]);
            assert_eq!(trace_parent(&headers), None, "{wrong}");
        }
    }
}
