//! `POST /auth/logout`.

use axum::extract::State;
use claviger_edge::{ApiError, Core, SignedIn};
use claviger_store::StoreError;
use claviger_store::sessions::{self, Ended};
use http::StatusCode;

/// Sign out
///
/// Ends the session that the access token is of: its tokens are refused from then on. Other sessions
/// of the user go on.
#[utoipa::path(post, path = "/auth/logout", operation_id = "logOut", tag = "auth",
    responses((status = 204, description = "The session is ended.")))]
pub(crate) async fn log_out(
    State(core): State<Core>,
    signed_in: SignedIn,
) -> Result<StatusCode, ApiError> {
    let change = core.change(&signed_in.identity.actor);
    let (user, session) = (signed_in.user.clone(), signed_in.session);
    core.verifier
        .change_person::<_, StoreError, _>(user.clone(), move |tx| {
            Box::pin(async move {
                sessions::end(tx, &change, &user, Ended::One(&session), "logout").await
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
