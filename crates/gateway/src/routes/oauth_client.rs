//! `GET`, `PUT` and `DELETE /integration/{slug}/oauth-client`: as whom an account asks the users of a product for
//! their consent. Its secret is never shown.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_domain::rights::AccountRef;
use claviger_domain::time::Timestamp;
use claviger_edge::permission::{ConnectorsRead, ConnectorsWrite};
use claviger_edge::{ApiError, Body, Caller, ErrorCode, PathParameter};
use claviger_store::StoreError;
use claviger_store::oauth_clients::{self, OAuthClient};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::account_named;
use super::connector::{ACCOUNT, absent};
use super::described::{AccountParameter, OAuthClientInput};
use super::query::Parameters;
use crate::catalogue::Catalogue;
use crate::connect::consent::redirect_uri;
use crate::connector::access::OAuth;
use crate::connector::file::Format;
use crate::gateway::Gateway;
use crate::members::Members;

/// Characters of an id and of a secret, at most.
const LONGEST: usize = 2_048;

/// As whom an account asks users of a product for their consent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthClient)]
pub(crate) struct OAuthClientBody {
    /// The connector's slug.
    integration: String,
    /// The account that entered it: the one that was asked about, or the one above it.
    #[schema(example = "acc_4f8Q2mXc7ZrT1bVw9KpL")]
    account_id: String,
    /// How the product calls you; null: none was entered.
    #[schema(required, example = "3f7a9c21")]
    client_id: Option<String>,
    /// `***` where there is one.
    #[schema(required, example = "***")]
    client_secret: Option<&'static str>,
    /// What is registered at the product.
    redirect_uri: String,
    /// When it was entered.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
}

/// Show an OAuth client
///
/// Answers as whom users of a connector's product are asked for their consent, and the `redirect_uri` to register
/// there; never the secret.
#[utoipa::path(get, path = "/integration/{slug}/oauth-client", operation_id = "showOAuthClient",
    tag = "connectors",
    params(("slug" = String, Path, description = "The connector's slug, from listing connectors.",
        example = "theauthapi"), AccountParameter),
    responses(
        (status = 200, description = "The client.", body = OAuthClientBody),
        (status = 400, description = "The connector has no credentials of the form `oauth2`."),
        (status = 404, description = "No such connector or account.")))]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectorsRead>,
    PathParameter(slug): PathParameter,
    parameters: Parameters,
) -> Result<Json<OAuthClientBody>, ApiError> {
    let account = account_named(&gateway, &caller, parameters.text(ACCOUNT)).await?;
    let catalogue = catalogue(&gateway, &account, &slug).await?;
    consent(&catalogue)?;
    let stored = oauth_clients::meant_by(&gateway.core.db, &account, &slug).await?;
    Ok(Json(shown(&gateway, &account, &slug, stored.as_ref())?))
}

/// Enter an OAuth client
///
/// Says as whom users of a connector's product are asked for their consent, in the place of what was entered before.
#[utoipa::path(put, path = "/integration/{slug}/oauth-client", operation_id = "setOAuthClient",
    tag = "connectors",
    params(("slug" = String, Path, description = "The connector's slug, from listing connectors.",
        example = "theauthapi")),
    request_body = OAuthClientInput,
    responses(
        (status = 200, description = "The client.", body = OAuthClientBody),
        (status = 404, description = "No such connector or account.")))]
pub(super) async fn set(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectorsWrite>,
    PathParameter(slug): PathParameter,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<OAuthClientBody>, ApiError> {
    let members = Members::read("", &body, &["client_id", "client_secret", ACCOUNT])?;
    let account = account_named(&gateway, &caller, members.text(ACCOUNT)?).await?;
    let catalogue = catalogue(&gateway, &account, &slug).await?;
    let oauth = consent(&catalogue)?;
    let id = members.text("client_id")?;
    let id = id.ok_or_else(|| ApiError::field("client_id", "is required"))?;
    let secret = members.text("client_secret")?;
    for (name, value) in [("client_id", Some(id)), ("client_secret", secret)] {
        let is_sound = |text: &str| {
            (1..=LONGEST).contains(&text.len())
                && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        if value.is_some_and(|value| !is_sound(value)) {
            let must = format!("must have 1 to {LONGEST} characters of ASCII");
            return Err(ApiError::field(name, must));
        }
    }
    if secret.is_some() && oauth.has_open_host() {
        let must_not =
            "does not go with this connector, where whoever connects says which host would get it";
        return Err(ApiError::field("client_secret", must_not));
    }
    let client = OAuthClient {
        account: account.id.clone(),
        integration: slug.clone(),
        client_id: id.to_owned(),
        sealed: gateway.sealed_client(&account.id, &slug, (catalogue.access(), oauth), secret),
        updated_at: gateway.core.now(),
    };
    let change = gateway.core.change(&caller.actor);
    let stored = client.clone();
    gateway
        .core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { oauth_clients::set(tx, &change, &stored).await })
        })
        .await?;
    Ok(Json(shown(&gateway, &account, &slug, Some(&client))?))
}

/// Delete an OAuth client
///
/// Nobody is asked as that client any more.
#[utoipa::path(delete, path = "/integration/{slug}/oauth-client", operation_id = "deleteOAuthClient",
    tag = "connectors",
    params(("slug" = String, Path, description = "The connector's slug, from listing connectors.",
        example = "theauthapi"), AccountParameter),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "The account has no OAuth client for this connector, or there is no such account.")))]
pub(super) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectorsWrite>,
    PathParameter(slug): PathParameter,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    let account = account_named(&gateway, &caller, parameters.text(ACCOUNT)).await?;
    let change = gateway.core.change(&caller.actor);
    let deleted = gateway.core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move { oauth_clients::delete(tx, &change, &account.id, &slug).await })
    });
    if deleted.await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        let message = "The account has no OAuth client for this connector";
        Err(ApiError::new(ErrorCode::ConnectorNotFound, message))
    }
}

async fn catalogue(
    gateway: &Gateway,
    account: &AccountRef,
    slug: &str,
) -> Result<Arc<Catalogue>, ApiError> {
    let found = gateway.catalogue_named(account, slug).await;
    found.map_err(|error| match error.code {
        ErrorCode::NotConfigured => absent(),
        _ => error,
    })
}

/// Where users of the connector consent.
fn consent(catalogue: &Catalogue) -> Result<&OAuth, ApiError> {
    let format = catalogue.access().formats.get(&Format::OAuth2);
    let oauth = format.and_then(|format| format.oauth.as_ref());
    oauth.ok_or_else(|| {
        let message = "The connector has no credentials of the form oauth2";
        ApiError::new(ErrorCode::InvalidInput, message)
    })
}

fn shown(
    gateway: &Gateway,
    account: &AccountRef,
    slug: &str,
    client: Option<&OAuthClient>,
) -> Result<OAuthClientBody, ApiError> {
    let has_secret = match client {
        Some(client) => gateway.has_secret(client)?,
        None => false,
    };
    Ok(OAuthClientBody {
        integration: slug.to_owned(),
        account_id: client
            .map_or(&account.id, |client| &client.account)
            .to_string(),
        client_id: client.map(|client| client.client_id.clone()),
        client_secret: has_secret.then_some("***"),
        redirect_uri: redirect_uri(gateway, &account.id, slug),
        updated_at: client.map(|client| client.updated_at),
    })
}
