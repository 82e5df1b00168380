//! `/proxy/{resource}…`: a tool's call as plain HTTP.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use claviger_domain::permission::Permission;
use claviger_edge::permission::{ProxyRead, ProxyWrite};
use claviger_edge::{
    ApiError, Caller, NoStore, PathParameter, RequestId, check_text, parse, unread_body,
};
use claviger_store::connected_accounts::ConnectedAccount;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use super::connected_account;
use super::described::{CallAnswer, PageParameters, ProxyParameters, ToolArguments};
use super::query::Parameters;
use crate::call::Call;
use crate::call::custom::PassedOn;
use crate::catalogue::Catalogue;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::in_name_of::InNameOf;
use crate::let_in::LetIn;
use crate::limits::Limits;
use crate::mcp::{ToolCall, ToolOutcome, Wanted, user_agent};
use crate::nearest::{listed, nearest};
use crate::own_answer::{Answering, OwnAnswer};
use crate::profile::SchemaProfile;
use crate::proxy::{self, Said};
use crate::upstream::IDEMPOTENCY_KEY;

/// The largest body: 4 MiB.
pub(super) const LARGEST_BODY: usize = 4 * 1024 * 1024;
/// The parameters that are the proxy's own.
pub(super) const CONNECTED: &str = "integrated_account_id";
pub(super) const DRY_RUN: &str = "dry_run";
/// What stands in the log for a resource or a method that there is not.
const NOT_KNOWN: &str = "unknown";
/// The methods that have a verb of their own.
const STANDARD: [&str; 5] = ["list", "get", "create", "update", "delete"];

type Gate = State<Arc<Gateway>>;
type Pair = PathParameter<(String, String)>;

/// Call the list of a resource
///
/// Calls the tool `list` of a resource of a connected account: one page of the upstream, in `result`.
/// A tool that has effects needs `proxy:write` as well.
#[utoipa::path(get, path = "/proxy/{resource}", operation_id = "callList", tag = "proxy",
    params(("resource" = String, Path, description = "The tool's resource, from listing tools.", example = "projects"), ProxyParameters, ToolArguments, PageParameters),
    responses((status = "2XX", description = "What the upstream answered, with its status.", body = CallAnswer)))]
pub(super) async fn list(
    State(gateway): Gate,
    caller: Caller<ProxyRead>,
    PathParameter(resource): PathParameter,
    incoming: Incoming,
) -> Result<Response, ApiError> {
    let target = Target::standard(&resource, "list", None);
    serve(&gateway, caller, target, incoming).await
}

/// Call the creation of a resource
///
/// Calls the tool `create` of a resource of a connected account.
/// A tool that has effects needs `proxy:write` as well.
#[utoipa::path(post, path = "/proxy/{resource}", operation_id = "callCreate", tag = "proxy",
    params(("resource" = String, Path, description = "The tool's resource, from listing tools.", example = "projects"), ProxyParameters, ToolArguments,
        ("Idempotency-Key" = Option<String>, Header, description = "Goes to the upstream as it is.")),
    request_body(content = Option<serde_json::Value>, description = "Arguments of the tool that go to its body, or elsewhere, as an object; or the \
        whole body of a tool that has one argument for it. JSON, whatever the content type says; 4 MiB."),
    responses((status = "2XX", description = "What the upstream answered, with its status.", body = CallAnswer)))]
pub(super) async fn create(
    State(gateway): Gate,
    caller: Caller<ProxyRead>,
    PathParameter(resource): PathParameter,
    incoming: Incoming,
) -> Result<Response, ApiError> {
    let target = Target::standard(&resource, "create", None);
    serve(&gateway, caller, target, incoming).await
}

/// Call the reading of one of a resource
///
/// Calls the tool `get` of a resource of a connected account.
/// A tool that has effects needs `proxy:write` as well.
#[utoipa::path(get, path = "/proxy/{resource}/{id}", operation_id = "callGet", tag = "proxy",
    params(("resource" = String, Path, description = "The tool's resource, from listing tools.", example = "projects"),
        ("id" = String, Path, description = "What the tool is called about: its argument `id`."),
        ProxyParameters, ToolArguments),
    responses((status = "2XX", description = "What the upstream answered, with its status.", body = CallAnswer)))]
pub(super) async fn read(
    State(gateway): Gate,
    caller: Caller<ProxyRead>,
    PathParameter((resource, id)): Pair,
    incoming: Incoming,
) -> Result<Response, ApiError> {
    let target = Target::standard(&resource, "get", Some(id));
    serve(&gateway, caller, target, incoming).await
}

/// Call the change of one of a resource
///
/// Calls the tool `update` of a resource of a connected account, whatever verb the upstream has for it.
/// A tool that has effects needs `proxy:write` as well.
#[utoipa::path(patch, path = "/proxy/{resource}/{id}", operation_id = "callUpdate", tag = "proxy",
    params(("resource" = String, Path, description = "The tool's resource, from listing tools.", example = "projects"),
        ("id" = String, Path, description = "What the tool is called about: its argument `id`."),
        ProxyParameters, ToolArguments,
        ("Idempotency-Key" = Option<String>, Header, description = "Goes to the upstream as it is.")),
    request_body(content = Option<serde_json::Value>, description = "Arguments of the tool that go to its body, or elsewhere, as an object; or the \
        whole body of a tool that has one argument for it. JSON, whatever the content type says; 4 MiB."),
    responses((status = "2XX", description = "What the upstream answered, with its status.", body = CallAnswer)))]
pub(super) async fn update(
    State(gateway): Gate,
    caller: Caller<ProxyRead>,
    PathParameter((resource, id)): Pair,
    incoming: Incoming,
) -> Result<Response, ApiError> {
    let target = Target::standard(&resource, "update", Some(id));
    serve(&gateway, caller, target, incoming).await
}

/// Call the deletion of one of a resource
///
/// Calls the tool `delete` of a resource of a connected account.
/// A tool that has effects needs `proxy:write` as well.
#[utoipa::path(delete, path = "/proxy/{resource}/{id}", operation_id = "callDelete", tag = "proxy",
    params(("resource" = String, Path, description = "The tool's resource, from listing tools.", example = "projects"),
        ("id" = String, Path, description = "What the tool is called about: its argument `id`."),
        ProxyParameters, ToolArguments,
        ("Idempotency-Key" = Option<String>, Header, description = "Goes to the upstream as it is.")),
    responses((status = "2XX", description = "What the upstream answered, with its status.", body = CallAnswer)))]
pub(super) async fn delete(
    State(gateway): Gate,
    caller: Caller<ProxyRead>,
    PathParameter((resource, id)): Pair,
    incoming: Incoming,
) -> Result<Response, ApiError> {
    let target = Target::standard(&resource, "delete", Some(id));
    serve(&gateway, caller, target, incoming).await
}

/// Call another method of a resource
///
/// Calls a tool whose method has no verb of its own: it is named in the place of an id.
/// A tool that has effects needs `proxy:write` as well.
#[utoipa::path(post, path = "/proxy/{resource}/{id}", operation_id = "callCustom", tag = "proxy",
    params(("resource" = String, Path, description = "The tool's resource, from listing tools.", example = "projects"),
        ("id" = String, Path, description = "The tool's method, from listing tools.", example = "rotate"),
        ProxyParameters, ToolArguments,
        ("Idempotency-Key" = Option<String>, Header, description = "Goes to the upstream as it is.")),
    request_body(content = Option<serde_json::Value>, description = "Arguments of the tool that go to its body, or elsewhere, as an object; or the \
        whole body of a tool that has one argument for it. JSON, whatever the content type says; 4 MiB."),
    responses((status = "2XX", description = "What the upstream answered, with its status.", body = CallAnswer)))]
pub(super) async fn custom(
    State(gateway): Gate,
    caller: Caller<ProxyRead>,
    PathParameter((resource, method)): Pair,
    incoming: Incoming,
) -> Result<Response, ApiError> {
    let target = Target {
        resource: &resource,
        method: &method,
        id: None,
        is_custom: true,
    };
    serve(&gateway, caller, target, incoming).await
}

/// The method that a path and a verb name.
struct Target<'a> {
    resource: &'a str,
    method: &'a str,
    id: Option<String>,
    is_custom: bool,
}

impl<'a> Target<'a> {
    fn standard(resource: &'a str, method: &'a str, id: Option<String>) -> Self {
        Self {
            resource,
            method,
            id,
            is_custom: false,
        }
    }

    fn find(&self, catalogue: &Catalogue) -> Wanted {
        let is_misplaced = self.is_custom && STANDARD.contains(&self.method);
        let tool = catalogue.tool(self.resource, self.method);
        let tool = tool.filter(|_| !is_misplaced).cloned();
        match tool {
            Some(tool) => Wanted::Tool(tool),
            None => Wanted::Own(self.unknown(catalogue)),
        }
    }
}

/// What a request says beside its path.
pub(super) struct Incoming {
    parameters: Parameters,
    headers: HeaderMap,
    body: Option<Value>,
    request_id: String,
}

impl<S: Send + Sync> FromRequest<S> for Incoming {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let parameters = Parameters::from_request_parts(&mut parts, state).await?;
        let body = to_bytes(body, LARGEST_BODY)
            .await
            .map_err(|error| unread_body(error, "4 MiB"))?;
        let request_id = parts.extensions.get::<RequestId>();
        Ok(Self {
            parameters,
            body: read_body(&body)?,
            request_id: request_id.map(|id| id.0.to_string()).unwrap_or_default(),
            headers: parts.headers,
        })
    }
}

/// JSON, whatever the content type says.
fn read_body(body: &[u8]) -> Result<Option<Value>, ApiError> {
    let text = body.trim_ascii();
    if text.is_empty() {
        return Ok(None);
    }
    check_text(text).map_err(|fault| ApiError::field("body", fault.to_string()))?;
    parse(text).map(Some)
}

async fn serve(
    gateway: &Gateway,
    caller: Caller<ProxyRead>,
    target: Target<'_>,
    incoming: Incoming,
) -> Result<Response, ApiError> {
    let parameters = incoming.parameters;
    let connected = parameters
        .text(CONNECTED)
        .ok_or_else(|| ApiError::field(CONNECTED, "must name a connected account"))?;
    let connected = connected_account(gateway, &caller.reach, connected).await?;
    let dry_run = parameters.flag(DRY_RUN)?;
    let catalogue = gateway.catalogue_of(&connected).await?;
    let mut wanted = target.find(&catalogue);
    let said = Said {
        id: target.id,
        query: parameters.without(&[CONNECTED, DRY_RUN]),
        body: incoming.body,
    };
    let arguments = match &wanted {
        Wanted::Tool(tool) => match proxy::arguments(tool, said) {
            Ok(arguments) => arguments,
            Err(faults) => {
                wanted = Wanted::Own(OwnAnswer {
                    name: tool.name.clone(),
                    answer: Answering::Refusal(Box::new(faults.into())),
                    arguments: &[],
                    about: Some(Arc::clone(tool)),
                });
                serde_json::Map::new()
            }
        },
        Wanted::Own(_) => serde_json::Map::new(),
    };
    let has_effects = wanted.tool().is_some_and(|tool| !tool.read_only);
    let let_in = LetIn::Caller {
        headers: &incoming.headers,
        from: caller.identity.network,
        needs: if has_effects {
            Permission::ProxyWrite
        } else {
            Permission::ProxyRead
        },
    };
    let admission = admit(caller, &connected, has_effects);
    let call = Call {
        server: None,
        connected: &connected,
        let_in,
        catalogue: &catalogue,
        asked: ToolCall {
            wanted,
            arguments,
            client: user_agent(&incoming.headers),
        },
        profile: SchemaProfile::Default,
        request_id: incoming.request_id,
        dry_run,
        budget: None,
        seals_secrets: false,
        idempotency_key: incoming.headers.get(IDEMPOTENCY_KEY).cloned(),
    };
    Ok(match gateway.call(call, async { admission }).await {
        Ok(outcome) => respond(outcome),
        Err(failure) => refuse(&failure),
    })
}

/// Whoever calls what has effects must be allowed that, too.
fn admit(
    caller: Caller<ProxyRead>,
    connected: &ConnectedAccount,
    has_effects: bool,
) -> Result<InNameOf, ApiError> {
    if has_effects {
        let writer = Caller::<ProxyWrite>::from_identity(caller.identity.clone())?;
        if !connected.is_within(&writer.reach) {
            return Err(ApiError::forbidden());
        }
    }
    let identity = caller.identity;
    Ok(InNameOf {
        maker: caller.actor,
        server: None,
        rights: caller.rights,
        ends_at: identity.ends_at,
        keys: identity.keys,
        network: identity.network,
    })
}

impl Target<'_> {
    /// What is said of a method that is no tool, or that is called by another verb. What stands in its
    /// place and is no method may be a key: neither the answer nor the log repeats it.
    fn unknown(&self, catalogue: &Catalogue) -> OwnAnswer {
        let tools = catalogue.tools();
        let of_it: Vec<_> = tools
            .iter()
            .filter(|tool| tool.resource == self.resource)
            .map(|tool| tool.method.as_str())
            .collect();
        let is_method = tools.iter().any(|tool| tool.method == self.method);
        let method = if is_method { self.method } else { NOT_KNOWN };
        let resource = if of_it.is_empty() {
            NOT_KNOWN
        } else {
            self.resource
        };
        let message = if of_it.is_empty() {
            let known = tools.iter().map(|tool| tool.resource.as_str());
            let near = nearest(self.resource, known);
            let near = near.map(|near| format!("; did you mean `{near}`?"));
            format!("there is no such resource{}", near.unwrap_or_default())
        } else if of_it.contains(&self.method) {
            format!("method `{method}` has a verb of its own, and is not named in the path")
        } else {
            let methods = listed(of_it);
            let lacks = if is_method {
                format!("no method `{method}`")
            } else {
                "no such method".to_owned()
            };
            format!("`{resource}` has {lacks}; it has {methods}")
        };
        let failure = Failure::refused(StatusCode::NOT_FOUND, "unknown_tool", message);
        OwnAnswer {
            name: format!("{resource} {method}"),
            answer: Answering::Refusal(Box::new(failure)),
            arguments: &[],
            about: None,
        }
    }
}

/// Tells a caller that is over its own limit so as it is told of an upstream's: in whole seconds, and in
/// the one form.
pub(super) async fn tell_limits(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if response.status() != StatusCode::TOO_MANY_REQUESTS {
        return response;
    }
    match ApiError::of_response(&response) {
        Some(error) => refuse(&error.into()),
        None => response,
    }
}

fn respond(outcome: ToolOutcome) -> Response {
    if let Some(passed) = outcome.passed {
        return passed_on(PassedOn {
            status: outcome.status,
            headers: HeaderMap::new(),
            content_type: Some(passed.content_type),
            body: passed.body,
            limits: outcome.limits,
        });
    }
    // A status that forbids a body would take the envelope away.
    let status = match outcome.status {
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT => StatusCode::OK,
        other => other,
    };
    let mut response = NoStore((status, Json(outcome.envelope))).into_response();
    response.headers_mut().extend(outcome.limits.headers());
    response
}

/// A body of an upstream as it is, and harmless: whoever opens it in a browser saves it, and nothing in it
/// runs in the name of this program.
pub(super) fn passed_on(answer: PassedOn) -> Response {
    let harmless = [
        (header::CONTENT_SECURITY_POLICY, "sandbox"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_DISPOSITION, "attachment"),
    ];
    let mut response = NoStore((answer.status, Body::from(answer.body))).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.extend(answer.headers);
    let kind = answer
        .content_type
        .and_then(|kind| HeaderValue::try_from(kind).ok());
    headers.extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
    headers.extend(harmless.map(|(name, value)| (name, HeaderValue::from_static(value))));
    add_limits(headers, answer.status, &answer.limits);
    response
}

pub(super) fn refuse(failure: &Failure) -> Response {
    let mut response = NoStore((failure.status, Json(failure.body()))).into_response();
    add_limits(response.headers_mut(), failure.status, &failure.limits);
    response
}

fn add_limits(headers: &mut HeaderMap, status: StatusCode, limits: &Limits) {
    headers.extend(limits.headers());
    if status == StatusCode::TOO_MANY_REQUESTS {
        // Published clients try again at once where nothing says when.
        let soon = HeaderValue::from_static("1");
        headers.entry(header::RETRY_AFTER).or_insert(soon);
    }
}
