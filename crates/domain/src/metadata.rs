//! Budgets of the JSON that callers attach to their keys.

use serde_json::Value;

/// Bytes that metadata may have, written without spaces.
pub const LARGEST_METADATA: usize = 16 * 1024;
/// How deep metadata may be nested.
pub const DEEPEST_METADATA: usize = 32;

/// Why metadata is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// It has too many bytes.
    #[error("customMetaData has {0} bytes, at most {LARGEST_METADATA} are kept")]
    Size(usize),
    /// It is nested too deep.
    #[error("customMetaData is nested deeper than {DEEPEST_METADATA}")]
    Depth,
}

/// Writes metadata as the row has it, when it is within the budgets.
pub fn to_row(value: &Value) -> Result<String, MetadataError> {
    if depth(value) > DEEPEST_METADATA {
        return Err(MetadataError::Depth);
    }
    let text = value.to_string();
    if text.len() > LARGEST_METADATA {
        return Err(MetadataError::Size(text.len()));
    }
    Ok(text)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn too_large_or_too_deep_is_refused() {
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(to_row(&nested(32)).is_ok());
        assert_eq!(to_row(&nested(33)), Err(MetadataError::Depth));
        assert!(to_row(&json!("x".repeat(LARGEST_METADATA - 2))).is_ok());
        assert!(to_row(&json!("x".repeat(LARGEST_METADATA - 1))).is_err());
    }

    #[test]
    fn a_number_stays_as_it_is_however_often_it_is_read() {
        // Read by a quick way, it is its neighbour's.
        let text = r#"{"limit":2.6666666666666665e+103}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(to_row(&value).as_deref(), Ok(text));
    }
}
