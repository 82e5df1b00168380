//! The gateway's routes. Those of accounts need a credential; the endpoint of an MCP server has its own.

mod change_credentials;
mod connect;
mod connected_account;
mod connector;
mod create_connected_account;
mod create_connector;
mod create_link_token;
mod create_mcp_server;
mod custom;
mod delete_connected_account;
mod delete_connector;
mod delete_link_token;
mod delete_mcp_server;
pub(crate) mod described;
mod find_connected_account;
mod find_connector;
mod find_mcp_server;
mod link_settings;
mod list_calls;
mod list_connected_accounts;
mod list_connectors;
mod list_link_tokens;
mod list_mcp_servers;
mod list_tools;
mod mcp_endpoint;
mod mcp_server;
mod oauth_client;
mod proxy;
mod query;
mod refresh_credentials;
mod reveal;
mod rotate_mcp_server;
mod show_capabilities;
mod show_client_config;
mod update_connected_account;
mod update_connector;
mod update_mcp_server;
mod wire;

use std::sync::Arc;

use axum::routing::{any, get};
use axum::{Router, middleware};
use claviger_domain::id::{self, Id};
use claviger_domain::rights::{AccountRef, Reach};
use claviger_edge::{
    ApiError, Caller, ErrorCode, Idempotent, Requires, idempotent, identify, routes,
};
use claviger_store::accounts;
use claviger_store::connected_accounts::{self, ConnectedAccount};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::gateway::Gateway;
use crate::sealed::PATH;

/// Routes whose POST creates, and so honours an `Idempotency-Key`.
pub(crate) const CREATING: &[&str] = &[
    "/integrated-account",
    "/link-token",
    "/integrated-account/{id}/mcp",
    "/integrated-account/{id}/mcp/{server}/rotate-token",
];

/// All routes of the gateway. The layers around every surface are the server's to add.
pub fn router(gateway: &Arc<Gateway>) -> Router {
    let creating = Idempotent {
        core: gateway.core.clone(),
        routes: CREATING,
        mib: 1,
    };
    let (of_accounts, _) = of_accounts().split_for_parts();
    let (of_tools, _) = of_tools().split_for_parts();
    let identified = middleware::from_fn_with_state(gateway.core.clone(), identify);
    let of_accounts = of_accounts
        .layer(middleware::from_fn_with_state(creating, idempotent))
        .layer(identified.clone());
    let of_tools = of_tools
        // Whatever verb, and however many segments, which no document can say.
        .route("/custom/{*path}", any(custom::handle))
        .layer(identified)
        .layer(middleware::from_fn(proxy::tell_limits));
    let of_agents = Router::new()
        .route("/mcp", any(mcp_endpoint::by_bearer))
        .route("/mcp/{token}", any(mcp_endpoint::by_path))
        // Clients of the protocol ask here whether there is something to sign in to.
        .route("/.well-known/{*path}", any(async || ApiError::not_found()));
    of_accounts
        .merge(of_tools)
        .merge(of_agents)
        .merge(pages())
        .with_state(Arc::clone(gateway))
}

/// The routes' part of the OpenAPI document: all but those of pages for people.
pub(crate) fn described() -> OpenApi {
    let routes = of_accounts().merge(of_tools());
    let mut document = routes.routes(routes!(custom::handle)).into_openapi();
    document.merge(AnyMethod::openapi());
    document
}

/// What answers more methods than the document has, to whoever has the URL.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(mcp_endpoint::by_bearer, mcp_endpoint::by_path),
    components(schemas(described::CallFailure))
)]
struct AnyMethod;

/// What an account has and makes.
fn of_accounts() -> OpenApiRouter<Arc<Gateway>> {
    OpenApiRouter::new()
        .routes(routes!(
            list_connected_accounts::handle,
            create_connected_account::handle
        ))
        .routes(routes!(refresh_credentials::handle))
        .routes(routes!(
            find_connected_account::handle,
            update_connected_account::handle,
            delete_connected_account::handle
        ))
        .routes(routes!(change_credentials::handle))
        .routes(routes!(list_tools::handle))
        .routes(routes!(show_capabilities::of_connected_account))
        .routes(routes!(list_connectors::handle, create_connector::handle))
        .routes(routes!(
            find_connector::handle,
            update_connector::handle,
            delete_connector::handle
        ))
        .routes(routes!(show_capabilities::of_connector))
        .routes(routes!(list_mcp_servers::handle, create_mcp_server::handle))
        .routes(routes!(
            find_mcp_server::handle,
            update_mcp_server::handle,
            delete_mcp_server::handle
        ))
        .routes(routes!(rotate_mcp_server::handle))
        .routes(routes!(show_client_config::handle))
        .merge(of_links())
        .routes(routes!(list_calls::handle))
}

/// By what an account has its customers connect theirs.
fn of_links() -> OpenApiRouter<Arc<Gateway>> {
    OpenApiRouter::new()
        .routes(routes!(
            oauth_client::show,
            oauth_client::set,
            oauth_client::delete
        ))
        .routes(routes!(list_link_tokens::handle, create_link_token::handle))
        .routes(routes!(delete_link_token::handle))
        .routes(routes!(link_settings::show, link_settings::set))
}

/// Calls of tools.
fn of_tools() -> OpenApiRouter<Arc<Gateway>> {
    OpenApiRouter::new()
        .routes(routes!(proxy::list, proxy::create))
        .routes(routes!(
            proxy::read,
            proxy::update,
            proxy::delete,
            proxy::custom
        ))
}

/// Pages for people, which no document describes.
fn pages() -> Router<Arc<Gateway>> {
    Router::new()
        .route(PATH, get(reveal::show).post(reveal::reveal))
        .route(connect::PATH, get(connect::show).post(connect::submit))
        .route(connect::CALLBACK, get(connect::callback))
}

/// The account that is named, or the caller's own.
async fn account_named<P: Requires>(
    gateway: &Gateway,
    caller: &Caller<P>,
    named: Option<&str>,
) -> Result<AccountRef, ApiError> {
    let id = caller.account_or_own(named)?;
    let found = accounts::find(&gateway.core.db, &caller.reach, &id).await?;
    let found = found.map(|account| account.reference());
    found.ok_or_else(|| ApiError::new(ErrorCode::AccountNotFound, "Account not found"))
}

/// The connected account of a path, when it is within the reach.
async fn connected_account(
    gateway: &Gateway,
    reach: &Reach,
    id: &str,
) -> Result<ConnectedAccount, ApiError> {
    let id = Id::<id::ConnectedAccount>::parse(id).ok_or_else(no_such_connected_account)?;
    connected_accounts::find(&gateway.core.db, reach, &id)
        .await?
        .ok_or_else(no_such_connected_account)
}

fn no_such_connected_account() -> ApiError {
    let message = "Connected account not found";
    ApiError::new(ErrorCode::ConnectedAccountNotFound, message)
}

/// The id of an MCP server in a path.
fn mcp_server_id(text: &str) -> Result<Id<id::McpServer>, ApiError> {
    Id::parse(text).ok_or_else(no_such_server)
}

fn no_such_server() -> ApiError {
    ApiError::new(ErrorCode::McpServerNotFound, "MCP server not found")
}
