//! `GET /integrated-account/{id}/tools`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::ConnectedAccountsRead;
use claviger_edge::{ApiError, Caller, ErrorCode, PathParameter};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::connected_account;
use super::described::ToolParameters;
use super::query::Parameters;
use crate::catalogue::Catalogue;
use crate::catalogue::filter::Filter;
use crate::exposure::NameStyle;
use crate::gateway::Gateway;
use crate::profile::SchemaProfile;
use crate::server_config::{read_name_style, read_profile};
use crate::tool::{Annotations, Tool};

/// Tools.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tools)]
pub(crate) struct ToolsBody {
    /// The tools, in their order.
    result: Vec<ToolBody>,
}

/// One method of one resource, as an agent is told of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tool)]
pub(crate) struct ToolBody {
    /// Its name, which no other tool of the connector has.
    #[schema(example = "list_all_the_auth_api_projects")]
    name: String,
    /// Its resource: what `/proxy/{resource}` names.
    #[schema(example = "projects")]
    resource: String,
    /// Its method: `list`, `get`, `create`, `update`, `delete`, or one of its own.
    #[schema(example = "list")]
    method: String,
    /// What it is for.
    description: String,
    /// JSON Schema of the arguments that go to path and query.
    #[schema(value_type = Object)]
    query_schema: Value,
    /// JSON Schema of the arguments that go to the body; null: there is none.
    #[schema(required, value_type = Option<Object>)]
    body_schema: Option<Value>,
    /// JSON Schema of all arguments, flat.
    #[schema(value_type = Object)]
    input_schema: Value,
    /// The arguments that every call needs.
    required: Vec<String>,
    /// JSON Schema of what the upstream answers; null: it is not known.
    #[schema(required)]
    response_schema: Option<Value>,
    /// Its tags, by which MCP servers choose.
    tags: Vec<String>,
    /// Hints for clients.
    annotations: Annotations,
}

/// List the tools of a connected account
///
/// Answers the tools that its connector yields, as the connected account has them, with their schemas.
#[utoipa::path(get, path = "/integrated-account/{id}/tools", operation_id = "listTools",
    tag = "connected_accounts",
    params(("id" = String, Path, description = "The connected account's id, from listing connected accounts.",
        example = "cac_4f8Q2mXc7ZrT1bVw9KpL"), ToolParameters),
    responses(
        (status = 200, description = "The tools.", body = ToolsBody),
        (status = 404, description = "No such connected account."),
        (status = 501, description = "The connector is not there any more, or is not good as it is stored.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsRead>,
    PathParameter(id): PathParameter,
    parameters: Parameters,
) -> Result<Json<ToolsBody>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let catalogue = gateway.catalogue_of(&connected).await?;
    let result = tools(&catalogue, &parameters)?;
    Ok(Json(ToolsBody { result }))
}

/// The tools that a query asks for, as it wants them.
pub(super) fn tools(
    catalogue: &Catalogue,
    parameters: &Parameters,
) -> Result<Vec<ToolBody>, ApiError> {
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

fn show(tool: &Tool, style: NameStyle, profile: SchemaProfile) -> ToolBody {
    let schemas = &tool.schemas;
    ToolBody {
        name: tool.named(style).to_owned(),
        resource: tool.resource.clone(),
        method: tool.method.clone(),
        description: tool.description.clone(),
        query_schema: profile.shape(&schemas.query),
        body_schema: schemas.body.as_ref().map(|schema| profile.shape(schema)),
        input_schema: profile.shape(&schemas.input),
        required: tool.required.clone(),
        response_schema: schemas.response.clone(),
        tags: tool.tags.clone(),
        annotations: tool.annotations.clone(),
    }
}
