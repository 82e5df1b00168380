//! Which key a path names.

use claviger_domain::key_string::{KeyName, name_of_api_key};
use claviger_edge::{ApiError, Core, ErrorCode};
use claviger_store::api_keys::Selector;

/// Reads what stands in `/api-keys/{id}`: an id, a reference or the full key.
pub(crate) fn selector_of(core: &Core, text: &str) -> Selector {
    match name_of_api_key(text) {
        KeyName::Id(id) => Selector::Id(id),
        KeyName::Full(text) => Selector::Full {
            digest: core.verifier.digest(text),
            of_hash: core.verifier.digest_of_hash(text),
        },
    }
}

/// No such key, or one of another account: the same answer.
pub(crate) fn absent() -> ApiError {
    ApiError::new(ErrorCode::KeyNotFound, "API key not found")
}
