//! A webhook as answers show it.

use std::collections::BTreeMap;

use claviger_domain::permission::Permission;
use claviger_domain::rights::Rights;
use claviger_domain::time::Timestamp;
use claviger_domain::webhook::Status;
use claviger_store::webhooks::Webhook;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::BaseBody;

/// What stands for the value of a header.
pub(super) const MASK: &str = "***";

/// A URL that is told what happens in an account. It may have secrets in it, and is not shown to logs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub(crate) struct WebhookBody {
    /// The webhook's id.
    #[schema(example = "whk_4f8Q2mXc7ZrT1bVw9KpL")]
    id: String,
    /// The account whose events it is told of.
    #[schema(example = "acc_4f8Q2mXc7ZrT1bVw9KpL")]
    account_id: String,
    /// The only project whose events it is told of, where it is for one.
    project_id: Option<String>,
    /// The first of its topics.
    #[schema(example = "api-key.created")]
    topic: Option<String>,
    /// What it is told of.
    #[schema(example = json!(["api-key.created", "api-key.deleted"]))]
    topics: Vec<String>,
    /// The webhook's name.
    name: Option<String>,
    /// Where deliveries go. Whoever may not change webhooks sees `***` for what follows the host.
    #[schema(example = "https://example.com/hooks")]
    url: String,
    /// The verb of deliveries: `POST`, `PUT` or `PATCH`.
    #[schema(example = "POST")]
    http_method: &'static str,
    /// The headers that it sends beside ours, each value as `***`.
    #[schema(example = json!({"authorization": "***"}))]
    custom_headers: BTreeMap<String, &'static str>,
    /// `live`; `paused` by somebody; `disabled` since its receiver failed for five days or answered
    /// 410. Only a live one is sent anything; for the others it waits, for 30 days.
    #[schema(example = "live")]
    status: &'static str,
    /// `standard` or `slack`.
    #[schema(example = "standard")]
    format: &'static str,
    /// Whether deliveries have the header `theauthapi-signature` as well.
    legacy_signature: bool,
    /// Since when no delivery has succeeded, where the last one failed.
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<Timestamp>,
    /// Until when nothing is sent: its receiver asked for that, or took nothing when it was asked last.
    #[schema(value_type = Option<String>, format = DateTime)]
    rests_until: Option<Timestamp>,
    /// Events that it was not told of, since as much waited for it as may: 100000 deliveries, and 500000
    /// for all webhooks of the account.
    #[schema(example = 0)]
    dropped_events: i64,
    /// The secret that deliveries are signed with: in the answers of creation and rotation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: Option<String>,
    /// The secret of the older header, where there is one: shown as `secret` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    legacy_secret: Option<String>,
    #[serde(flatten)]
    base: BaseBody,
}

impl From<&Webhook> for WebhookBody {
    fn from(webhook: &Webhook) -> Self {
        let topics: Vec<_> = webhook
            .topics
            .iter()
            .map(|topic| topic.as_str().to_owned())
            .collect();
        let names = webhook.header_names.iter();
        Self {
            id: webhook.id.to_string(),
            account_id: webhook.account.id.to_string(),
            project_id: webhook.project.as_ref().map(ToString::to_string),
            topic: topics.first().cloned(),
            topics,
            name: webhook.name.clone(),
            url: webhook.url.clone(),
            http_method: webhook.method.as_str(),
            custom_headers: names.map(|name| (name.clone(), MASK)).collect(),
            status: webhook.status.as_str(),
            format: webhook.format.as_str(),
            legacy_signature: webhook.sealed.legacy.is_some(),
            failing_since: webhook.failing_since,
            rests_until: webhook.rests_until,
            dropped_events: webhook.dropped,
            secret: None,
            legacy_secret: None,
            base: BaseBody::of(&webhook.base, webhook.status == Status::Live),
        }
    }
}

impl WebhookBody {
    /// A webhook as those see it who hold these rights: whoever may not change it sees of its URL only
    /// where it leads, since to know the rest may be all that its receiver asks of a sender.
    pub(super) fn seen_with(rights: &Rights, webhook: &Webhook) -> Self {
        let changed_by = rights.reach(Permission::WebhooksWrite);
        let may_change = changed_by.is_some_and(|reach| match &webhook.project {
            Some(project) => reach.reaches_project(&webhook.account, project),
            None => reach.reaches_account(&webhook.account),
        });
        let mut body = Self::from(webhook);
        if !may_change {
            body.url = format!("{}/{MASK}", webhook.origin());
        }
        body
    }

    /// Shows new secrets, for once.
    pub(super) fn with_secrets(
        mut self,
        secret: &SecretString,
        legacy: Option<&SecretString>,
    ) -> Self {
        self.secret = Some(secret.expose_secret().to_owned());
        self.legacy_secret = legacy.map(|secret| secret.expose_secret().to_owned());
        self
    }
}
