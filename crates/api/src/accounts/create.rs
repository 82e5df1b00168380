//! `POST /accounts`.

use axum::Json;
use axum::extract::State;
use claviger_domain::id::{self, Id};
use claviger_domain::role::Role;
use claviger_edge::permission::AccountsCreate;
use claviger_edge::{ApiError, Body, Caller, Core};
use claviger_store::roles::{self, Place};
use claviger_store::{StoreError, accounts};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::AccountBody;
use super::{absent, child_of_child};
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
/// The operator and users make a new account, which such a user owns; an owner's access key makes a
/// child of its own account, in which it has the same rights. A child has no children. Through the
/// gateway whoever asks makes a child of the connected account's.
#[utoipa::path(post, path = "/accounts", operation_id = "createAccount", tag = "accounts",
    request_body = NewAccount,
    responses(
        (status = 201, description = "The account.", body = AccountBody),
        (status = 403, description = "The user's address is not verified yet."),
        (status = 409, description = "The caller's account is a child.")))]
pub(crate) async fn create_account(
    State(core): State<Core>,
    caller: Caller<AccountsCreate>,
    Body(input): Body<NewAccount>,
) -> Result<(StatusCode, Json<AccountBody>), ApiError> {
    let name = name_of(input.name.as_deref())?.to_owned();
    if let Some(user) = caller.identity.in_person() {
        return create_for(&core, &caller, user.clone(), name).await;
    }
    let parent = match caller.identity.account.clone() {
        Some(own) if !own.is_root() => {
            return Err(child_of_child());
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

/// Makes an account that the user owns who asks.
async fn create_for(
    core: &Core,
    caller: &Caller<AccountsCreate>,
    user: Id<id::User>,
    name: String,
) -> Result<(StatusCode, Json<AccountBody>), ApiError> {
    let change = core.change(&caller.actor);
    let made = core
        .verifier
        .change_person::<_, StoreError, _>(user.clone(), move |tx| {
            Box::pin(async move {
                let account = accounts::create(tx, &change, &name, None).await?;
                let place = Place {
                    account: account.reference(),
                    project: None,
                };
                roles::give(tx, &change, &user, &place, Role::Owner).await?;
                Ok(account)
            })
        });
    let account = made.await?;
    Ok((StatusCode::CREATED, Json((&account).into())))
}
