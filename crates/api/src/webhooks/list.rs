//! `GET /webhooks`.

use axum::extract::State;
use claviger_edge::permission::WebhooksRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, Listed, Query};
use claviger_store::Page;
use claviger_store::webhooks::{self, Filter};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::WebhookBody;
use super::input::one_topic;
use crate::{accounts, projects};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// The account: an id from listing accounts. The caller's own when it is not given.
    account_id: Option<String>,
    /// Only webhooks for this project: an id from listing projects.
    #[serde(alias = "projectID", alias = "ProjectId")]
    project_id: Option<String>,
    /// Only webhooks that are told of this topic.
    #[param(example = "api-key.created")]
    topic: Option<String>,
    /// Webhooks to answer, at most 1000; all of them when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Webhooks to skip.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// List webhooks
///
/// Answers the webhooks of an account that you may see, the oldest first, without their secrets and
/// with the values of their headers masked. `status` and `failingSince` tell how they do.
#[utoipa::path(get, path = "/webhooks", operation_id = "listWebhooks", tag = "webhooks",
    params(Parameters),
    responses(
        (status = 200, description = "The webhooks.", body = Vec<WebhookBody>),
        (status = 404, description = "No such account or project.")))]
pub(crate) async fn list_webhooks(
    State(core): State<Core>,
    caller: Caller<WebhooksRead>,
    Query(parameters): Query<Parameters>,
) -> Result<Listed<WebhookBody>, ApiError> {
    let part = ListPart::read(parameters.limit.as_deref(), parameters.offset.as_deref())?;
    let account = accounts::named_or_own(&core, &caller, parameters.account_id.as_deref()).await?;
    let project = projects::named(&core, &caller.reach, parameters.project_id.as_deref()).await?;
    let topic = parameters.topic.as_deref();
    let topic = topic.map(|topic| one_topic("topic", topic)).transpose()?;
    let filter = Filter {
        account,
        project,
        topic,
    };
    let page = Page::first(part.limit.unwrap_or(i64::MAX), part.offset);
    let (found, total) = webhooks::list(&core.db, &caller.reach, &filter, &page).await?;
    Ok(Listed {
        items: found
            .iter()
            .map(|webhook| WebhookBody::seen_with(&caller.rights, webhook))
            .collect(),
        total,
    })
}
