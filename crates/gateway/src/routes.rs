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

use axum::routing::{any, delete, get, patch, post};
use axum::{Router, middleware};
use claviger_domain::id::{self, Id};
use claviger_domain::rights::{AccountRef, Reach};
use claviger_edge::{ApiError, Caller, ErrorCode, Idempotent, Requires, idempotent, identify};
use claviger_store::accounts;
use claviger_store::connected_accounts::{self, ConnectedAccount};

use crate::gateway::Gateway;
use crate::sealed::PATH;

/// Routes whose POST creates, and so honours an `Idempotency-Key`.
const CREATING: &[&str] = &[
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
    let of_accounts = Router::new()
        .route(
            "/integrated-account",
            get(list_connected_accounts::handle).post(create_connected_account::handle),
        )
        .route(
            "/integrated-account/refresh-credentials",
            post(refresh_credentials::handle),
        )
        .route(
            "/integrated-account/{id}",
            get(find_connected_account::handle)
                .patch(update_connected_account::handle)
                .delete(delete_connected_account::handle),
        )
        .route(
            "/integrated-account/{id}/credentials",
            patch(change_credentials::handle),
        )
        .route("/integrated-account/{id}/tools", get(list_tools::handle))
        .route(
            "/integrated-account/{id}/capabilities",
            get(show_capabilities::of_connected_account),
        )
        .route(
            "/integration",
            get(list_connectors::handle).post(create_connector::handle),
        )
        .route(
            "/integration/{slug}",
            get(find_connector::handle)
                .patch(update_connector::handle)
                .delete(delete_connector::handle),
        )
        .route(
            "/integration/{slug}/capabilities",
            get(show_capabilities::of_connector),
        )
        .route(
            "/integrated-account/{id}/mcp",
            get(list_mcp_servers::handle).post(create_mcp_server::handle),
        )
        .route(
            "/integrated-account/{id}/mcp/{server}",
            get(find_mcp_server::handle)
                .patch(update_mcp_server::handle)
                .delete(delete_mcp_server::handle),
        )
        .route(
            "/integrated-account/{id}/mcp/{server}/rotate-token",
            post(rotate_mcp_server::handle),
        )
        .route(
            "/integrated-account/{id}/mcp/{server}/client-config",
            get(show_client_config::handle),
        )
        .merge(of_links())
        .route("/log", get(list_calls::handle))
        .layer(middleware::from_fn_with_state(creating, idempotent));
    let of_tools = Router::new()
        .route("/proxy/{resource}", get(proxy::list).post(proxy::create))
        .route(
            "/proxy/{resource}/{id}",
            get(proxy::read)
                .patch(proxy::update)
                .delete(proxy::delete)
                .post(proxy::custom),
        )
        .route("/custom/{*path}", any(custom::handle));
    let identified = middleware::from_fn_with_state(gateway.core.clone(), identify);
    let of_accounts = of_accounts.layer(identified.clone());
    let of_tools = of_tools
        .layer(identified)
        .layer(middleware::from_fn(proxy::tell_limits));
    let of_agents = Router::new()
        .route("/mcp", any(mcp_endpoint::by_bearer))
        .route("/mcp/{token}", any(mcp_endpoint::by_path))
        .route(PATH, get(reveal::show).post(reveal::reveal))
        .route(connect::PATH, get(connect::show).post(connect::submit))
        .route(connect::CALLBACK, get(connect::callback))
        // Clients of the protocol ask here whether there is something to sign in to.
        .route("/.well-known/{*path}", any(async || ApiError::not_found()));
    of_accounts
        .merge(of_tools)
        .merge(of_agents)
        .with_state(Arc::clone(gateway))
}

/// By what an account has its customers connect theirs.
fn of_links() -> Router<Arc<Gateway>> {
    Router::new()
        .route(
            "/integration/{slug}/oauth-client",
            get(oauth_client::show)
                .put(oauth_client::set)
                .delete(oauth_client::delete),
        )
        .route(
            "/link-token",
            get(list_link_tokens::handle).post(create_link_token::handle),
        )
        .route("/link-token/{id}", delete(delete_link_token::handle))
        .route(
            "/link-settings",
            get(link_settings::show).put(link_settings::set),
        )
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
