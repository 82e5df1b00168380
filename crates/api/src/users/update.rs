//! `PATCH /users/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_edge::{ApiError, Body, Core, PathParameter, SignedIn};
use claviger_store::{StoreError, users};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{UserBody, absent};
use crate::wire::name_of;

/// What of a user can be changed.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct UserChange {
    /// What they are called: 1 to 255 characters.
    #[serde(default)]
    #[schema(example = "Ada King")]
    name: Option<String>,
}

/// Rename yourself
///
/// Changes what the user of the access token is called. Nobody changes another; the id comes from
/// `/users/me`.
#[utoipa::path(patch, path = "/users/{id}", operation_id = "updateUser", tag = "users",
    params(("id" = String, Path, description = "Your own id, from `/users/me`.",
        example = "usr_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = UserChange,
    responses(
        (status = 200, description = "The user as they are now.", body = UserBody),
        (status = 404, description = "It is not your id.")))]
pub(crate) async fn update_user(
    State(core): State<Core>,
    signed_in: SignedIn,
    PathParameter(id): PathParameter,
    Body(input): Body<UserChange>,
) -> Result<Json<UserBody>, ApiError> {
    if id != signed_in.user.as_str() {
        return Err(absent());
    }
    let user = users::find(&core.db, &signed_in.user).await?;
    let user = user.ok_or_else(absent)?;
    let name = input.name.as_deref().map(|name| name_of(Some(name)));
    let name = name.transpose()?.map(str::trim);
    let Some(name) = name.filter(|name| *name != user.name) else {
        return Ok(Json((&user).into()));
    };
    let (name, change) = (name.to_owned(), core.change(&signed_in.identity.actor));
    let renamed = core
        .verifier
        .change_person::<_, StoreError, _>(user.id.clone(), move |tx| {
            Box::pin(async move { users::rename(tx, &change, &user.id, &name).await })
        })
        .await?;
    let user = renamed.ok_or_else(absent)?;
    Ok(Json((&user).into()))
}
