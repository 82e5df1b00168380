//! Where in a JSON value something is: names and positions joined by dots.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// How deep one reaches, at most.
const DEEPEST: usize = 32;

/// A place in a JSON value, such as `data.items.0.name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePath(Vec<String>);

/// A text that is no such place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {DEEPEST} names joined by dots, such as `data.items`")]
pub struct NoValuePath;

impl ValuePath {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Self, NoValuePath> {
        let steps: Vec<String> = text.split('.').map(str::to_owned).collect();
        let is_sound = steps.len() <= DEEPEST && steps.iter().all(|step| !step.is_empty());
        if is_sound {
            Ok(Self(steps))
        } else {
            Err(NoValuePath)
        }
    }

    /// What is there in a value.
    pub fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |at, step| match at {
            Value::Object(members) => members.get(step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

impl fmt::Display for ValuePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl<'de> Deserialize<'de> for ValuePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_goes_through_members_and_positions() {
        let value = json!({ "data": { "items": [{ "name": "a" }, { "name": null }] } });
        let at = |path: &str| ValuePath::parse(path).unwrap().of(&value).cloned();
        assert_eq!(at("data.items.0.name"), Some(json!("a")));
        assert_eq!(at("data.items.1.name"), Some(Value::Null));
        for absent in [
            "data.items.2",
            "data.items.x",
            "data.name",
            "data.items.0.name.a",
        ] {
            assert_eq!(at(absent), None, "{absent}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", &["a"; 33].join(".")] {
            assert_eq!(ValuePath::parse(bad), Err(NoValuePath), "{bad}");
        }
    }
}
