//! `GET /api-keys/{id}`.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_edge::permission::KeysRead;
use claviger_edge::{ApiError, Caller, Core, NoStore, PathParameter};
use claviger_store::api_keys;

use super::reveal::Reader;
use super::selector::{absent, selector_of};
use crate::wire::{ApiKeyBody, api_key_body};

/// Show an API key
///
/// Answers a key by its id, its reference or the key itself, whether or not it is switched on. To
/// see whether a key would pass, ask `/api-keys/{id}/auth`; showing it counts nothing. In a project
/// whose keys can be read back, an access key that was granted that is shown the key in full.
#[utoipa::path(get, path = "/api-keys/{id}", operation_id = "showApiKey", tag = "api_keys",
    params(("id" = String, Path, description = "The key's id (from listing keys), its reference, \
        or the key itself.", example = "key_8dK2vQ0mZpR4xTbW")),
    responses(
        (status = 200, description = "The key, shown by its reference, or in full to \
            whoever may read it back.", body = ApiKeyBody),
        (status = 404, description = "No such key.")))]
pub(crate) async fn show_api_key(
    State(core): State<Core>,
    caller: Caller<KeysRead>,
    PathParameter(id): PathParameter,
) -> Result<Response, ApiError> {
    let which = selector_of(&core, &id);
    let key = api_keys::find(&core.db, &caller.reach, &which)
        .await?
        .ok_or_else(absent)?;
    let keys = [key];
    let [key] = &keys;
    let mut read = match Reader::of(&core, &caller.identity).await? {
        Some(reader) => reader.read(&core, &keys).await?,
        None => HashMap::new(),
    };
    let plain = read.remove(&key.id);
    let body = Json(api_key_body(&core, key, plain.as_ref()).await?);
    Ok(match plain {
        Some(_) => NoStore(body).into_response(),
        None => body.into_response(),
    })
}
