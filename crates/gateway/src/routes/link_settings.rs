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
use serde_json::{Map, Value, json};

use super::account_named;
use super::connector::ACCOUNT;
use super::query::Parameters;
use crate::connect::registered::{Unregistrable, check_origin, check_page};
use crate::gateway::Gateway;
use crate::members::Members;

/// How many of each an account may register.
const MOST: usize = 50;

pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<AccountsRead>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let account = account_named(&gateway, &caller, parameters.text(ACCOUNT)).await?;
    let settings = link_settings::meant_by(&gateway.core.db, &account).await?;
    Ok(Json(shown(&account, &settings)))
}

pub(super) async fn set(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<AccountsWrite>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<Value>, ApiError> {
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
    Ok(Json(shown(&account, &settings)))
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

fn shown(account: &AccountRef, settings: &LinkSettings) -> Value {
    json!({
        "account_id": account.id,
        "redirect_uris": settings.redirect_uris,
        "origins": settings.origins,
    })
}
