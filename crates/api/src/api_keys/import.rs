//! `POST /api-keys/import`.

use std::fmt::Formatter;

use axum::extract::State;
use axum::{Extension, Json};
use claviger_domain::id::Id;
use claviger_domain::key_hash::KeyHash;
use claviger_domain::key_string::PUBLIC_LENGTH;
use claviger_domain::time::Timestamp;
use claviger_edge::permission::KeysWrite;
use claviger_edge::{ApiError, Body, Caller, Core, FieldError, parse};
use claviger_store::Change;
use claviger_store::api_keys::{ApiKey, Status};
use claviger_store::projects::Project;
use claviger_verify::{Brought, Imported};
use http::StatusCode;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::create::{blank, custom_key, duplicate, named, project_for};
use super::import_room::{ImportRoom, LARGEST_IMPORT_MIB};
use super::revoke::{reason_of, switch_off};
use crate::wire::ApiKeyInput;

/// Keys that one request brings, at most.
const LARGEST_IMPORT: usize = 1_000;

const HASH_DESCRIPTION: &str = "A hash in place of `key`, where the key string itself is not known \
    any more. The key is found by it the first time that somebody presents it.";

/// Keys that are in use elsewhere.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImportInput {
    /// The project that the keys are moved to: an id from listing projects. Not needed when the
    /// caller has one project only.
    #[serde(default, alias = "projectID", alias = "ProjectId")]
    project_id: Option<String>,
    /// Up to 1000 keys.
    #[serde(deserialize_with = "not_many_more_than_taken")]
    #[schema(value_type = Vec<ImportRow>)]
    keys: Vec<Box<RawValue>>,
    /// `true` tells what would come of each row, and stores nothing.
    #[serde(default)]
    dry_run: Option<bool>,
}

/// Reads one row more than is taken, and passes over the rest: millions of them fit into the body.
fn not_many_more_than_taken<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Box<RawValue>>, D::Error> {
    struct Rows;
    impl<'de> Visitor<'de> for Rows {
        type Value = Vec<Box<RawValue>>;

        fn expecting(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
            out.write_str("a sequence")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Self::Value, A::Error> {
            let mut taken = Vec::new();
            while taken.len() <= LARGEST_IMPORT {
                match rows.next_element()? {
                    Some(row) => taken.push(row),
                    None => return Ok(taken),
                }
            }
            while rows.next_element::<IgnoredAny>()?.is_some() {}
            Ok(taken)
        }
    }
    deserializer.deserialize_seq(Rows)
}

/// One key, for the OpenAPI document: as on creation, with its key string or a hash of it.
enum ImportRow {}

/// What a row has besides the settings of a key.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RowHash {
    #[serde(default)]
    key_hash: Option<KeyHashInput>,
}

/// A hash of the key string, where that itself is not known any more.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = KeyHash)]
pub(crate) struct KeyHashInput {
    /// How the key string was hashed.
    algorithm: HashName,
    /// The hash: 64 hexadecimal digits, or base64.
    value: String,
}

/// How a key string was hashed.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = HashAlgorithm)]
enum HashName {
    /// SHA-256 of the whole key string, without a salt.
    Sha256,
}

/// What came of one row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportResult)]
pub(crate) struct RowResult {
    /// The row's place in `keys`, from 0.
    #[schema(example = 0)]
    row: usize,
    /// What came of it.
    status: Outcome,
    /// The key's id, where it was created or was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "key_8dK2vQ0mZpR4xTbW")]
    id: Option<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RowError>,
}

/// What came of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ImportStatus)]
enum Outcome {
    /// The key is stored, and can be used at once.
    Created,
    /// The project has a key with that key string already, such as from the same row sent before.
    /// It was left as it is.
    Exists,
    /// The key is not stored; see `error`.
    Refused,
}

/// Why a row was refused, in the words of an error of creating that key alone.
#[derive(Debug, Serialize, ToSchema)]
struct RowError {
    /// One of the documented codes, such as `duplicate_key`.
    #[schema(example = "duplicate_key")]
    code: &'static str,
    /// A sentence for people.
    message: String,
    /// The members that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    details: Vec<FieldError>,
}

/// Move API keys here
///
/// For keys that your customers have already: takes up to 1000 of them with their key strings, or
/// with SHA-256 hashes where you kept nothing else, so that nobody has to change a key. The answer
/// has a result for each row; a row that is refused does not hold up the others. The same row can
/// be sent again: it is known and left as it is. With `dryRun` nothing is stored.
#[utoipa::path(post, path = "/api-keys/import", operation_id = "importApiKeys", tag = "api_keys",
    request_body = ImportInput,
    responses(
        (status = 201, description = "What came of each row, in their order. No answer has a key \
            string.", body = Vec<RowResult>),
        (status = 200, description = "What would come of each row (`dryRun`).",
            body = Vec<RowResult>),
        (status = 400, description = "There are more than 1000 rows, or the project is not clear."),
        (status = 404, description = "No such project."),
        (status = 413, description = "The body is larger than 32 MiB.")))]
pub(crate) async fn import_api_keys(
    State(core): State<Core>,
    caller: Caller<KeysWrite>,
    // Held until the keys are stored.
    Extension(_room): Extension<ImportRoom>,
    Body(input): Body<ImportInput, LARGEST_IMPORT_MIB>,
) -> Result<(StatusCode, Json<Vec<RowResult>>), ApiError> {
    let texts = input.rows()?;
    let project = project_for(&core, &caller, input.project_id.as_deref()).await?;
    let change = core.change(&caller.actor);
    let mut results = Vec::with_capacity(texts.len());
    let mut keys = Vec::with_capacity(texts.len());
    for (row, text) in texts.iter().enumerate() {
        let read = read_row(text, &project, &change);
        results.push(match read {
            Ok((mut key, brought)) => {
                // A microsecond apart: lists have them in the order in which they came, and indexes by
                // date grow at their ends.
                let later = i64::try_from(row).unwrap_or_default();
                let made_at = Timestamp::from_micros(change.now.as_micros() + later);
                key.base.created_at = made_at;
                key.base.updated_at = made_at;
                keys.push((key, brought));
                None
            }
            Err(error) => Some(RowResult::refused(row, error)),
        });
    }
    let (status, outcomes) = if input.dry_run == Some(true) {
        let told = core.verifier.try_import(&project, keys).await?;
        (StatusCode::OK, told)
    } else {
        let verifier = &core.verifier;
        let stored = verifier.import_api_keys(&change, &project, keys).await?;
        (StatusCode::CREATED, stored)
    };
    let mut outcomes = outcomes.into_iter();
    let results = results
        .into_iter()
        .enumerate()
        .filter_map(|(row, refused)| {
            refused.or_else(|| Some(RowResult::of(row, outcomes.next()?)))
        });
    Ok((status, Json(results.collect())))
}

impl ImportInput {
    /// The rows, unless there are more than one request may bring.
    pub(crate) fn rows(&self) -> Result<&[Box<RawValue>], ApiError> {
        if self.keys.len() > LARGEST_IMPORT {
            let message = format!("has more than {LARGEST_IMPORT} members");
            return Err(ApiError::field("keys", message));
        }
        Ok(&self.keys)
    }
}

/// Reads one row as creating that key alone would.
pub(crate) fn read_row(
    text: &RawValue,
    project: &Project,
    change: &Change,
) -> Result<(ApiKey, Brought), ApiError> {
    let input: ApiKeyInput = parse(text.get().as_bytes())?;
    let RowHash { key_hash } = parse(text.get().as_bytes())?;
    named(&input)?;
    let named = input.project_id.as_deref();
    if named.is_some_and(|named| named != project.id.as_str()) {
        let message = "must be that of the request, or not be given";
        return Err(ApiError::field("projectId", message));
    }
    let brought = match (&input.key, key_hash) {
        (Some(text), None) => Brought::Plain(custom_key(text)?),
        (None, Some(hash)) => Brought::Hash(hash.read()?),
        (None, None) => return Err(ApiError::field("key", "is required, or keyHash")),
        (Some(_), Some(_)) => {
            return Err(ApiError::field(
                "keyHash",
                "is not needed beside key, give one of them",
            ));
        }
    };
    // The id follows from the key string; `verify` sets it.
    let mut key = ApiKey {
        is_custom: true,
        ..blank(Id::from_suffix(&"0".repeat(PUBLIC_LENGTH)), project, change)
    };
    let wanted = match (input.is_active, input.status.map(Status::from)) {
        (None | Some(true), None) => Status::Active,
        (Some(false), None) => Status::Inactive,
        (None, Some(status)) => status,
        (Some(is_active), Some(status)) if is_active == (status == Status::Active) => status,
        (Some(_), Some(_)) => {
            let message = "contradicts status, give one of them";
            return Err(ApiError::field("isActive", message));
        }
    };
    let reason = reason_of(input.reason.as_deref())?;
    input.apply(&mut key)?;
    if wanted != Status::Active {
        switch_off(&mut key, wanted, reason, change);
    }
    Ok((key, brought))
}

impl KeyHashInput {
    fn read(&self) -> Result<KeyHash, ApiError> {
        let HashName::Sha256 = self.algorithm;
        KeyHash::parse(&self.value).ok_or_else(|| {
            let message = "must be a SHA-256: 64 hexadecimal digits, or base64 of 32 bytes";
            ApiError::field("keyHash.value", message)
        })
    }
}

impl RowResult {
    fn of(row: usize, imported: Imported) -> Self {
        let known = |status, id: Id<_>| Self {
            row,
            status,
            id: Some(id.to_string()),
            error: None,
        };
        match imported {
            Imported::Created(id) => known(Outcome::Created, id),
            Imported::Exists(id) => known(Outcome::Exists, id),
            Imported::Taken => Self::refused(row, duplicate()),
            Imported::Repeated => {
                let mut error = duplicate();
                "An earlier row of this request has that key string".clone_into(&mut error.message);
                Self::refused(row, error)
            }
            Imported::NoProject => Self::refused(row, crate::projects::absent()),
        }
    }

    fn refused(row: usize, error: ApiError) -> Self {
        Self {
            row,
            status: Outcome::Refused,
            id: None,
            error: Some(RowError {
                code: error.code.as_str(),
                message: error.message,
                details: error.details,
            }),
        }
    }
}

impl PartialSchema for ImportRow {
    fn schema() -> RefOr<Schema> {
        let mut schema = ApiKeyInput::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.required.push("name".to_owned());
            let mut hash = Ref::from_schema_name("KeyHash");
            HASH_DESCRIPTION.clone_into(&mut hash.description);
            object.properties.insert("keyHash".to_owned(), hash.into());
            object.properties.shift_remove("projectId");
        }
        schema
    }
}

impl ToSchema for ImportRow {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ApiKeyInput::schemas(schemas);
        schemas.push(("KeyHash".to_owned(), KeyHashInput::schema()));
        KeyHashInput::schemas(schemas);
    }
}
