//! Wire types that several endpoints share.

mod alias;
mod api_key;
mod api_key_input;
mod base;
mod text;

pub(crate) use alias::choose;
pub(crate) use api_key::{
    ApiKeyBody, EnvironmentName, PeriodName, StatusName, api_key_body, api_key_body_of,
};
pub(crate) use api_key_input::{ApiKeyInput, NewApiKey};
pub(crate) use base::BaseBody;
pub(crate) use text::{DateText, instant, name_of, short_text};
