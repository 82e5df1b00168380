//! `POST /tenants`.

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::AccountsCreate;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, NoStore};
use claviger_store::tenants::TenantKey;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::make::make;
use super::read::{TenantAccessKey, TenantAccount, TenantInvite, TenantProject, Wanted};
use crate::wire::{ApiKeyInput, NewApiKey, short_text};

/// A customer to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewTenant {
    /// Your own id of the customer: the same one gets the same tenant again, with its secrets masked.
    #[serde(default)]
    #[schema(required, example = "customer-4711")]
    external_id: Option<String>,
    /// The account; called like `externalId` when it is not given.
    #[serde(default)]
    account: Option<TenantAccount>,
    /// The projects, at most 20; one called like the account when none are given.
    #[serde(default)]
    projects: Option<Vec<TenantProject>>,
    /// An API key to make in the first project, as creating one takes it.
    #[serde(default)]
    #[schema(value_type = Option<NewApiKey>)]
    api_key: Option<ApiKeyInput>,
    /// An access key to make for the account.
    #[serde(default)]
    access_key: Option<TenantAccessKey>,
    /// Somebody to invite into the account.
    #[serde(default)]
    invite: Option<TenantInvite>,
}

/// Create a tenant
///
/// Makes a new customer with all that it has, or none of it: an account (of an owner's access key a
/// child of its own), projects, and, where they are asked for, an API key, an access key and an
/// invitation. Secrets are shown once; the same `externalId` answers the same tenant with them masked,
/// as it was made: by the ids that it has, its objects tell what they are by now.
#[utoipa::path(post, path = "/tenants", operation_id = "createTenant", tag = "accounts",
    request_body = NewTenant,
    responses(
        (status = 201, description = "`externalId`, `account`, `projects`, and what was asked for of \
            `apiKey`, `accessKey` and `invitation`.", body = Object),
        (status = 400, description = "A member is malformed."),
        (status = 403, description = "Something would exceed its maker."),
        (status = 409, description = "The caller's account is a child.")))]
pub(crate) async fn create_tenant(
    State(core): State<Core>,
    caller: Caller<AccountsCreate>,
    Body(input): Body<NewTenant>,
) -> Result<(StatusCode, NoStore<Json<Value>>), ApiError> {
    let external_id = input.external_id.as_deref().unwrap_or_default().trim();
    if external_id.is_empty() {
        return Err(ApiError::field("externalId", "is required"));
    }
    let external_id = short_text("externalId", external_id)?.to_owned();
    let wanted = Wanted::read(
        &external_id,
        input.account,
        input.projects,
        input.api_key,
        input.access_key,
        input.invite,
    )?;
    let makes_for_longer = wanted.access_key.is_some() || wanted.invite.is_some();
    if makes_for_longer && caller.identity.ends_at.is_some() {
        let message = "What has an end makes no access key and no invitation without one";
        return Err(ApiError::new(ErrorCode::ExceedsMaker, message));
    }
    let person = caller.identity.in_person();
    let parent = match (person, caller.identity.account.clone()) {
        (Some(_), _) => None,
        (_, Some(own)) if !own.is_root() => return Err(crate::accounts::child_of_child()),
        (_, own) => own.map(|account| account.id),
    };
    let maker = match (person, &parent) {
        (Some(user), _) => user.to_string(),
        (_, Some(parent)) => parent.to_string(),
        (_, None) => String::new(),
    };
    let key = TenantKey { maker, external_id };
    let answer = make(&core, &caller, key, parent, wanted).await?;
    Ok((StatusCode::CREATED, NoStore(Json(answer))))
}
