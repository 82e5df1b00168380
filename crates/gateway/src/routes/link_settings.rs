//! `GET /link-settings` and `PUT /link-settings`: to which pages whoever connected may be sent back, and pages of
//! which origins are told what came of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_domain::rights::AccountRef;
use claviger_edge::permission::{AccountsRead, AccountsWrite};
use claviger_edge::{ApiError, Body, Caller};
use claviger_store::StoreError;
use claviger_store::link_settings::{self, LinkSettings};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::account_named;
use super::connector::ACCOUNT;
use super::described::{AccountParameter, LinkSettingsInput};
use super::query::Parameters;
use crate::connect::registered::{Unregistrable, check_origin, check_page};
use crate::gateway::Gateway;
use crate::members::Members;

/// How many of each an account may register.
const MOST: usize = 50;

/// Pages of an account's own that its links lead to, or tell.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LinkSettings)]
pub(crate) struct LinkSettingsBody {
    /// The account.
    #[schema(example = "acc_4f8Q2mXc7ZrT1bVw9KpL")]
    account_id: String,
    /// Pages to which whoever connected may be sent back.
    #[schema(example = json!(["https://app.example.com/connected"]))]
    redirect_uris: Vec<String>,
    /// Origins whose pages are told what came of it.
    #[schema(example = json!(["https://app.example.com"]))]
    origins: Vec<String>,
}

/// Show the pages of links
///
/// Answers to which pages whoever connected may be sent back, and pages of which origins are told what came of it; of the
/// account above where the account has said nothing.
#[utoipa::path(get, path = "/link-settings", operation_id = "showLinkSettings", tag = "links",
    params(AccountParameter),
    responses(
        (status = 200, description = "The pages.", body = LinkSettingsBody),
        (status = 404, description = "No such account.")))]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<AccountsRead>,
    parameters: Parameters,
) -> Result<Json<LinkSettingsBody>, ApiError> {
    let account = account_named(&gateway, &caller, parameters.text(ACCOUNT)).await?;
    let settings = link_settings::meant_by(&gateway.core.db, &account).await?;
    Ok(Json(shown(&account, settings)))
}

/// Register the pages of links
///
/// Says to which pages whoever connected may be sent back, and pages of which origins are told what came of it.
#[utoipa::path(put, path = "/link-settings", operation_id = "setLinkSettings", tag = "links",
    request_body = LinkSettingsInput,
    responses(
        (status = 200, description = "The pages as they are now.", body = LinkSettingsBody),
        (status = 404, description = "No such account.")))]
pub(super) async fn set(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<AccountsWrite>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<LinkSettingsBody>, ApiError> {
    let members = Members::read("", &body, &["redirect_uris", "origins", ACCOUNT])?;
    let named = members.text(ACCOUNT)?;
    let account = account_named(&gateway, &caller, named).await?;
    let settings = LinkSettings {
        redirect_uris: read(&members, "redirect_uris", check_page)?,
        origins: read(&members, "origins", check_origin)?,
    };
    let change = gateway.core.change(&caller.actor);
    let (id, stored) = (account.id.clone(), settings.clone());
    gateway
        .core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { link_settings::set(tx, &change, &id, &stored).await })
        })
        .await?;
    Ok(Json(shown(&account, settings)))
}

fn read(
    members: &Members<'_>,
    name: &str,
    check: fn(&str) -> Result<(), Unregistrable>,
) -> Result<Vec<String>, ApiError> {
    let texts = members.texts(name)?.unwrap_or_default();
    if texts.len() > MOST {
        return Err(ApiError::field(name, format!("must be at most {MOST}")));
    }
    for (place, text) in texts.iter().enumerate() {
        check(text).map_err(|why| ApiError::field(format!("{name}[{place}]"), why.to_string()))?;
    }
    Ok(texts)
}

fn shown(account: &AccountRef, settings: LinkSettings) -> LinkSettingsBody {
    LinkSettingsBody {
        account_id: account.id.to_string(),
        redirect_uris: settings.redirect_uris,
        origins: settings.origins,
    }
}
