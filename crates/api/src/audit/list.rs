//! `GET /audit-events`.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_edge::permission::AuditRead;
use claviger_edge::{ApiError, Caller, Core, ErrorCode, ListPart, Query};
use claviger_store::events::trail::{Order, Place};
use claviger_store::{Asker, StoreError};
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Uri, header};
use serde::Deserialize;
use url::form_urlencoded;
use utoipa::IntoParams;

use super::body::AuditEventBody;
use super::wanted::{Found, Wanted};
use crate::accounts;
use crate::wire::instant;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// The account: an id from listing accounts. The caller's own when it is not given.
    account_id: Option<String>,
    /// Only what this one did: the id of an access key, of a user or of an MCP server, or `system`.
    #[param(example = "ack_8dK2vQ0mZpR4xTbW")]
    actor: Option<String>,
    /// Only this action; one that ends in `*` stands for all that begin so.
    #[param(example = "api-key.*")]
    action: Option<String>,
    /// Only what happened to the object with this id.
    #[param(example = "key_8dK2vQ0mZpR4xTbW")]
    target: Option<String>,
    /// From when on: a date.
    #[param(example = "2030-01-01")]
    from: Option<String>,
    /// Up to when, and without that: a date.
    #[param(example = "2030-02-01")]
    to: Option<String>,
    /// `asc` for the oldest first, when it is not given; `desc` for the newest first.
    #[param(example = "desc")]
    order: Option<String>,
    /// Events to answer, at most 1000; 100 when it is not given. Of a stream of NDJSON: all of them.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// Where to go on: from the `Link` header, or the `cursor` of the event behind which.
    cursor: Option<String>,
}

/// Events of a page where nothing else is asked for, and of a part of a stream.
const PAGE: usize = 100;
const PART: usize = 1_000;
const NDJSON: &str = "application/x-ndjson";

/// List the audit trail
///
/// Answers what was changed in an account, by whom, the oldest first: who made a key, who revoked it, who
/// read it back. The trail is only ever added to. While there is more, the header `Link` has the next
/// page; a page may be short, or empty, all the same. With `Accept: application/x-ndjson` all of it comes
/// as a stream, an event a line; who keeps the last `cursor` goes on there the next time.
#[utoipa::path(get, path = "/audit-events", operation_id = "listAuditEvents", tag = "audit",
    params(Parameters),
    responses(
        (status = 200, description = "The events.",
            content((Vec<AuditEventBody> = "application/json"), (String = "application/x-ndjson"))),
        (status = 400, description = "A parameter is malformed."),
        (status = 404, description = "No such account.")))]
pub(crate) async fn list_audit_events(
    State(core): State<Core>,
    caller: Caller<AuditRead>,
    uri: Uri,
    headers: HeaderMap,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let part = ListPart::read(parameters.limit.as_deref(), None)?;
    let limit = part.limit.and_then(|limit| usize::try_from(limit).ok());
    let account = match &parameters.account_id {
        Some(named) => named.clone(),
        None => caller.own_account()?.id.to_string(),
    };
    // Also where it is the caller's own: a role in a project shows nothing of the account's trail.
    let account = accounts::named(&core, &caller.reach, Some(&account)).await?;
    let wanted = Wanted {
        account: account.ok_or_else(accounts::absent)?,
        actor: parameters.actor,
        action: parameters.action,
        target: parameters.target,
        from: instant("from", parameters.from.as_deref())?,
        to: instant("to", parameters.to.as_deref())?,
        order: read_order(parameters.order.as_deref())?,
    };
    let cursor = parameters.cursor.filter(|cursor| !cursor.is_empty());
    let first = match &cursor {
        Some(cursor) => cursor.parse().map_err(|_| foreign_cursor())?,
        None => wanted.first(&core.db).await?,
    };
    if wants_stream(&headers) {
        return stream_of(core, wanted, first, limit).await;
    }
    let found = wanted.find(&core.db, first, limit.unwrap_or(PAGE)).await?;
    let link = found.next.map(|next| link(&uri, next));
    let events: Vec<AuditEventBody> = found.events.into_iter().map(Into::into).collect();
    Ok((link.map(|link| [(header::LINK, link)]), Json(events)).into_response())
}

fn read_order(text: Option<&str>) -> Result<Order, ApiError> {
    match text.map(str::to_ascii_lowercase).as_deref() {
        None | Some("asc" | "") => Ok(Order::OldestFirst),
        Some("desc") => Ok(Order::NewestFirst),
        Some(_) => Err(ApiError::field("order", "must be asc or desc")),
    }
}

fn foreign_cursor() -> ApiError {
    let message = "cursor: must be from a Link header or an event of this trail";
    ApiError::new(ErrorCode::InvalidCursor, message)
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let texts = accepted.filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .filter_map(|one| one.split(';').next())
        .any(|one| one.trim().eq_ignore_ascii_case(NDJSON))
}

/// The same query with another cursor.
fn link(uri: &Uri, next: Place) -> HeaderValue {
    let given = form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
    let given = given.filter(|(name, _)| name != "cursor");
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(given)
        .append_pair("cursor", &next.to_string())
        .finish();
    HeaderValue::try_from(format!("</audit-events?{query}>; rel=\"next\""))
        .expect("a query is encoded in characters that a header has")
}

/// All of it, an event a line, part by part, never over an open cursor: a reader that stalls holds
/// nothing.
async fn stream_of(
    core: Core,
    wanted: Wanted,
    first: Place,
    limit: Option<usize>,
) -> Result<Response, ApiError> {
    let left = limit.unwrap_or(usize::MAX);
    // The first part is read before the status is sent, so that a database that is away shows.
    let found = wanted.find(&core.db, first, left.min(PART)).await?;
    let begun = lines(found, left);
    let caller = Asker::current();
    let rest = stream::try_unfold(begun.1, move |state| {
        let (core, wanted) = (core.clone(), wanted.clone());
        // The handler is over, and what it was done for with it.
        caller.clone().scope(async move {
            let Some((after, left)) = state else {
                return Ok::<_, StoreError>(None);
            };
            let found = wanted.find(&core.db, after, left.min(PART)).await?;
            Ok(Some(lines(found, left)))
        })
    });
    let chunks = stream::iter([Ok(begun.0)]).chain(rest);
    let content_type = HeaderValue::from_static(NDJSON);
    Ok((
        [(header::CONTENT_TYPE, content_type)],
        Body::from_stream(chunks),
    )
        .into_response())
}

/// A part of the stream, and where it goes on with how many left.
fn lines(found: Found, left: usize) -> (Bytes, Option<(Place, usize)>) {
    let left = left - found.events.len();
    let mut text = String::new();
    for event in found.events {
        let body = AuditEventBody::from(event);
        text += &serde_json::to_string(&body).expect("text and numbers are JSON");
        text.push('\n');
    }
    let next = found.next.filter(|_| left > 0).map(|next| (next, left));
    (Bytes::from(text), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_sent_to_whoever_accepts_it_by_name() {
        let accepts = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(text));
            wants_stream(&headers)
        };
        assert!(
            accepts("application/x-ndjson") && accepts("text/html, Application/X-NDJSON;q=0.9")
        );
        assert!(!accepts("*/*") && !accepts("application/json"));
    }

    #[test]
    fn the_next_page_is_asked_for_as_this_one_was() {
        let uri = Uri::from_static("/audit-events?actor=a%20%22b&cursor=old&limit=5&cursor=older");
        let next = "7-8".parse().unwrap();
        assert_eq!(
            link(&uri, next),
            "</audit-events?actor=a+%22b&limit=5&cursor=7-8>; rel=\"next\""
        );
    }
}
