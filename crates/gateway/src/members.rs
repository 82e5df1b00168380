//! Members of a body, read one by one: a gateway body with a member that is not known is refused, since
//! a misspelt one could open a door.

use std::ops::RangeInclusive;

use claviger_edge::{ApiError, ErrorCode, FieldError};
use serde_json::{Map, Value};

use crate::nearest::{listed, nearest};
use claviger_domain::plain_text;

/// An object of a body and where in it it stands; null members are as if they were not there.
pub(crate) struct Members<'a> {
    path: &'a str,
    members: &'a Map<String, Value>,
}

impl<'a> Members<'a> {
    /// Takes an object whose members must all be among `known`.
    pub(crate) fn read(
        path: &'a str,
        members: &'a Map<String, Value>,
        known: &[&str],
    ) -> Result<Self, ApiError> {
        let members = Self { path, members };
        match members
            .members
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            Some(name) => Err(members.unknown(name, known)),
            None => Ok(members),
        }
    }

    fn unknown(&self, name: &str, known: &[&str]) -> ApiError {
        let shown: String = plain_text::clean(name).chars().take(64).collect();
        let near = nearest(name, known.iter().copied());
        let near = near
            .map(|near| format!(", did you mean `{near}`?"))
            .unwrap_or_default();
        let known = listed(known.iter().copied());
        let why = format!("is not known{near} (known: {known})");
        let field = self.field(&shown);
        let mut error = ApiError::new(ErrorCode::UnknownMember, format!("{field} {why}"));
        error.details.push(FieldError {
            field,
            message: why,
        });
        error
    }

    pub(crate) fn field(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        self.read_as(name, "must be a text", Value::as_str)
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.read_as(name, "must be true or false", Value::as_bool)
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, ApiError> {
        self.read_as(name, "must be an object", Value::as_object)
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        self.read_as(name, "must be a list of texts", |value| {
            let texts = value
                .as_array()?
                .iter()
                .map(|text| text.as_str().map(str::to_owned));
            texts.collect()
        })
    }

    /// A whole number within bounds.
    pub(crate) fn whole(
        &self,
        name: &str,
        bounds: RangeInclusive<u32>,
    ) -> Result<Option<u32>, ApiError> {
        let must = format!(
            "must be a whole number from {} to {}",
            bounds.start(),
            bounds.end()
        );
        self.read_as(name, &must, |value| {
            let number = u32::try_from(value.as_u64()?).ok()?;
            bounds.contains(&number).then_some(number)
        })
    }

    fn read_as<T>(
        &self,
        name: &str,
        must: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        read(value)
            .map(Some)
            .ok_or_else(|| ApiError::field(self.field(name), must))
    }
}
