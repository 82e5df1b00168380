//! `GET /integrated-account/{id}/capabilities` and `GET /integration/{slug}/capabilities`: the tools,
//! how one connects, and how well a model is told of what there is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claviger_edge::permission::{ConnectedAccountsRead, ConnectorsRead};
use claviger_edge::{ApiError, Caller, PathParameter};
use serde::Serialize;
use utoipa::ToSchema;

use super::connected_account;
use super::connector::{Found, find_to_read};
use super::described::{AccountParameter, ToolParameters};
use super::list_tools::{ToolBody, tools};
use super::query::Parameters;
use crate::catalogue::Catalogue;
use crate::gateway::Gateway;

/// What there is to call, how one connects, and how well a model is told of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Capabilities)]
pub(crate) struct CapabilitiesBody {
    /// The connector's slug.
    #[schema(example = "theauthapi")]
    integration: String,
    /// The product's name for people.
    #[schema(example = "The Auth API")]
    label: String,
    /// In which forms credentials may be given; none: none are asked for.
    authentication_formats: Vec<&'static str>,
    /// How well a model is told of what there is.
    ai_readiness: AiReadiness,
    /// The tools, in their order.
    result: Vec<ToolBody>,
}

/// How well a model is told of what there is.
#[derive(Debug, Serialize, ToSchema)]
struct AiReadiness {
    /// Methods, with a description or without.
    #[schema(example = 57)]
    proxy_methods: usize,
    /// Methods with a description, which are tools.
    #[schema(example = 57)]
    proxy_methods_with_descriptions: usize,
    /// How many of a hundred have one.
    #[schema(example = 100)]
    ai_ready_score: usize,
}

/// Show what a connected account can do
///
/// Answers its tools, the forms of its connector's credentials, and how well a model is told of what there is.
#[utoipa::path(get, path = "/integrated-account/{id}/capabilities",
    operation_id = "showConnectedAccountCapabilities", tag = "connected_accounts",
    params(("id" = String, Path, description = "The connected account's id, from listing connected accounts.",
        example = "cac_4f8Q2mXc7ZrT1bVw9KpL"), ToolParameters),
    responses(
        (status = 200, description = "What there is to call.", body = CapabilitiesBody),
        (status = 404, description = "No such connected account."),
        (status = 501, description = "The connector is not there any more, or is not good as it is stored.")))]
pub(super) async fn of_connected_account(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectedAccountsRead>,
    PathParameter(id): PathParameter,
    parameters: Parameters,
) -> Result<Json<CapabilitiesBody>, ApiError> {
    let connected = connected_account(&gateway, &caller.reach, &id).await?;
    let catalogue = gateway.catalogue_of(&connected).await?;
    show(&catalogue, &parameters)
}

/// Show what a connector can do
///
/// Answers its tools, the forms of its credentials, and how well a model is told of what there is.
#[utoipa::path(get, path = "/integration/{slug}/capabilities", operation_id = "showConnectorCapabilities",
    tag = "connectors",
    params(("slug" = String, Path, description = "The connector's slug, from listing connectors.",
        example = "theauthapi"), ToolParameters, AccountParameter),
    responses(
        (status = 200, description = "What there is to call.", body = CapabilitiesBody),
        (status = 404, description = "No such connector."),
        (status = 501, description = "The connector is not there any more, or is not good as it is stored.")))]
pub(super) async fn of_connector(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectorsRead>,
    PathParameter(slug): PathParameter,
    parameters: Parameters,
) -> Result<Json<CapabilitiesBody>, ApiError> {
    let catalogue = match find_to_read(&gateway, &caller, &slug, &parameters).await? {
        Found::Own(catalogue) => catalogue,
        Found::Stored(stored) => gateway.catalogue_of_stored(&stored).await?,
    };
    show(&catalogue, &parameters)
}

fn show(
    catalogue: &Catalogue,
    parameters: &Parameters,
) -> Result<Json<CapabilitiesBody>, ApiError> {
    let described = catalogue.tools().len();
    let all = described + catalogue.undescribed();
    Ok(Json(CapabilitiesBody {
        integration: catalogue.slug().to_owned(),
        label: catalogue.label().to_owned(),
        authentication_formats: catalogue.authentication_formats(),
        ai_readiness: AiReadiness {
            proxy_methods: all,
            proxy_methods_with_descriptions: described,
            ai_ready_score: (described * 100).checked_div(all).unwrap_or(0),
        },
        result: tools(catalogue, parameters)?,
    }))
}
