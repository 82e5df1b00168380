//! What is alike in making a connected account and changing one.

use claviger_domain::id::{self, Id};
use claviger_domain::rights::AccountRef;
use claviger_edge::permission::ConnectedAccountsWrite;
use claviger_edge::{ApiError, Caller, ErrorCode};
use claviger_store::connected_accounts::ConnectedAccount;
use claviger_store::{accounts, projects};
use serde_json::{Map, Value};

use super::wire::TriedAccountBody;
use crate::catalogue::Catalogue;
use crate::connect::choice::NO_METHOD;
use crate::connect::trying::tried_and_noted;
pub(super) use crate::connect::trying::{check_fields, origins};
use crate::connector::access::FormatAccess;
use crate::connector::file::Format;
use crate::credentials::Credentials;
use crate::gateway::Gateway;
use crate::nearest::listed;

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

/// Tries the credentials of a connected account, notes what came of it, and shows it.
pub(super) async fn tried(
    gateway: &Gateway,
    connected: ConnectedAccount,
    catalogue: &Catalogue,
) -> Result<TriedAccountBody, ApiError> {
    let (connected, failure) = tried_and_noted(gateway, connected, catalogue).await?;
    Ok(TriedAccountBody {
        connected: (&connected).into(),
        validation_error: failure.as_ref().map(Into::into),
    })
}
