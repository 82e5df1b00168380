//! `PATCH /integrated-account/{id}`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::ConnectedAccountsWrite;
use claviger_edge::{ApiError, Body, Caller, PathParameter};
use claviger_store::connected_accounts::{self, Changed, ConnectedAccount, Status};
use serde_json::{Map, Value};

use super::connected_account::{check_fields, origins, read_tenant};
use super::described::ConnectedAccountChange;
use super::wire::ConnectedAccountBody;
use super::{connected_account, no_such_connected_account};
use crate::catalogue::Catalogue;
use crate::catalogue::overrides::{MEMBER, Overrides};
use crate::gateway::Gateway;
use crate::members::Members;

/// Change a connected account
///
/// Changes whose it is, what it was connected with that is no secret, and what it says otherwise of its connector's
/// tools. One that leads elsewhere than its credentials were entered for has `status` `needs_reauth` until they are
/// entered anew.
#[utoipa::path(patch, path = "/integrated-account/{id}", operation_id = "updateConnectedAccount",
    tag = "connected_accounts",
    params(("id" = String, Path, description = "The connected account's id, from listing connected accounts.",
        example = "cac_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = ConnectedAccountChange,
    responses(
        (status = 200, description = "The connected account as it is now.", body = ConnectedAccountBody),
        (status = 404, description = "No such connected account."),
        (status = 501, description = "The connector is not there any more, or is not good as it is stored.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsWrite>,
    PathParameter(id): PathParameter,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<ConnectedAccountBody>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let change = gateway.core.change(&caller.actor);
    // As it is without what the connected account has said so far.
    let catalogue = gateway
        .catalogue_named(&connected.account, &connected.integration)
        .await?;
    let inside = Arc::clone(&gateway);
    let changed = gateway
        .core
        .db
        .write::<_, ApiError, _>(move |tx| {
            Box::pin(async move {
                let held = connected_accounts::hold(tx, &caller.reach, &connected.id).await?;
                let held = held.ok_or_else(no_such_connected_account)?;
                let changed = read(&inside, &catalogue, &held, &body)?;
                Ok(connected_accounts::update(tx, &change, &held.id, &changed).await?)
            })
        })
        .await?;
    Ok(Json((&changed).into()))
}

/// A connected account as a body changes it: what is not named stays. One that leads elsewhere than its
/// credentials were entered for is without them until they are entered anew.
fn read(
    gateway: &Gateway,
    catalogue: &Catalogue,
    held: &ConnectedAccount,
    body: &Map<String, Value>,
) -> Result<Changed, ApiError> {
    let members = Members::read("", body, &["tenant_id", "context", MEMBER])?;
    let tenant_id = match members.text("tenant_id")? {
        None => held.tenant_id.clone(),
        tenant => read_tenant(tenant)?,
    };
    let mut after = held.clone();
    if let Some(context) = members.object("context")? {
        check_fields("context", Some(&catalogue.access().context), context)?;
        after.context = Value::Object(context.clone()).to_string();
        let before = origins(gateway, held, catalogue).ok();
        if before != Some(origins(gateway, &after, catalogue)?) {
            after.status = Status::NeedsReauth;
        }
    }
    if let Some(said) = members.object(MEMBER)? {
        Overrides::read(said, catalogue)?;
        after.overrides = Value::Object(said.clone()).to_string();
    }
    Ok(Changed {
        tenant_id,
        context: after.context,
        overrides: after.overrides,
        status: after.status,
    })
}
