//! `PATCH /webhooks/{id}`.

use axum::Json;
use axum::extract::State;
use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::webhook::{Format, Method, Status, Topic};
use claviger_edge::permission::WebhooksWrite;
use claviger_edge::{ApiError, Body, Caller, Core, Patch, PathParameter};
use claviger_outbound::{Target, Webhooks};
use claviger_store::webhook_deliveries;
use claviger_store::webhooks::{self, Webhook};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::body::WebhookBody;
use super::create::{needs_https, place_of};
use super::input::{self, Headers};
use super::{absent, found};
use crate::wire::short_text;

/// What of a webhook can be changed; what is not given stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WebhookChange {
    /// The webhook's name: at most 255 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Patch<String>,
    /// Where deliveries go. Another scheme, host or port is another receiver: it gets a secret of its
    /// own (see it with the rotation of the secret), and `customHeaders` must be given anew.
    #[serde(default)]
    #[schema(example = "https://example.com/hooks")]
    url: Option<String>,
    /// What it is told of: topics from listing topics.
    #[serde(default)]
    #[schema(example = json!(["api-key.created"]))]
    topics: Option<Vec<String>>,
    /// A single topic, instead of `topics`.
    #[serde(default)]
    topic: Option<String>,
    /// The verb of deliveries: `POST`, `PUT` or `PATCH`.
    #[serde(default)]
    http_method: Option<String>,
    /// All headers to send along; `***` keeps the value of one.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    custom_headers: Patch<Headers>,
    /// `paused` lets what happens wait; `live` sends it, also after the webhook was disabled.
    #[serde(default)]
    #[schema(example = "paused")]
    status: Option<String>,
    /// `standard` or `slack`.
    #[serde(default)]
    format: Option<String>,
    /// The only project whose events it is told of from now on: an id from listing projects, of the same
    /// account. Null for all of the account.
    #[serde(default, alias = "projectID", alias = "ProjectId")]
    #[schema(value_type = Option<String>)]
    project_id: Patch<String>,
    /// The account, which cannot be changed: of an object that was read and is sent back.
    #[serde(default)]
    account_id: Option<String>,
    /// Whether deliveries have the header `theauthapi-signature` as well. Switched on, its secret is
    /// drawn anew; the rotation of the secret shows it.
    #[serde(default)]
    legacy_signature: Option<bool>,
}

/// What was read of it.
struct Edit {
    name: Patch<String>,
    target: Option<Target>,
    topics: Option<Vec<Topic>>,
    method: Option<Method>,
    headers: Patch<Headers>,
    status: Option<Status>,
    format: Option<Format>,
    legacy: Option<bool>,
    project: Patch<Id<id::Project>>,
}

/// Change a webhook
///
/// Changes what you give and leaves the rest. Pause a webhook with `{"status": "paused"}`, and put a
/// paused or disabled one in force again with `{"status": "live"}`: what has waited is then sent.
#[utoipa::path(patch, path = "/webhooks/{id}", operation_id = "updateWebhook", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id, from listing webhooks.",
        example = "whk_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = WebhookChange,
    responses(
        (status = 200, description = "The webhook as it is now.", body = WebhookBody),
        (status = 400, description = "A member is malformed, or headers must be given anew."),
        (status = 404, description = "No such webhook.")))]
pub(crate) async fn update_webhook(
    State(core): State<Core>,
    caller: Caller<WebhooksWrite>,
    PathParameter(id): PathParameter,
    Body(input): Body<WebhookChange>,
) -> Result<Json<WebhookBody>, ApiError> {
    // Before its members are judged: a foreign webhook is absent whatever is asked of it.
    let before = found(&core, &caller.reach, &id).await?;
    let project = project_of(&core, &caller, &before, &input).await?;
    let edit = read(&core.webhooks, &before, input, project)?;
    let id = Id::parse(&id).ok_or_else(absent)?;
    let (reach, change) = (caller.reach, core.change(&caller.actor));
    let service = core.webhooks.clone();
    let changed = core
        .db
        .write::<_, ApiError, _>(move |tx| {
            Box::pin(async move {
                let Some(mut webhook) = webhooks::lock(tx, &reach, &id).await? else {
                    return Ok(None);
                };
                let before = webhook.clone();
                apply(&service, &mut webhook, edit)?;
                if webhook == before {
                    return Ok(Some(webhook));
                }
                let moves = webhook.origin() != before.origin();
                let data = json!({"receiverChanged": moves});
                let kind = EventKind::WebhookUpdated;
                webhooks::save(tx, &change, &mut webhook, kind, data).await?;
                if moves {
                    webhook_deliveries::take_away(tx, &webhook.id).await?;
                }
                if moves || webhook.status == Status::Live && before.status != Status::Live {
                    webhook_deliveries::resume(tx, &webhook.id).await?;
                    webhook.rests_until = None;
                }
                Ok(Some(webhook))
            })
        })
        .await?;
    let webhook = changed.ok_or_else(absent)?;
    Ok(Json((&webhook).into()))
}

/// The project that a webhook is to be for from now on, where that is another one than before, or all of
/// the account.
async fn project_of(
    core: &Core,
    caller: &Caller<WebhooksWrite>,
    before: &Webhook,
    input: &WebhookChange,
) -> Result<Patch<Id<id::Project>>, ApiError> {
    let account = before.account.id.as_str();
    if input.account_id.as_deref().is_some_and(|id| id != account) {
        let message = "cannot be changed: make a webhook in the other account";
        return Err(ApiError::field("accountId", message));
    }
    let now = before.project.as_ref().map(Id::as_str);
    match &input.project_id {
        Patch::Set(id) if Some(id.as_str()) != now => {
            let place = (Some(id.as_str()), Some(account));
            let (_, project) = place_of(core, caller, place).await?;
            Ok(project.map_or(Patch::Keep, Patch::Set))
        }
        Patch::Clear if now.is_some() => {
            if caller.reach.reaches_account(&before.account) {
                Ok(Patch::Clear)
            } else {
                Err(crate::accounts::absent())
            }
        }
        _ => Ok(Patch::Keep),
    }
}

fn read(
    service: &Webhooks,
    before: &Webhook,
    input: WebhookChange,
    project: Patch<Id<id::Project>>,
) -> Result<Edit, ApiError> {
    if let Patch::Set(name) = &input.name {
        short_text("name", name)?;
    }
    let url = input.url.filter(|url| *url != before.url);
    let target = url.map(|url| input::target(service, &url)).transpose()?;
    // An object that was read has both spellings, and one of them was changed.
    let single = input.topic.as_deref();
    let first = before.topics.first().map(|topic| topic.as_str());
    let as_before: Vec<_> = before.topics.iter().map(|topic| topic.as_str()).collect();
    let list = input.topics.as_deref();
    let list = list.filter(|list| *list != as_before || single.is_none() || single == first);
    let single = single.filter(|one| list.is_none() || Some(*one) != first);
    let status = input
        .status
        .filter(|status| status != before.status.as_str());
    Ok(Edit {
        name: input.name,
        target,
        topics: input::topics(list, single)?,
        method: input
            .http_method
            .as_deref()
            .map(input::method)
            .transpose()?,
        headers: input.custom_headers,
        status: status.as_deref().map(input::status).transpose()?,
        format: input.format.as_deref().map(input::format).transpose()?,
        legacy: input.legacy_signature,
        project,
    })
}

/// A URL without what is behind its path.
fn bare(url: &str) -> &str {
    url.split_once('?').map_or(url, |(bare, _)| bare)
}

fn apply(service: &Webhooks, webhook: &mut Webhook, edit: Edit) -> Result<(), ApiError> {
    match edit.name {
        Patch::Keep => {}
        Patch::Clear => webhook.name = None,
        Patch::Set(name) => webhook.name = Some(name).filter(|name| !name.trim().is_empty()),
    }
    let moves = edit
        .target
        .as_ref()
        .is_some_and(|target| target.origin() != webhook.origin());
    // Nothing that one receiver was trusted with goes to another: on a host of many, another path is one.
    let is_elsewhere = edit
        .target
        .as_ref()
        .is_some_and(|target| bare(target.url()) != bare(&webhook.url));
    let kept = if is_elsewhere {
        Headers::new()
    } else {
        service.open_headers(webhook)?
    };
    if is_elsewhere && !webhook.header_names.is_empty() && edit.headers == Patch::Keep {
        let message = "must be given anew for another host or path, or {} for none";
        return Err(ApiError::field("customHeaders", message));
    }
    if let Some(target) = edit.target {
        target.url().clone_into(&mut webhook.url);
    }
    let subject = webhook.subject();
    if let Some(headers) = input::headers_over(&kept, edit.headers)?
        && (is_elsewhere || headers != kept)
    {
        webhook.sealed.headers = service.seal_headers(&subject, &headers);
        webhook.header_names = headers.into_keys().collect();
    }
    let legacy = edit.legacy.unwrap_or(webhook.sealed.legacy.is_some());
    if legacy && !webhook.url.starts_with("https://") {
        return Err(needs_https());
    }
    if moves {
        webhook.sealed.secret = service.draw_secret(&subject).sealed;
        webhook.sealed.previous = Vec::new();
        webhook.sealed.legacy = None;
        webhook.failing_since = None;
    }
    if legacy && webhook.sealed.legacy.is_none() {
        webhook.sealed.legacy = Some(service.draw_secret(&subject).sealed);
    } else if !legacy {
        webhook.sealed.legacy = None;
    }
    if let Some(topics) = edit.topics {
        webhook.topics = topics;
    }
    match edit.project {
        Patch::Keep => {}
        Patch::Clear => webhook.project = None,
        Patch::Set(project) => webhook.project = Some(project),
    }
    webhook.method = edit.method.unwrap_or(webhook.method);
    webhook.format = edit.format.unwrap_or(webhook.format);
    if let Some(status) = edit.status {
        // Whoever puts it in force says that the receiver takes something.
        if status == Status::Live && webhook.status != Status::Live {
            webhook.failing_since = None;
        }
        webhook.status = status;
    }
    Ok(())
}
