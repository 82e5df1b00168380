//! `/custom/{path}`: a raw path on a connector's base URL, with the credential of a connected account.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequestParts, Request, State};
use axum::response::Response;
use claviger_domain::permission::Permission;
use claviger_edge::permission::CustomCall;
use claviger_edge::{ApiError, Caller, ErrorCode, RequestId, unread_body};
use claviger_store::Asker;
use http::{HeaderMap, header};

use super::connected_account;
use super::described::{ProxyParameters, RestOfQuery};
use super::proxy::{CONNECTED, DRY_RUN, LARGEST_BODY, passed_on, refuse};
use super::query::Parameters;
use crate::call::custom::Custom;
use crate::gateway::Gateway;
use crate::let_in::LetIn;
use crate::mcp::user_agent;
use crate::upstream::IDEMPOTENCY_KEY;

const PREFIX: &str = "/custom";
/// Headers of a request that go on to the upstream.
const SENT: [http::HeaderName; 6] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    IDEMPOTENCY_KEY,
];

/// Call a path of the upstream
///
/// Sends a request below the connector's base URL as it is, with the credentials of a connected account, and passes the
/// answer on: no tool, and nothing around it. Not for connectors of this instance's own API.
#[utoipa::path(method(get, post, put, patch, delete), path = "/custom/{path}", operation_id = "callUpstream",
    tag = "proxy",
    params(("path" = String, Path, description = "What follows the base URL, slashes and all.",
        example = "orders/o1"), ProxyParameters, RestOfQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "Goes to the upstream as it is.")),
    request_body(content = Option<String>, content_type = "*/*",
        description = "Goes to the upstream as it is, with its content type; 4 MiB."),
    responses((status = "2XX", description = "What the upstream answered, as it is.", body = serde_json::Value,
        content_type = "*/*")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<CustomCall>,
    request: Request,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let parameters = Parameters::from_request_parts(&mut parts, &()).await?;
    let named = parameters.text(CONNECTED);
    let named = named.ok_or_else(|| ApiError::field(CONNECTED, "must name a connected account"))?;
    let connected = connected_account(&gateway, &caller.reach, named).await?;
    let dry_run = parameters.flag(DRY_RUN)?;
    let catalogue = gateway.catalogue_of(&connected).await?;
    if catalogue.is_local() {
        let message = "This API has no raw calls through the gateway: call it itself";
        return Err(ApiError::new(ErrorCode::NotFound, message));
    }
    let body = to_bytes(body, LARGEST_BODY).await;
    let body = body.map_err(|error| unread_body(error, "4 MiB"))?;
    let request_id = parts.extensions.get::<RequestId>();
    let call = Custom {
        connected: &connected,
        let_in: LetIn::Caller {
            headers: &parts.headers,
            from: caller.identity.network,
            needs: Permission::CustomCall,
        },
        catalogue: &catalogue,
        method: parts.method,
        path_and_query: path_and_query(&parts.uri),
        headers: sent(&parts.headers),
        body,
        client: user_agent(&parts.headers),
        request_id: request_id.map(|id| id.0.to_string()).unwrap_or_default(),
        dry_run,
    };
    let family = Asker::Family(connected.account.root.clone());
    let outcome = family.scope(gateway.call_custom(call)).await;
    Ok(match outcome {
        Ok(answer) => passed_on(answer),
        Err(failure) => refuse(&failure),
    })
}

/// What follows the prefix as it was written, without the parameters that are the proxy's own.
fn path_and_query(uri: &http::Uri) -> String {
    let path = uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let is_own = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        name == CONNECTED || name == DRY_RUN
    };
    let query: Vec<&str> = uri.query().unwrap_or_default().split('&').collect();
    let query: Vec<&str> = query
        .into_iter()
        .filter(|pair| !pair.is_empty() && !is_own(pair))
        .collect();
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", query.join("&"))
    }
}

fn sent(given: &HeaderMap) -> HeaderMap {
    let pairs = SENT
        .into_iter()
        .filter_map(|name| Some((name.clone(), given.get(name)?.clone())));
    pairs.collect()
}
