//! What the endpoints make of bodies, without a program around them: for properties that are tried
//! on bodies by the million.

use claviger_domain::key_string::PlainKey;
use claviger_domain::limit::Level;
use claviger_domain::random::Random;
use claviger_domain::time::Timestamp;
use claviger_edge::{ApiError, read_body};
use claviger_store::api_keys::ApiKey;
use claviger_store::projects::Project;
use claviger_store::{Change, StoreError};
use claviger_verify::Edit;

use crate::api_keys::{ImportInput, VerifyBatchInput, VerifyInput};
use crate::api_keys::{apply, named, new_key, read_row};
use crate::wire::{ApiKeyInput, api_key_body_of};

/// The key that `POST /api-keys` makes of a body in a project, and its key string.
pub fn created(
    body: &[u8],
    project: &Project,
    change: &Change,
    random: &dyn Random,
) -> Result<(ApiKey, PlainKey), ApiError> {
    let input: ApiKeyInput = read_body(body)?;
    named(&input)?;
    new_key(input, project, change, random)
}

/// Applies a body to a key as `PATCH /api-keys/{id}` does, and tells what is to be done.
pub fn updated(body: &[u8], key: &mut ApiKey, change: &Change) -> Result<Edit, ApiError> {
    let input: ApiKeyInput = read_body(body)?;
    apply(input, key, change)
}

/// The keys that `POST /api-keys/import` makes of a body in a project, or why not, row by row.
pub fn imported(
    body: &[u8],
    project: &Project,
    change: &Change,
) -> Result<Vec<Result<ApiKey, ApiError>>, ApiError> {
    let input: ImportInput = read_body(body)?;
    let rows = input.rows()?.iter();
    Ok(rows
        .map(|row| read_row(row, project, change).map(|(key, _)| key))
        .collect())
}

/// What the checks of a body of `POST /api-keys/verify` would take from limits and quotas: one
/// cost a key, also for a body of `POST /api-keys/verify/batch`.
pub fn verified(body: &[u8]) -> Result<Vec<u64>, ApiError> {
    if let Ok(input) = read_body::<VerifyInput>(body) {
        input.check_bounds("")?;
        return Ok(vec![input.question().cost]);
    }
    let batch: VerifyBatchInput = read_body(body)?;
    batch.check_size()?;
    let inputs = batch.inputs().iter();
    inputs
        .map(|input| {
            input.check_bounds("keys")?;
            Ok(input.question().cost)
        })
        .collect()
}

/// The key as answers show it, in JSON; its quota has not been used.
pub fn shown(key: &ApiKey, now: Timestamp) -> Result<String, StoreError> {
    let level = key.quota.map(|quota| Level {
        limit: quota.limit,
        used: 0,
        resets_at: quota.period.end(now),
    });
    let body = api_key_body_of(&key.view(), None, now, level)?;
    Ok(serde_json::to_string(&body).expect("it has only texts, numbers and JSON"))
}
