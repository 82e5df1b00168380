//! `PATCH /integrated-account/{id}/credentials`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::ConnectedAccountsWrite;
use claviger_edge::{ApiError, Body, Caller, NoStore, PathParameter};
use claviger_store::connected_accounts;
use serde_json::{Map, Value};

use super::connected_account::{check_fields, read_format, sealed, tried};
use super::described::CredentialsChange;
use super::wire::TriedAccountBody;
use super::{connected_account, no_such_connected_account};
use crate::gateway::Gateway;
use crate::members::Members;

/// Enter credentials anew
///
/// Puts other credentials in the place of those of a connected account, and tries them where the connector says how:
/// what came of that is in `status` and `validation_error`.
#[utoipa::path(patch, path = "/integrated-account/{id}/credentials", operation_id = "changeCredentials",
    tag = "connected_accounts",
    params(("id" = String, Path, description = "The connected account's id, from listing connected accounts.",
        example = "cac_4f8Q2mXc7ZrT1bVw9KpL")),
    request_body = CredentialsChange,
    responses(
        (status = 200, description = "The connected account as it is now.", body = TriedAccountBody),
        (status = 404, description = "No such connected account."),
        (status = 501, description = "The connector is not there any more, or is not good as it is stored.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsWrite>,
    PathParameter(id): PathParameter,
    Body(body): Body<Map<String, Value>>,
) -> Result<NoStore<Json<TriedAccountBody>>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let change = gateway.core.change(&caller.actor);
    let catalogue = gateway.catalogue_of(&connected).await?;
    let (inside, of) = (Arc::clone(&gateway), Arc::clone(&catalogue));
    let changed = gateway
        .core
        .db
        .write::<_, ApiError, _>(move |tx| {
            Box::pin(async move {
                // Held: the origins are those of the context that it has by now.
                let held = connected_accounts::hold(tx, &caller.reach, &connected.id).await?;
                let mut held = held.ok_or_else(no_such_connected_account)?;
                let members = Members::read("", &body, &["authentication_method", "credentials"])?;
                let named = members.text("authentication_method")?;
                let named = named.unwrap_or(&held.authentication_method);
                let (format, access) = read_format(&of, Some(named))?;
                format.clone_into(&mut held.authentication_method);
                let given = members.object("credentials")?;
                let given = given.ok_or_else(|| ApiError::field("credentials", "is required"))?;
                check_fields("credentials", access.map(|access| &access.fields), given)?;
                let sealed = sealed(&inside, &held, &of, given)?;
                let changed =
                    connected_accounts::change_credentials(tx, &change, &held.id, format, &sealed);
                Ok(changed.await?)
            })
        })
        .await?;
    Ok(NoStore(Json(tried(&gateway, changed, &catalogue).await?)))
}
