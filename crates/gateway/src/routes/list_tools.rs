//! `GET /integrated-account/{id}/tools`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use claviger_edge::permission::ConnectedAccountsRead;
use claviger_edge::{ApiError, Caller, ErrorCode};
use serde_json::{Value, json};

use super::connected_account;
use super::query::Parameters;
use crate::catalogue::filter::Filter;
use crate::gateway::Gateway;
use crate::profile::SchemaProfile;
use crate::server_config::read_profile;
use crate::tool::Tool;

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsRead>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let profile = parameters
        .text("schema_profile")
        .map(read_profile)
        .transpose()?;
    let profile = profile.unwrap_or_default();
    let catalogue = gateway.catalogue_of(&connected)?;
    let tools = Filter::new(parameters.list("methods"), parameters.list("tags"))
        .and_then(|filter| filter.select(catalogue.tools()))
        .map_err(|error| ApiError::new(ErrorCode::InvalidFilter, error.to_string()))?;
    // What has no description is no tool, so that asking for those leaves none.
    let is_asked = match parameters.text("has_description") {
        Some("false") => false,
        None | Some("true") => true,
        Some(_) => return Err(ApiError::field("has_description", "must be true or false")),
    };
    let shown: Vec<Value> = tools
        .iter()
        .filter(|_| is_asked)
        .map(|tool| show(tool, profile))
        .collect();
    Ok(Json(json!({ "result": shown })))
}

fn show(tool: &Tool, profile: SchemaProfile) -> Value {
    json!({
        "name": tool.name,
        "resource": tool.resource,
        "method": tool.method,
        "description": tool.description,
        "query_schema": profile.shape(&tool.schemas.query),
        "body_schema": tool.schemas.body.as_ref().map(|schema| profile.shape(schema)),
        "input_schema": profile.shape(&tool.schemas.input),
        "required": tool.required,
        "response_schema": tool.schemas.response,
        "tags": tool.tags,
        "annotations": tool.annotations,
    })
}
