//! `GET /notifications`.

use axum::extract::State;
use claviger_edge::permission::NotificationsRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, Listed, Query, flag};
use claviger_store::Page;
use claviger_store::notifications::{self, Filter};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::NotificationBody;
use crate::accounts;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// The account: an id from listing accounts. The caller's own when it is not given.
    account_id: Option<String>,
    /// Only notifications that somebody has read (`true`), or that nobody has (`false`).
    #[serde(default, deserialize_with = "flag")]
    #[param(value_type = Option<bool>)]
    is_read: Option<bool>,
    /// Notifications to answer, at most 1000; all of them when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Notifications to skip.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// List notifications
///
/// Answers what the people of an account are told, the oldest first: that a webhook was switched off,
/// for example. Use `isRead=false` to see what nobody has looked at.
#[utoipa::path(get, path = "/notifications", operation_id = "listNotifications",
    tag = "notifications", params(Parameters),
    responses(
        (status = 200, description = "The notifications.", body = Vec<NotificationBody>),
        (status = 404, description = "No such account.")))]
pub(crate) async fn list_notifications(
    State(core): State<Core>,
    caller: Caller<NotificationsRead>,
    Query(parameters): Query<Parameters>,
) -> Result<Listed<NotificationBody>, ApiError> {
    let part = ListPart::read(parameters.limit.as_deref(), parameters.offset.as_deref())?;
    let account = accounts::named_or_own(&core, &caller, parameters.account_id.as_deref()).await?;
    let filter = Filter {
        account,
        is_read: parameters.is_read,
    };
    let page = Page::first(part.limit.unwrap_or(i64::MAX), part.offset);
    let (found, total) = notifications::list(&core.db, &caller.reach, &filter, &page).await?;
    Ok(Listed {
        items: found.iter().map(Into::into).collect(),
        total,
    })
}
