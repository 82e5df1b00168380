//! What is entered for a connected account, on a page or by a call: whether it is what is asked for, where it
//! goes, and whether it is taken there.

use claviger_domain::event::Actor;
use claviger_edge::{ApiError, ErrorCode, FieldError};
use claviger_store::StoreError;
use claviger_store::connected_accounts::{self, ConnectedAccount, Status};
use serde_json::{Map, Value};

use crate::argument::ArgumentFaults;
use crate::catalogue::Catalogue;
use crate::connector::access::Fields;
use crate::connector::file::Format;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::upstream::Account;

/// The bytes of all values of a connected account's context, and of all its credentials, at most: they are
/// opened and spelled out many ways for its calls, and a connector may ask for any number of fields.
const LARGEST: usize = 64 * 1_024;

/// Values for fields that are asked for; faults name the fields, never what was given.
pub(crate) fn check_fields(
    member: &str,
    fields: Option<&Fields>,
    given: &Map<String, Value>,
) -> Result<(), ApiError> {
    let texts = given.values().filter_map(Value::as_str);
    if texts.map(str::len).sum::<usize>() > LARGEST {
        let must = format!(
            "must have at most {} KiB in all fields together",
            LARGEST / 1_024
        );
        return Err(ApiError::field(member, must));
    }
    let checked = match fields {
        Some(fields) => fields.check(given),
        None if given.is_empty() => Ok(()),
        None => Err(ArgumentFaults(vec!["nothing is asked for here".to_owned()])),
    };
    checked.map_err(|faults| {
        let message = faults.to_string().replace("argument", "field");
        let mut error = ApiError::new(ErrorCode::InvalidInput, format!("{member}: {message}"));
        error.details.push(FieldError {
            field: member.to_owned(),
            message,
        });
        error
    })
}

/// The origins that a connected account leads to.
pub(crate) fn origins(
    gateway: &Gateway,
    connected: &ConnectedAccount,
    catalogue: &Catalogue,
) -> Result<Vec<String>, ApiError> {
    if catalogue.is_local() {
        return Ok(Vec::new());
    }
    let way = Account::new(connected, catalogue).way(gateway);
    let way = way.map_err(|failure| ApiError::field("context", failure.message))?;
    Ok(way.origins.clone())
}

/// Tries the credentials of a connected account and notes what came of it; with why they are not taken.
pub(crate) async fn tried_and_noted(
    gateway: &Gateway,
    connected: ConnectedAccount,
    catalogue: &Catalogue,
) -> Result<(ConnectedAccount, Option<Failure>), ApiError> {
    // Read before: what is entered meanwhile was not tried.
    let sealed = connected_accounts::sealed_credentials(&gateway.core.db, &connected.id).await?;
    let failure = gateway.try_credentials(&connected, catalogue).await?;
    let is_consent = connected.authentication_method == Format::OAuth2.as_str();
    let sealed = if is_consent {
        // Trying them may have renewed them.
        connected_accounts::sealed_credentials(&gateway.core.db, &connected.id).await?
    } else {
        sealed
    };
    let is_busy = |failure: &Failure| failure.code == ErrorCode::TooBusy.as_str();
    let status = match (&failure, connected.status) {
        (None, _) => Status::Active,
        // It was not tried.
        (Some(failure), status) if is_busy(failure) => status,
        (Some(_), Status::Connecting | Status::ValidationError) => Status::ValidationError,
        (Some(_), _) => Status::NeedsReauth,
    };
    let change = gateway.core.change(&Actor::System);
    let id = connected.id.clone();
    let noted = gateway.core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move {
            let sealed = sealed.unwrap_or_default();
            connected_accounts::change_status(tx, &change, &id, &sealed, status).await
        })
    });
    let connected = noted.await?.unwrap_or(ConnectedAccount {
        status,
        ..connected
    });
    Ok((connected, failure))
}
