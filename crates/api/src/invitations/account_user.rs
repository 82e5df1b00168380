//! `POST /accounts/{id}/users`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use claviger_domain::email::Email;
use claviger_domain::role::Role;
use claviger_edge::permission::MembersWrite;
use claviger_edge::{ApiError, Body, Caller, Core, PathParameter};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::maker::invite;
use crate::access_keys::RoleName;
use crate::role_place::{RolePlace, read_role};

/// Somebody to bring into an account.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct NewAccountUser {
    /// Their address.
    #[serde(default)]
    #[schema(required, example = "ada@example.com")]
    email: Option<String>,
    /// As what; `developer` when it is not given. Nobody gives more than they hold.
    #[serde(default)]
    #[schema(value_type = Option<RoleName>)]
    role: Option<String>,
}

/// Bring somebody into an account
///
/// Invites somebody into the whole of an account: they hold the role once they accept. The account's id
/// comes from listing accounts.
#[utoipa::path(post, path = "/accounts/{id}/users", operation_id = "createAccountUser",
    tag = "accounts",
    params(("id" = String, Path, description = "The account's id, from listing accounts.",
        example = "acc_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = NewAccountUser,
    responses(
        (status = 201, description = "They are invited.", body = Object),
        (status = 400, description = "A member is malformed."),
        (status = 403, description = "It would exceed who invites."),
        (status = 404, description = "No such account."),
        (status = 429, description = "The account has had its invitations for this day.")))]
pub(crate) async fn create_account_user(
    State(core): State<Core>,
    caller: Caller<MembersWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<NewAccountUser>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let email = input.email.as_deref();
    let email = email.ok_or_else(|| ApiError::field("email", "is required"))?;
    let email = Email::parse(email)
        .ok_or_else(|| ApiError::field("email", "must be an address such as ada@example.com"))?;
    let role = match input.role.as_deref() {
        None => Role::Developer,
        role => read_role(role)?,
    };
    let place = RolePlace::find(&core, &caller, Some(&id), &BTreeSet::new()).await?;
    invite(&core, &caller, place, role, vec![email]).await?;
    Ok((StatusCode::CREATED, Json(json!({}))))
}
