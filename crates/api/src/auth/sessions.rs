//! `GET` and `DELETE /auth/sessions`.

use axum::extract::State;
use claviger_domain::id::Id;
use claviger_domain::time::Timestamp;
use claviger_edge::{ApiError, Core, ErrorCode, ListPart, Listed, Query, SignedIn};
use claviger_store::sessions::{self, Ended, Session};
use claviger_store::{Page, StoreError};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// That somebody is signed in, in one program of theirs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub(crate) struct SessionBody {
    /// The session's id.
    #[schema(example = "ses_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// Whether it is the one that asks.
    is_current: bool,
    /// What the program that began it calls itself.
    user_agent: Option<String>,
    /// The network that it was begun from.
    address: Option<String>,
    /// When it was begun.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it got its tokens.
    #[schema(value_type = String, format = DateTime)]
    refreshed_at: Timestamp,
    /// When it ends, unless it is refreshed before that.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Sessions to answer, at most 1000; all of them when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Sessions to skip.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// List your sessions
///
/// Answers where the user of the access token is signed in, the oldest session first.
#[utoipa::path(get, path = "/auth/sessions", operation_id = "listSessions", tag = "auth",
    params(ListParameters),
    responses((status = 200, description = "The sessions.", body = Vec<SessionBody>)))]
pub(crate) async fn list_sessions(
    State(core): State<Core>,
    signed_in: SignedIn,
    Query(parameters): Query<ListParameters>,
) -> Result<Listed<SessionBody>, ApiError> {
    let part = ListPart::read(parameters.limit.as_deref(), parameters.offset.as_deref())?;
    let page = Page::first(part.limit.unwrap_or(i64::MAX), part.offset);
    let (found, total) = sessions::list(&core.db, &signed_in.user, &page, core.now()).await?;
    let body = |session: Session| SessionBody {
        is_current: session.id == signed_in.session,
        id: session.id.to_string(),
        user_agent: session.user_agent,
        address: session.address,
        created_at: session.created_at,
        refreshed_at: session.refreshed_at,
        expires_at: session.expires_at,
    };
    Ok(Listed {
        items: found.into_iter().map(body).collect(),
        total,
    })
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EndParameters {
    /// The session to end: an id from listing sessions. Without it, all but the one that asks.
    #[param(example = "ses_4f8Q2mXc7ZrT1bVw9KpL")]
    id: Option<String>,
}

/// End your sessions
///
/// Ends one session of the user of the access token, or all but the one that asks: whoever is signed
/// in there has to sign in again.
#[utoipa::path(delete, path = "/auth/sessions", operation_id = "endSessions", tag = "auth",
    params(EndParameters),
    responses(
        (status = 204, description = "They are ended."),
        (status = 404, description = "No such session of yours.")))]
pub(crate) async fn end_sessions(
    State(core): State<Core>,
    signed_in: SignedIn,
    Query(parameters): Query<EndParameters>,
) -> Result<StatusCode, ApiError> {
    let absent = || ApiError::new(ErrorCode::SessionNotFound, "Session not found");
    let named = parameters.id.as_deref();
    let named = named.map(|text| Id::parse(text).ok_or_else(absent));
    let named = named.transpose()?;
    let is_named = named.is_some();
    let change = core.change(&signed_in.identity.actor);
    let (user, current) = (signed_in.user.clone(), signed_in.session);
    let ended = core
        .verifier
        .change_person::<_, StoreError, _>(user.clone(), move |tx| {
            Box::pin(async move {
                let which = match &named {
                    Some(id) => Ended::One(id),
                    None => Ended::Others(&current),
                };
                sessions::end(tx, &change, &user, which, "ended").await
            })
        })
        .await?;
    if is_named && ended == 0 {
        return Err(absent());
    }
    Ok(StatusCode::NO_CONTENT)
}
