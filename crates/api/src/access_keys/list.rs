//! `GET /access-keys`.

use axum::extract::State;
use claviger_domain::role::Role;
use claviger_edge::permission::AccessKeysRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, Listed, Query, flag};
use claviger_store::Page;
use claviger_store::access_keys::{self, Filter};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::AccessKeyBody;
use crate::{accounts, projects};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// The account: an id from listing accounts. The caller's own when it is not given.
    account_id: Option<String>,
    /// Only access keys for this project: an id from listing projects.
    #[serde(alias = "projectID", alias = "ProjectId")]
    project_id: Option<String>,
    /// Only access keys that are switched on (`true`), or that are not (`false`).
    #[serde(default, deserialize_with = "flag")]
    is_active: Option<bool>,
    /// Access keys to answer, at most 1000; all of them when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Access keys to skip.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// List access keys
///
/// Answers the access keys of an account that you may see, the oldest first, each shown by its
/// reference.
#[utoipa::path(get, path = "/access-keys", operation_id = "listAccessKeys", tag = "access_keys",
    params(Parameters),
    responses(
        (status = 200, description = "The access keys.", body = Vec<AccessKeyBody>),
        (status = 404, description = "No such account or project.")))]
pub(crate) async fn list_access_keys(
    State(core): State<Core>,
    caller: Caller<AccessKeysRead>,
    Query(parameters): Query<Parameters>,
) -> Result<Listed<AccessKeyBody>, ApiError> {
    let part = ListPart::read(parameters.limit.as_deref(), parameters.offset.as_deref())?;
    let account = accounts::named_or_own(&core, &caller, parameters.account_id.as_deref()).await?;
    let filter = Filter {
        account,
        project: projects::named(&core, &caller.reach, parameters.project_id.as_deref()).await?,
        is_active: parameters.is_active,
        // What the caller could not make, it does not see.
        roles: Some(
            Role::ALL
                .into_iter()
                .filter(|role| caller.rights.cover_role(*role))
                .collect(),
        ),
    };
    let now = core.now();
    let page = Page::first(part.limit.unwrap_or(i64::MAX), part.offset);
    let (found, total) = access_keys::list(&core.db, &caller.reach, &filter, &page, now).await?;
    let items = found
        .iter()
        .map(|key| AccessKeyBody::of(key, None, now))
        .collect();
    Ok(Listed { items, total })
}
