//! `POST /webhooks`.

use axum::Json;
use axum::extract::State;
use claviger_domain::id::{self, Id};
use claviger_domain::rights::AccountRef;
use claviger_domain::webhook::{Format, Method, Status};
use claviger_edge::permission::WebhooksWrite;
use claviger_edge::{ApiError, Body, Caller, Core, ErrorCode, NoStore};
use claviger_store::webhooks::{self, Created, Sealed, Webhook};
use claviger_store::{Base, StoreError, accounts, projects};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::WebhookBody;
use super::input::{self, Headers};
use crate::wire::short_text;

/// A webhook to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewWebhook {
    /// The webhook's name: at most 255 characters.
    #[serde(default)]
    #[schema(example = "Billing")]
    name: Option<String>,
    /// Where deliveries go: `https://` (or `http://`), on port 80, 443 or 8443, on the public
    /// internet.
    #[serde(default)]
    #[schema(required, example = "https://example.com/hooks")]
    url: Option<String>,
    /// What it is told of: topics from listing topics. Give this or `topic`.
    #[serde(default)]
    #[schema(example = json!(["api-key.created", "api-key.deleted"]))]
    topics: Option<Vec<String>>,
    /// A single topic, instead of `topics`.
    #[serde(default)]
    #[schema(example = "api-key.created")]
    topic: Option<String>,
    /// The verb of deliveries: `POST`, `PUT` or `PATCH`; `POST` when it is not given.
    #[serde(default)]
    #[schema(example = "POST")]
    http_method: Option<String>,
    /// The only project whose events it is told of: an id from listing projects. Without it, all of
    /// the account.
    #[serde(default, alias = "projectID", alias = "ProjectId")]
    project_id: Option<String>,
    /// The account: an id from listing accounts. The caller's own when it is not given.
    #[serde(default)]
    account_id: Option<String>,
    /// Headers to send along, such as `authorization`: at most 20. Their values are kept sealed and
    /// shown as `***`.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    custom_headers: Option<Headers>,
    /// `live` or `paused`; `live` when it is not given.
    #[serde(default)]
    #[schema(example = "live")]
    status: Option<String>,
    /// `standard`, or `slack` for a message that chat programs show; `standard` when it is not given.
    #[serde(default)]
    #[schema(example = "standard")]
    format: Option<String>,
    /// Whether deliveries have the header `theauthapi-signature` as well, with a secret of its own;
    /// over `https://` only.
    #[serde(default)]
    legacy_signature: Option<bool>,
}

/// Create a webhook
///
/// Makes a webhook and answers it with its `secret`: the only time that this is shown. From then on,
/// each event of its topics is sent to the URL within a second, signed by Standard Webhooks, and
/// tried again for a day and more until the receiver answers with a 2xx. Verify the signature before
/// you trust a delivery; one can arrive twice, with the same `webhook-id`.
#[utoipa::path(post, path = "/webhooks", operation_id = "createWebhook", tag = "webhooks",
    request_body = NewWebhook,
    responses(
        (status = 201, description = "The webhook, with its secret.", body = WebhookBody),
        (status = 400, description = "A member is malformed; the message says what is accepted."),
        (status = 404, description = "No such account or project."),
        (status = 409, description = "The account has 100 webhooks already.")))]
pub(crate) async fn create_webhook(
    State(core): State<Core>,
    caller: Caller<WebhooksWrite>,
    Body(input): Body<NewWebhook>,
) -> Result<(StatusCode, NoStore<Json<WebhookBody>>), ApiError> {
    let name = input.name.as_deref().filter(|name| !name.trim().is_empty());
    let name = name.map(|name| short_text("name", name)).transpose()?;
    let url = input.url.as_deref();
    let url = url.ok_or_else(|| ApiError::field("url", "is required"))?;
    let target = input::target(&core.webhooks, url)?;
    let topics = input::topics(input.topics.as_deref(), input.topic.as_deref())?;
    let topics = topics.ok_or_else(|| ApiError::field("topics", "is required"))?;
    let method = input
        .http_method
        .as_deref()
        .map(input::method)
        .transpose()?;
    let format = input.format.as_deref().map(input::format).transpose()?;
    let status = input.status.as_deref().map(input::status).transpose()?;
    let headers = input.custom_headers.unwrap_or_default();
    let headers = input::new_headers("customHeaders", headers)?;
    let wants_legacy = input.legacy_signature.unwrap_or(false);
    if wants_legacy && !target.is_encrypted() {
        return Err(needs_https());
    }
    let place = (input.project_id.as_deref(), input.account_id.as_deref());
    let (account, project) = place_of(&core, &caller, place).await?;
    let change = core.change(&caller.actor);
    let mut webhook = Webhook {
        id: Id::draw(&*core.random),
        account,
        project,
        name: name.map(str::to_owned),
        url: target.url().to_owned(),
        method: method.unwrap_or(Method::Post),
        format: format.unwrap_or(Format::Standard),
        topics,
        status: status.unwrap_or(Status::Live),
        sealed: Sealed {
            secret: Vec::new(),
            previous: Vec::new(),
            legacy: None,
            headers: None,
        },
        header_names: headers.keys().cloned().collect(),
        failing_since: None,
        rests_until: None,
        dropped: 0,
        base: Base::made_by(&change),
    };
    let subject = webhook.subject();
    let secret = core.webhooks.draw_secret(&subject);
    let legacy = wants_legacy.then(|| core.webhooks.draw_secret(&subject));
    webhook.sealed.secret.clone_from(&secret.sealed);
    webhook.sealed.legacy = legacy.as_ref().map(|legacy| legacy.sealed.clone());
    webhook.sealed.headers = core.webhooks.seal_headers(&subject, &headers);
    let body = WebhookBody::from(&webhook);
    let reach = caller.reach;
    let created = core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { webhooks::create(tx, &change, &reach, &webhook).await })
        })
        .await?;
    match created {
        Created::Done => {
            let body = body.with_secrets(&secret.shown, legacy.as_ref().map(|it| &it.shown));
            Ok((StatusCode::CREATED, NoStore(Json(body))))
        }
        Created::Absent => Err(crate::accounts::absent()),
        Created::TooMany => {
            let message = format!("The account has {} webhooks already", webhooks::MOST);
            Err(ApiError::new(ErrorCode::TooManyWebhooks, message))
        }
    }
}

/// The older header has a secret that must not be collected on the way.
pub(super) fn needs_https() -> ApiError {
    ApiError::field("legacySignature", "needs a url that begins with https://")
}

/// Where the webhook is: a project or an account that the caller reaches.
pub(super) async fn place_of(
    core: &Core,
    caller: &Caller<WebhooksWrite>,
    (project, account): (Option<&str>, Option<&str>),
) -> Result<(AccountRef, Option<Id<id::Project>>), ApiError> {
    // A project-level caller that names nothing means the project that it is for.
    let only = match &caller.reach.projects[..] {
        [only] if caller.reach.accounts.is_empty() && account.is_none() => Some(only.as_str()),
        _ => None,
    };
    if let Some(text) = project.or(only) {
        let id = Id::parse(text).ok_or_else(crate::projects::absent)?;
        let found = projects::find(&core.db, &caller.reach, &id).await?;
        let found = found.ok_or_else(crate::projects::absent)?;
        if account.is_some_and(|account| account != found.account_id.as_str()) {
            return Err(ApiError::field(
                "projectId",
                "is of another account than accountId",
            ));
        }
        return Ok((found.account(), Some(found.id)));
    }
    let id = caller.account_or_own(account)?;
    let found = accounts::find(&core.db, &caller.reach, &id)
        .await?
        .map(|account| account.reference())
        .filter(|account| caller.reach.reaches_account(account));
    Ok((found.ok_or_else(crate::accounts::absent)?, None))
}
