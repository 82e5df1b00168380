//! `POST /integrated-account`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use claviger_domain::id::Id;
use claviger_edge::permission::ConnectedAccountsWrite;
use claviger_edge::{ApiError, Body, Caller, ErrorCode, NoStore};
use claviger_store::connected_accounts::{self, ConnectedAccount, Status};
use claviger_store::{Base, connectors};
use http::StatusCode;
use serde_json::{Map, Value};

use super::connected_account::{check_fields, place_of, read_format, read_tenant, sealed, tried};
use super::described::NewConnectedAccount;
use super::wire::TriedAccountBody;
use crate::catalogue::overrides::{MEMBER, Overrides};
use crate::gateway::Gateway;
use crate::members::Members;

const MEMBERS: [&str; 8] = [
    MEMBER,
    "integration",
    "tenant_id",
    "authentication_method",
    "context",
    "credentials",
    "account_id",
    "project_id",
];

/// Connect an account
///
/// Stores one tenant's credentials for a connector, sealed, and tries them where the connector says how: what came of
/// that is in `status` and `validation_error`. Credentials of the form `oauth2` are connected by a link. Send an
/// `Idempotency-Key` header to be safe to repeat.
#[utoipa::path(post, path = "/integrated-account", operation_id = "createConnectedAccount",
    tag = "connected_accounts",
    request_body = NewConnectedAccount,
    responses(
        (status = 201, description = "The connected account.", body = TriedAccountBody),
        (status = 404, description = "No such account or project.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsWrite>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let members = Members::read("", &body, &MEMBERS)?;
    let place = (members.text("project_id")?, members.text("account_id")?);
    let (account, project) = place_of(&gateway, &caller, place).await?;
    let integration = members.text("integration")?;
    let integration = integration.ok_or_else(|| ApiError::field("integration", "is required"))?;
    let change = gateway.core.change(&caller.actor);
    let mut connected = ConnectedAccount {
        id: Id::draw(&*gateway.core.random),
        account,
        project,
        integration: integration.to_owned(),
        tenant_id: read_tenant(members.text("tenant_id")?)?,
        authentication_method: String::new(),
        context: "{}".to_owned(),
        overrides: "{}".to_owned(),
        status: Status::Connecting,
        base: Base::made_by(&change),
    };
    let catalogue = gateway.catalogue_of(&connected).await;
    let catalogue = catalogue.map_err(|error| match error.code {
        ErrorCode::NotConfigured => no_such_connector(),
        _ => error,
    })?;
    if let Some(said) = members.object(MEMBER)? {
        Overrides::read(said, &catalogue)?;
        connected.overrides = Value::Object(said.clone()).to_string();
    }
    let (format, access) = read_format(&catalogue, members.text("authentication_method")?)?;
    format.clone_into(&mut connected.authentication_method);
    let empty = Map::new();
    let context = members.object("context")?.unwrap_or(&empty);
    let asked = &catalogue.access().context;
    let is_misplaced =
        |name: &&String| !asked.has(name) && access.is_some_and(|it| it.fields.has(name));
    if let Some(name) = context.keys().find(is_misplaced) {
        let belongs = format!("has `{name}`, which goes into `credentials`");
        return Err(ApiError::field("context", belongs));
    }
    check_fields("context", Some(asked), context)?;
    connected.context = Value::Object(context.clone()).to_string();
    let given = members.object("credentials")?.unwrap_or(&empty);
    check_fields("credentials", access.map(|access| &access.fields), given)?;
    let sealed = sealed(&gateway, &connected, &catalogue, given)?;
    let row = connected.clone();
    let is_stored = gateway.own_catalogue(&row.integration).is_none();
    gateway
        .core
        .db
        .write::<_, ApiError, _>(move |tx| {
            Box::pin(async move {
                // It may have been deleted since.
                if is_stored && !connectors::hold(tx, &row.account, &row.integration).await? {
                    return Err(no_such_connector());
                }
                Ok(connected_accounts::create(tx, &change, &row, &sealed).await?)
            })
        })
        .await?;
    let shown = tried(&gateway, connected, &catalogue).await?;
    Ok((StatusCode::CREATED, NoStore(Json(shown))).into_response())
}

fn no_such_connector() -> ApiError {
    ApiError::field("integration", "names no connector that there is")
}
