//! `POST /integration`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use claviger_domain::id::Id;
use claviger_edge::permission::ConnectorsWrite;
use claviger_edge::{ApiError, Caller, ErrorCode};
use claviger_store::connectors::{self, StoredConnector};
use claviger_store::{Base, StoreError, accounts};
use http::StatusCode;

use super::connector::{ACCOUNT, body};
use super::described::{AccountParameter, ConnectorFile};
use super::query::Parameters;
use super::wire::CompiledConnectorBody;
use crate::gateway::Gateway;

/// How many connectors an account may have.
const MOST: i64 = 100;

/// Bring a connector
///
/// Makes tools of an API: a connector file with the API's OpenAPI document (3.0, 3.1 or Swagger 2.0) in it, as JSON or
/// YAML. An account has 100 at most. Faults name places, never content.
#[utoipa::path(post, path = "/integration", operation_id = "createConnector", tag = "connectors",
    params(AccountParameter),
    request_body(description = "A connector file with its OpenAPI document in it, whatever the content type says; 32 MiB.",
        content((ConnectorFile = "application/json"), (ConnectorFile = "application/yaml"))),
    responses(
        (status = 201, description = "The connector, and what comes of it.", body = CompiledConnectorBody),
        (status = 400, description = "The file or its document has a fault, or names what is not allowed over HTTP."),
        (status = 404, description = "No such account."),
        (status = 409, description = "The slug is taken, or the account has as many connectors as it may have."),
        (status = 413, description = "The body is larger than 32 MiB.")))]
pub(super) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller<ConnectorsWrite>,
    parameters: Parameters,
    request: Request,
) -> Result<(StatusCode, Json<CompiledConnectorBody>), ApiError> {
    let account = caller.account_or_own(parameters.text(ACCOUNT))?;
    let account = accounts::find(&gateway.core.db, &caller.reach, &account).await?;
    let account =
        account.ok_or_else(|| ApiError::new(ErrorCode::AccountNotFound, "Account not found"))?;
    let place = gateway.stored.doors.place(&account.root_account_id)?;
    let body = body(request).await?;
    let mut taken = gateway.stored.take(&gateway.core, body, None).await?;
    drop(place);
    if gateway.own_catalogue(&taken.slug).is_some() {
        let message =
            "This instance has a connector of that name for everybody: choose another slug";
        return Err(ApiError::new(ErrorCode::SlugTaken, message));
    }
    let change = gateway.core.change(&caller.actor);
    let id = Id::draw(&*gateway.core.random);
    let texts = taken.texts(&gateway.core, &id);
    let connector = StoredConnector {
        id,
        account: account.reference(),
        slug: taken.slug,
        label: taken.label,
        category: taken.category,
        digest: taken.digest,
        base: Base::made_by(&change),
    };
    let row = connector.clone();
    let stored = gateway
        .core
        .db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                if connectors::count(tx, &row.account.id).await? >= MOST {
                    return Ok(None);
                }
                connectors::create(tx, &change, &row, &texts)
                    .await
                    .map(Some)
            })
        })
        .await?;
    let refusal = match stored {
        Some(true) => {
            let shown = CompiledConnectorBody {
                connector: (&connector).into(),
                outcome: (&*taken.catalogue).into(),
                file: None,
            };
            return Ok((StatusCode::CREATED, Json(shown)));
        }
        Some(false) => (
            ErrorCode::SlugTaken,
            "The account has a connector of that name: change it, or choose another slug"
                .to_owned(),
        ),
        None => (
            ErrorCode::TooManyConnectors,
            format!("The account has {MOST} connectors: delete one that nobody uses"),
        ),
    };
    Err(ApiError::new(refusal.0, refusal.1))
}
