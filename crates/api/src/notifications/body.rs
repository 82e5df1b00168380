//! A notification as answers show it.

use claviger_domain::time::Timestamp;
use claviger_store::notifications::Notification;
use serde::Serialize;
use utoipa::ToSchema;

/// Something that the people of an account are told.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Notification)]
pub(crate) struct NotificationBody {
    /// The notification's id.
    #[schema(example = "ntf_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// What happened, as webhooks call it.
    #[schema(example = "webhook.disabled")]
    r#type: String,
    /// It in a few words.
    title: String,
    /// It in a sentence or two.
    body: String,
    /// The account that it is about.
    account_id: String,
    /// The project that it is about, where it is about one.
    project_id: Option<String>,
    /// When it was told.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When somebody marked it read.
    #[schema(value_type = Option<String>, format = DateTime)]
    read_at: Option<Timestamp>,
}

impl From<&Notification> for NotificationBody {
    fn from(notification: &Notification) -> Self {
        let read_at = notification.read_at();
        let notification = notification.clone();
        Self {
            id: notification.id.to_string(),
            r#type: notification.kind,
            title: notification.title,
            body: notification.body,
            account_id: notification.account_id.to_string(),
            project_id: notification.project_id,
            created_at: notification.created_at,
            read_at,
        }
    }
}
