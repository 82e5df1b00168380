//! `POST /accounts`.

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::AccountsCreate;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode};
use claviger_store::{StoreError, accounts};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::absent;
use super::body::AccountBody;
use crate::wire::name_of;

/// An account to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct NewAccount {
    /// The account's name: 1 to 255 characters.
    #[serde(default)]
    #[schema(required, example = "Acme")]
    name: Option<String>,
}

/// Create an account
///
/// The operator makes a new account; an owner makes a child of its own account, in which it has
/// the same rights. A child has no children.
#[utoipa::path(post, path = "/accounts", operation_id = "createAccount", tag = "accounts",
    request_body = NewAccount,
    responses(
        (status = 201, description = "The account.", body = AccountBody),
        (status = 409, description = "The caller's account is a child.")))]
pub(crate) async fn create_account(
    State(core): State<Core>,
    caller: Caller<AccountsCreate>,
    Body(input): Body<NewAccount>,
) -> Result<(StatusCode, Json<AccountBody>), ApiError> {
    let name = name_of(input.name.as_deref())?.to_owned();
    let parent = match caller.identity.account.clone() {
        Some(own) if !own.is_root() => {
            let message = "A child account has no children";
            return Err(ApiError::new(ErrorCode::ChildOfChild, message));
        }
        own => own.map(|account| account.id),
    };
    let (reach, change) = (caller.reach, core.change(&caller.actor));
    let created = core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                if let Some(parent) = &parent
                    && !accounts::hold(tx, &reach, parent).await?
                {
                    return Ok(None);
                }
                accounts::create(tx, &change, &name, parent.as_ref())
                    .await
                    .map(Some)
            })
        })
        .await?;
    let account = created.ok_or_else(absent)?;
    Ok((StatusCode::CREATED, Json((&account).into())))
}
