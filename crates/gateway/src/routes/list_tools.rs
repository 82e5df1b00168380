//! `GET /integrated-account/{id}/tools`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use claviger_edge::permission::ConnectedAccountsRead;
use claviger_edge::{ApiError, Caller, ErrorCode};
use serde_json::{Value, json};

use super::connected_account;
use super::query::Parameters;
use crate::catalogue::Catalogue;
use crate::catalogue::filter::Filter;
use crate::exposure::NameStyle;
use crate::gateway::Gateway;
use crate::profile::SchemaProfile;
use crate::server_config::{read_name_style, read_profile};
use crate::tool::Tool;

pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsRead>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let catalogue = gateway.catalogue_of(&connected).await?;
    Ok(Json(json!({ "result": tools(&catalogue, &parameters)? })))
}

/// The tools that a query asks for, as it wants them.
pub(super) fn tools(
    catalogue: &Catalogue,
    parameters: &Parameters,
) -> Result<Vec<Value>, ApiError> {
    let profile = parameters.text("schema_profile").map(read_profile);
    let profile = profile.transpose()?.unwrap_or_default();
    let style = parameters.text("name_style").map(read_name_style);
    let style = style.transpose()?.unwrap_or_default();
    let tools = Filter::new(parameters.list("methods"), parameters.list("tags"))
        .and_then(|filter| filter.select(catalogue.tools()))
        .map_err(|error| ApiError::new(ErrorCode::InvalidFilter, error.to_string()))?;
    // What has no description is no tool, so that asking for those leaves none.
    let is_asked =
        parameters.text("has_description").is_none() || parameters.flag("has_description")?;
    let tools = tools.iter().filter(|_| is_asked);
    Ok(tools.map(|tool| show(tool, style, profile)).collect())
}

fn show(tool: &Tool, style: NameStyle, profile: SchemaProfile) -> Value {
    json!({
        "name": tool.named(style),
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
