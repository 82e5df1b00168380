//! What somebody entered on the page of a link, as a connected account: made, or changed where there is one,
//! tried, and the link ended once it is taken.

use std::collections::HashMap;
use std::sync::Arc;

use claviger_domain::id::{self, Id};
use claviger_domain::rights::Reach;
use claviger_edge::ApiError;
use claviger_store::StoreError;
use claviger_store::connected_accounts::{self, Changed, Status};
use claviger_store::connectors;
use claviger_store::link_tokens::{self, LinkToken};
use serde_json::{Map, Value};

use super::choice::Picked;
use super::trying::{check_fields, origins, tried_and_noted};
use crate::credentials::Credentials;
use crate::gateway::Gateway;
use crate::ticket::Ticket;

/// How often something may be sent by one link: each time, an upstream is asked.
pub(crate) const MOST_TRIES: i64 = 20;

/// What stands before the names of fields in a form.
pub(crate) const CONTEXT: &str = "context.";
pub(crate) const CREDENTIALS: &str = "credentials.";

/// What somebody filled in.
#[derive(Default)]
pub(crate) struct Entered {
    context: Map<String, Value>,
    pub(crate) credentials: Map<String, Value>,
}

/// What came of it.
pub(crate) enum Entering {
    Connected(Id<id::ConnectedAccount>),
    /// The upstream does not take it, for this reason.
    NotTaken(Id<id::ConnectedAccount>, String),
    /// The link is over.
    Over,
}

impl Entered {
    /// What a form has; what is left empty is as if it were not there. Browsers end lines by two characters,
    /// which are one in what was pasted.
    pub(crate) fn read(members: &HashMap<String, String>) -> Self {
        let under = |prefix: &str| {
            let found = members.iter().filter_map(|(name, value)| {
                let name = name.strip_prefix(prefix)?;
                (!value.is_empty()).then(|| (name.to_owned(), value.replace("\r\n", "\n").into()))
            });
            found.collect()
        };
        Self {
            context: under(CONTEXT),
            credentials: under(CREDENTIALS),
        }
    }

    /// What was filled in for a field of the context.
    pub(crate) fn context(&self, name: &str) -> Option<&str> {
        self.context.get(name).and_then(Value::as_str)
    }

    /// Checks it, and puts what is no secret into what is to be connected.
    pub(crate) fn check(&self, picked: &mut Picked, link: &LinkToken) -> Result<(), ApiError> {
        let catalogue = Arc::clone(&picked.catalogue);
        if link.reconnects {
            // It leads where it led.
            check_fields("context", None, &self.context)?;
        } else {
            let fields = &catalogue.access().context;
            check_fields("context", Some(fields), &self.context)?;
            picked.draft.context = Value::Object(self.context.clone()).to_string();
        }
        let fields = picked.access().map(|(_, access)| &access.fields);
        check_fields("credentials", fields, &self.credentials)
    }
}

/// Stores the credentials, tries them, and ends the link where they are taken. Where there are some that were
/// taken, others are tried first.
pub(crate) async fn enter(
    gateway: &Arc<Gateway>,
    link: &LinkToken,
    ticket: &Ticket,
    picked: Picked,
    credentials: Credentials,
    most_tries: i64,
) -> Result<Entering, ApiError> {
    if link.reconnects && !is_in_vain(picked.draft.status) {
        return replace(gateway, link, ticket, picked, credentials, most_tries).await;
    }
    let Picked { draft, catalogue } = picked;
    let core = &gateway.core;
    let change = core.change(&link.actor());
    let page = core.verifier.digest(ticket.expose());
    let (inside, id) = (Arc::clone(gateway), link.id.clone());
    let stored = core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move {
            let link = link_tokens::take(tx, &id, &page, most_tries, change.now).await?;
            let Some(link) = link else { return Ok(None) };
            let whole = Reach::whole();
            let before = match &link.connected {
                Some(id) => connected_accounts::hold(tx, &whole, id).await?,
                None => None,
            };
            // What somebody has put right meanwhile is theirs.
            let before = before.filter(|before| link.reconnects || is_in_vain(before.status));
            let seal = |id: &Id<id::ConnectedAccount>| {
                credentials.seal(&inside.sealing, id, &*inside.core.random)
            };
            let connected = match before {
                Some(before) if before.integration == draft.integration => {
                    if !link.reconnects && before.context != draft.context {
                        let changed = Changed {
                            tenant_id: before.tenant_id,
                            context: draft.context,
                            overrides: before.overrides,
                            status: before.status,
                        };
                        connected_accounts::update(tx, &change, &before.id, &changed).await?;
                    }
                    let method = &draft.authentication_method;
                    let sealed = seal(&before.id);
                    connected_accounts::change_credentials(tx, &change, &before.id, method, &sealed)
                        .await?
                }
                _ if link.reconnects => return Ok(None),
                before => {
                    // The connector may have been deleted since.
                    let (name, is_own) =
                        (&draft.integration, inside.own_catalogue(&draft.integration));
                    if is_own.is_none() && !connectors::hold(tx, &draft.account, name).await? {
                        return Ok(None);
                    }
                    // What another connector did not take is nobody's.
                    if let Some(before) = before {
                        connected_accounts::delete(tx, &change, &whole, &before.id).await?;
                    }
                    let sealed = seal(&draft.id);
                    connected_accounts::create(tx, &change, &draft, &sealed).await?;
                    link_tokens::note_connected(tx, &link.id, &draft.id).await?;
                    draft
                }
            };
            Ok(Some(connected))
        })
    });
    let Some(connected) = stored.await? else {
        return Ok(Entering::Over);
    };
    let id = connected.id.clone();
    let (_, failure) = tried_and_noted(gateway, connected, &catalogue).await?;
    if let Some(failure) = failure {
        return Ok(Entering::NotTaken(id, failure.message));
    }
    finish(gateway, link).await?;
    Ok(Entering::Connected(id))
}

/// Tries the credentials, and puts them in the place of those that are there where they are taken: whoever
/// mistypes a key changes nothing.
async fn replace(
    gateway: &Gateway,
    link: &LinkToken,
    ticket: &Ticket,
    picked: Picked,
    credentials: Credentials,
    most_tries: i64,
) -> Result<Entering, ApiError> {
    let Picked { draft, catalogue } = picked;
    let core = &gateway.core;
    let page = core.verifier.digest(ticket.expose());
    let (id, now) = (link.id.clone(), core.now());
    let taken = core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move { link_tokens::take(tx, &id, &page, most_tries, now).await })
    });
    let Some(link) = taken.await? else {
        return Ok(Entering::Over);
    };
    let sealed = credentials.seal(&gateway.sealing, &draft.id, &*core.random);
    let failure = gateway.try_others(&draft, &catalogue, &sealed).await?;
    let id = draft.id.clone();
    if let Some(failure) = failure {
        return Ok(Entering::NotTaken(id, failure.message));
    }
    let change = core.change(&link.actor());
    let replaced = core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move {
            let held = connected_accounts::hold(tx, &Reach::whole(), &draft.id).await?;
            // They were tried where it led then.
            let is_same = held.is_some_and(|held| {
                held.integration == draft.integration && held.context == draft.context
            });
            if !is_same || !link_tokens::finish(tx, &change, &link).await? {
                return Ok(false);
            }
            let (id, method) = (&draft.id, &draft.authentication_method);
            connected_accounts::change_credentials(tx, &change, id, method, &sealed).await?;
            let active = Status::Active;
            connected_accounts::change_status(tx, &change, id, &sealed, active).await?;
            Ok(true)
        })
    });
    Ok(if replaced.await? {
        Entering::Connected(id)
    } else {
        Entering::Over
    })
}

/// Whether nothing was connected by what was entered so far.
fn is_in_vain(status: Status) -> bool {
    matches!(status, Status::Connecting | Status::ValidationError)
}

/// The credentials as they were entered, for where they go.
pub(crate) fn credentials_of(
    gateway: &Gateway,
    picked: &Picked,
    entered: &Entered,
) -> Result<Credentials, ApiError> {
    let origins = origins(gateway, &picked.draft, &picked.catalogue)?;
    Ok(Credentials::entered(&entered.credentials, origins))
}

async fn finish(gateway: &Gateway, link: &LinkToken) -> Result<(), ApiError> {
    let change = gateway.core.change(&link.actor());
    let link = link.clone();
    let ended = gateway.core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move { link_tokens::finish(tx, &change, &link).await })
    });
    ended.await?;
    Ok(())
}
