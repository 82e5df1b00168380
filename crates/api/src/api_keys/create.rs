//! `POST /api-keys`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{KeyPurpose, PlainKey, check_custom_key};
use claviger_domain::random::Random;
use claviger_edge::permission::KeysWrite;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, NoStore, Patch};
use claviger_store::api_keys::{ApiKey, Status};
use claviger_store::projects::Project;
use claviger_store::{Base, Change, projects};
use claviger_verify::Creation;
use http::StatusCode;
use serde_json::json;

use crate::wire::{ApiKeyBody, ApiKeyInput, NewApiKey, api_key_body, name_of};

/// Create an API key
///
/// Makes a key in a project and answers it in full: the only time that it is shown, so store it
/// or hand it to your customer now. The project's id comes from listing projects; it is not needed
/// when the caller has one project only. Send an `Idempotency-Key` header to be safe to repeat.
#[utoipa::path(post, path = "/api-keys", operation_id = "createApiKey", tag = "api_keys",
    request_body = NewApiKey,
    responses(
        (status = 201, description = "The key, in full.", body = ApiKeyBody),
        (status = 400, description = "A member is malformed, or the project is not clear."),
        (status = 404, description = "No such project."),
        (status = 409, description = "Another key has that key string.")))]
pub(crate) async fn create_api_key(
    State(core): State<Core>,
    caller: Caller<KeysWrite>,
    Body(input): Body<ApiKeyInput>,
) -> Result<Response, ApiError> {
    named(&input)?;
    let project = project_for(&core, &caller, input.project_id.as_deref()).await?;
    let change = core.change(&caller.actor);
    let (key, plain) = new_key(input, &project, &change, &*core.random)?;
    let data = json!({"name": key.name, "customAccountId": key.custom_account_id});
    let made = core
        .verifier
        .create_api_key(change, key.clone(), &plain, project.key_storage, data);
    match made.await? {
        Creation::Done => {}
        Creation::Duplicate => return Err(duplicate()),
        Creation::NoProject => return Err(crate::projects::absent()),
    }
    let body = api_key_body(&core, &key, Some(&plain)).await?;
    Ok((StatusCode::CREATED, NoStore(Json(body))).into_response())
}

/// Another key of the family has that key string.
pub(crate) fn duplicate() -> ApiError {
    ApiError::new(
        ErrorCode::DuplicateKey,
        "Another key of this account has that key string",
    )
}

/// Checks a key string that the caller brought.
pub(super) fn custom_key(text: &str) -> Result<PlainKey, ApiError> {
    check_custom_key(text).map_err(|error| {
        let mut refusal = ApiError::field("key", error.to_string());
        refusal.code = ErrorCode::InvalidKey;
        refusal
    })?;
    Ok(PlainKey::new(text))
}

/// The project that is named, or else the only one that the caller has.
pub(super) async fn project_for(
    core: &Core,
    caller: &Caller<KeysWrite>,
    named: Option<&str>,
) -> Result<Project, ApiError> {
    if let Some(text) = named {
        let id = Id::parse(text).ok_or_else(crate::projects::absent)?;
        let found = core.verifier.project(&caller.reach, &id).await?;
        return found.ok_or_else(crate::projects::absent);
    }
    let account = caller.own_account()?;
    if let Some(only) = core.verifier.only_project(&caller.reach, account).await? {
        return Ok(only);
    }
    let total = projects::count(&core.db, &caller.reach, &account.id).await?;
    let message = format!("projectId is required: this credential reaches {total} projects");
    Err(ApiError::new(ErrorCode::ProjectNeeded, message))
}

/// Refuses what has no name, or one that no key may have.
pub(crate) fn named(input: &ApiKeyInput) -> Result<(), ApiError> {
    let name = match &input.name {
        Patch::Set(name) => Some(name.as_str()),
        Patch::Keep | Patch::Clear => None,
    };
    name_of(name).map(|_| ())
}

/// The whole creation as a rule: the key that a body comes to in a project, and its key string.
pub(crate) fn new_key(
    input: ApiKeyInput,
    project: &Project,
    change: &Change,
    random: &dyn Random,
) -> Result<(ApiKey, PlainKey), ApiError> {
    let drawn = KeyPurpose::ApiKey(project.environment()).draw(random);
    let custom = input.key.as_deref().map(custom_key).transpose()?;
    let mut key = ApiKey {
        is_custom: custom.is_some(),
        ..blank(Id::from_suffix(&drawn.public), project, change)
    };
    input.apply(&mut key)?;
    Ok((key, custom.unwrap_or(drawn.plain)))
}

/// A key of a project on which nothing is set.
pub(super) fn blank(id: Id<id::ApiKey>, project: &Project, change: &Change) -> ApiKey {
    ApiKey {
        lineage: id.clone(),
        id,
        project_id: project.id.clone(),
        account: project.account(),
        environment: project.environment(),
        name: String::new(),
        is_custom: false,
        metadata: "{}".to_owned(),
        custom_account_id: None,
        custom_user_id: None,
        rate_limit: None,
        quota: None,
        expires_at: None,
        client_ip: None,
        client_user_agent: None,
        allowed_domains: Vec::new(),
        allowed_ips: Vec::new(),
        scopes: Vec::new(),
        status: Status::Active,
        reason: None,
        revoked_at: None,
        revoked_by: None,
        stops_at: None,
        rotated_from: None,
        rotated_to: None,
        first_used_at: None,
        last_used_at: None,
        base: Base::made_by(change),
    }
}
