//! What is alike in making a connected account and changing one.

use claviger_domain::id::{self, Id};
use claviger_domain::rights::AccountRef;
use claviger_edge::permission::ConnectedAccountsWrite;
use claviger_edge::{ApiError, Caller, ErrorCode, FieldError};
use claviger_store::connected_accounts::{self, ConnectedAccount, Status};
use claviger_store::{StoreError, accounts, projects};
use serde_json::{Map, Value, json};

use super::wire;
use crate::argument::ArgumentFaults;
use crate::catalogue::Catalogue;
use crate::connect::choice::NO_METHOD;
use crate::connector::access::{Fields, FormatAccess};
use crate::connector::file::Format;
use crate::credentials::Credentials;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::nearest::listed;
use crate::upstream::Account;

/// The longest name of a tenant.
const LONGEST: usize = 255;

/// The account and the project that something is to be in: those that are named, else the caller's own.
pub(super) async fn place_of(
    gateway: &Gateway,
    caller: &Caller<ConnectedAccountsWrite>,
    (project, account): (Option<&str>, Option<&str>),
) -> Result<(AccountRef, Option<Id<id::Project>>), ApiError> {
    let no_project = || ApiError::new(ErrorCode::ProjectNotFound, "Project not found");
    let no_account = || ApiError::new(ErrorCode::AccountNotFound, "Account not found");
    let db = &gateway.core.db;
    // A project-level caller that names nothing means the project that it is for.
    let only = match &caller.reach.projects[..] {
        [only] if caller.reach.accounts.is_empty() && account.is_none() => Some(only.as_str()),
        _ => None,
    };
    if let Some(text) = project.or(only) {
        let id = Id::parse(text).ok_or_else(no_project)?;
        let found = projects::find(db, &caller.reach, &id)
            .await?
            .ok_or_else(no_project)?;
        if account.is_some_and(|account| account != found.account_id.as_str()) {
            return Err(ApiError::field(
                "project_id",
                "is of another account than account_id",
            ));
        }
        return Ok((found.account(), Some(found.id)));
    }
    let id = caller.account_or_own(account)?;
    let found = accounts::find(db, &caller.reach, &id).await?;
    let found = found.map(|account| account.reference());
    let found = found.filter(|account| caller.reach.reaches_account(account));
    Ok((found.ok_or_else(no_account)?, None))
}

/// The caller's own name for whose credentials they are.
pub(super) fn read_tenant(text: Option<&str>) -> Result<String, ApiError> {
    let text = text.map(str::trim).unwrap_or_default();
    if text.is_empty() || text.chars().count() > LONGEST {
        return Err(ApiError::field(
            "tenant_id",
            format!("must have 1 to {LONGEST} characters"),
        ));
    }
    Ok(text.to_owned())
}

/// The form of credentials that is named, or the only one.
pub(super) fn read_format<'c>(
    catalogue: &'c Catalogue,
    named: Option<&str>,
) -> Result<(&'static str, Option<&'c FormatAccess>), ApiError> {
    let formats = &catalogue.access().formats;
    let must = |known: Vec<&'static str>| {
        let must = format!("must be one of {}", listed(known));
        ApiError::field("authentication_method", must)
    };
    if formats.is_empty() {
        return match named {
            None | Some(NO_METHOD) => Ok((NO_METHOD, None)),
            Some(_) => Err(must(vec![NO_METHOD])),
        };
    }
    let mut known = formats.iter();
    let found = match named {
        None if formats.len() == 1 => known.next(),
        None => None,
        Some(named) => known.find(|(format, _)| format.as_str() == named),
    };
    let all = || formats.keys().map(|format| format.as_str()).collect();
    let (format, access) = found.ok_or_else(|| must(all()))?;
    if *format == Format::OAuth2 {
        let message = "oauth2 is connected by whoever consents: make a link token";
        return Err(ApiError::field("authentication_method", message));
    }
    Ok((format.as_str(), Some(access)))
}

/// Values for fields that are asked for; faults name the fields, never what was given.
pub(crate) fn check_fields(
    member: &str,
    fields: Option<&Fields>,
    given: &Map<String, Value>,
) -> Result<(), ApiError> {
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

/// Seals credentials for a connected account and the origins that it leads to.
pub(super) fn sealed(
    gateway: &Gateway,
    connected: &ConnectedAccount,
    catalogue: &Catalogue,
    given: &Map<String, Value>,
) -> Result<Vec<u8>, ApiError> {
    let origins = origins(gateway, connected, catalogue)?;
    let credentials = Credentials::entered(given, origins);
    Ok(credentials.seal(&gateway.sealing, &connected.id, &*gateway.core.random))
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
    let origins = Account::new(connected, catalogue).origins(gateway);
    origins.map_err(|failure| ApiError::field("context", failure.message))
}

/// Tries the credentials of a connected account, notes what came of it, and shows it.
pub(super) async fn tried(
    gateway: &Gateway,
    connected: ConnectedAccount,
    catalogue: &Catalogue,
) -> Result<Value, ApiError> {
    let (connected, failure) = tried_and_noted(gateway, connected, catalogue).await?;
    let mut shown = wire::connected_account(&connected);
    shown["validation_error"] = failure.as_ref().map_or(Value::Null, why);
    Ok(shown)
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
    let change = gateway.core.change(&claviger_domain::event::Actor::System);
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

/// Why credentials were not taken, without what the upstream answered.
fn why(failure: &Failure) -> Value {
    json!({
        "statusCode": failure.status.as_u16(), "code": failure.code, "message": failure.message,
    })
}
