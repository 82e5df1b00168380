//! `GET /api-keys`.

use std::collections::HashMap;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_edge::permission::KeysRead;
use claviger_edge::{ApiError, Caller, Core, ListPart, NoStore, Query, flag};
use claviger_store::api_keys::{ApiKey, Filter};
use claviger_store::{Asker, PAGE_SIZE, Page, StoreError, api_keys};
use futures::stream;
use http::{HeaderValue, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::reveal::Reader;
use super::selector_of;
use crate::wire::{ApiKeyBody, api_key_body};
use crate::{accounts, projects};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Only keys of this project: an id from listing projects.
    #[serde(alias = "projectID", alias = "ProjectId")]
    project_id: Option<String>,
    /// Only keys of this account: an id from listing accounts.
    account_id: Option<String>,
    /// Only keys with this name, in any case.
    name: Option<String>,
    /// Only keys of this customer of yours; `null` for keys of none.
    custom_account_id: Option<String>,
    /// Only keys of this user of yours; `null` for keys of none.
    custom_user_id: Option<String>,
    /// Only keys that are switched on (`true`), or that are not (`false`).
    #[serde(default, deserialize_with = "flag")]
    is_active: Option<bool>,
    /// Only this key: its id, its reference, or the key itself.
    key: Option<String>,
    /// Keys to answer, at most 1000; all of them when it is not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Keys to skip.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// List API keys
///
/// Answers the keys that you may see, the oldest first, switched-off ones too unless you filter.
/// Use it to find a key's id by its name, customer or user. The count of all is in
/// `X-Total-Count`. In a project whose keys can be read back, an access key that was granted that is
/// shown them in full.
#[utoipa::path(get, path = "/api-keys", operation_id = "listApiKeys", tag = "api_keys",
    params(Parameters),
    responses(
        (status = 200, description = "The keys, each shown by its reference, or in full to whoever \
            may read it back.",
            body = Vec<ApiKeyBody>),
        (status = 404, description = "No such project or account.")))]
pub(crate) async fn list_api_keys(
    State(core): State<Core>,
    caller: Caller<KeysRead>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let part = ListPart::read(parameters.limit.as_deref(), parameters.offset.as_deref())?;
    let reader = Reader::of(&core, &caller.identity).await?;
    let reach = caller.reach;
    let project = projects::named(&core, &reach, parameters.project_id.as_deref()).await?;
    let account = accounts::named(&core, &reach, parameters.account_id.as_deref()).await?;
    let filter = Filter {
        project,
        account,
        name: parameters.name,
        custom_account_id: parameters.custom_account_id.map(null_text),
        custom_user_id: parameters.custom_user_id.map(null_text),
        is_active: parameters.is_active,
        which: parameters.key.map(|text| selector_of(&core, &text)),
    };
    let total = api_keys::count(&core.db, &reach, &filter, core.now()).await?;
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (
            header::HeaderName::from_static("x-total-count"),
            HeaderValue::from(total),
        ),
    ];
    let first = Page::first(
        part.limit.map_or(PAGE_SIZE, |limit| limit.min(PAGE_SIZE)),
        part.offset,
    );
    // The first page is read before the status is sent, so that a database that is away shows.
    let keys = api_keys::list(&core.db, &reach, &filter, &first, core.now()).await?;
    let left = part.limit.map(|limit| limit - PAGE_SIZE);
    let has_secrets = reader.is_some();
    let start = Some((keys, first.limit, left, true));
    // Page by page, never over an open cursor: a reader that stalls holds nothing.
    let caller = Asker::current();
    let chunks = stream::try_unfold(start, move |state| {
        let (core, reach, filter) = (core.clone(), reach.clone(), filter.clone());
        let reader = reader.clone();
        // The handler is over, and what it was done for with it.
        caller.clone().scope(async move {
            let Some((keys, asked, left, is_first)) = state else {
                return Ok::<_, StoreError>(None);
            };
            let text = write_page(&core, reader.as_ref(), &keys, is_first).await?;
            let more = left.is_none_or(|left| left > 0) && i64::try_from(keys.len()) == Ok(asked);
            let next = match keys.last().filter(|_| more) {
                Some(last) => {
                    let limit = left.map_or(PAGE_SIZE, |left| left.min(PAGE_SIZE));
                    let page = Page::after(last.base.created_at, last.id.as_str(), limit);
                    let keys = api_keys::list(&core.db, &reach, &filter, &page, core.now()).await?;
                    Some((keys, limit, left.map(|left| left - PAGE_SIZE), false))
                }
                None => None,
            };
            let text = if next.is_none() { text + "]" } else { text };
            Ok(Some((Bytes::from(text), next)))
        })
    });
    let response = (headers, Body::from_stream(chunks)).into_response();
    Ok(if has_secrets {
        NoStore(response).into_response()
    } else {
        response
    })
}

/// The text `null` stands for having none.
fn null_text(text: String) -> Option<String> {
    (text != "null").then_some(text)
}

async fn write_page(
    core: &Core,
    reader: Option<&Reader>,
    keys: &[ApiKey],
    is_first: bool,
) -> Result<String, StoreError> {
    let read = match reader {
        Some(reader) => reader.read(core, keys).await?,
        None => HashMap::new(),
    };
    let mut text = String::from(if is_first { "[" } else { "" });
    for (index, key) in keys.iter().enumerate() {
        if index > 0 || !is_first {
            text.push(',');
        }
        let body = api_key_body(core, key, read.get(&key.id)).await?;
        text += &serde_json::to_string(&body).expect("a key as text is JSON");
    }
    Ok(text)
}
