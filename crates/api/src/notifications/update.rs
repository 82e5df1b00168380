//! `PATCH /notifications/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_domain::id::Id;
use claviger_edge::permission::NotificationsRead;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, PathParameter};
use claviger_store::{StoreError, notifications};
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::NotificationBody;

/// What of a notification can be changed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotificationChange {
    /// Whether it is read; `true` when it is not given.
    #[serde(default)]
    is_read: Option<bool>,
}

/// Mark a notification as read
///
/// Marks a notification as read for all of the account, or with `{"isRead": false}` as unread again.
/// Its id comes from listing notifications.
#[utoipa::path(patch, path = "/notifications/{id}", operation_id = "updateNotification",
    tag = "notifications",
    params(("id" = String, Path, description = "The notification's id, from listing notifications.",
        example = "ntf_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = NotificationChange,
    responses(
        (status = 200, description = "The notification as it is now.", body = NotificationBody),
        (status = 404, description = "No such notification.")))]
pub(crate) async fn update_notification(
    State(core): State<Core>,
    caller: Caller<NotificationsRead>,
    PathParameter(id): PathParameter,
    Body(input): Body<NotificationChange>,
) -> Result<Json<NotificationBody>, ApiError> {
    let absent = || ApiError::new(ErrorCode::NotificationNotFound, "Notification not found");
    let id = Id::parse(&id).ok_or_else(absent)?;
    let is_read = input.is_read.unwrap_or(true);
    let (reach, change) = (caller.reach, core.change(&caller.actor));
    let marked = core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move { notifications::mark(tx, &change, &reach, &id, is_read).await })
    });
    let notification = marked.await?.ok_or_else(absent)?;
    Ok(Json((&notification).into()))
}
