//! Texts and dates as callers write them.

use std::borrow::Cow;

use claviger_domain::date;
use claviger_domain::time::Timestamp;
use claviger_edge::ApiError;
use serde::{Deserialize, Deserializer, de};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Characters that a name or a caller's own id may have.
const LONGEST: usize = 255;

/// A date in any of the documented forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateText(pub(crate) Timestamp);

impl<'de> Deserialize<'de> for DateText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        date::parse(&text)
            .map(Self)
            .ok_or_else(|| de::Error::custom(format!("must be {}", date::ACCEPTED)))
    }
}

impl PartialSchema for DateText {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for DateText {}

/// Checks a name: 1 to 255 characters, not only white space.
pub(crate) fn name_of(text: Option<&str>) -> Result<&str, ApiError> {
    let text = text.ok_or_else(|| ApiError::field("name", "is required"))?;
    if text.trim().is_empty() {
        return Err(ApiError::field("name", "must not be empty"));
    }
    short_text("name", text)
}

/// Checks a text that is kept: at most 255 characters.
pub(crate) fn short_text<'a>(field: &str, text: &'a str) -> Result<&'a str, ApiError> {
    let length = text.chars().count();
    if length > LONGEST {
        let message = format!("has {length} characters, at most {LONGEST} are kept");
        return Err(ApiError::field(field, message));
    }
    Ok(text)
}

/// An instant of the query; `null` is none.
pub(crate) fn instant(
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<Timestamp>, ApiError> {
    let given = text.filter(|text| !text.is_empty() && *text != "null");
    let read = given.map(|text| {
        let message = || format!("must be {}", date::ACCEPTED);
        date::parse(text).ok_or_else(|| ApiError::field(field, message()))
    });
    read.transpose()
}
