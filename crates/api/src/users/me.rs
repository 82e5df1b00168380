//! `GET /users/me`.

use axum::Json;
use axum::extract::State;
use claviger_edge::{ApiError, Core, SignedIn};
use claviger_store::users;

use super::{UserBody, absent};

/// Show yourself
///
/// Answers the user of the access token.
#[utoipa::path(get, path = "/users/me", operation_id = "showMe", tag = "users",
    responses((status = 200, description = "The user.", body = UserBody)))]
pub(crate) async fn show_me(
    State(core): State<Core>,
    signed_in: SignedIn,
) -> Result<Json<UserBody>, ApiError> {
    let user = users::find(&core.db, &signed_in.user).await?;
    let user = user.ok_or_else(absent)?;
    Ok(Json((&user).into()))
}
