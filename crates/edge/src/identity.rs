//! Who sent a request, found once, before it is routed.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::rights::{AccountRef, Grant, Rights};
use claviger_domain::role::Role;
use claviger_domain::time::Timestamp;
use claviger_store::Asker;
use claviger_verify::{CallerLimit, Network, Presenter};
use http::{StatusCode, header};

use crate::client_address::{is_forwarded, network_of, peer};
use crate::respond::rate_limit_headers;
use crate::{ApiError, Core, Credential, ErrorCode};

/// How long somebody who signed in may do what opens secrets, in seconds.
const RECENT_SECONDS: i64 = 900;

/// The rights that the gateway acts with when it calls The Auth API in-process.
///
/// It travels as a request extension, which nothing from the network can make.
#[derive(Clone, Debug)]
pub struct Delegated {
    /// Who made the MCP server, or who calls the proxy.
    pub maker: Actor,
    /// The MCP server, where the call came through one.
    pub server: Option<Id<id::McpServer>>,
    /// What maker, stored credential and caller all hold.
    pub rights: Rights,
    /// The account that is meant where none is named.
    pub account: AccountRef,
    /// The earliest end of all that stands behind the call: server, maker, stored credential and
    /// caller. What is made must not outlive it.
    pub ends_at: Option<Timestamp>,
    /// The access keys that stand behind the call; none of them may free itself.
    pub keys: Vec<Id<id::AccessKey>>,
    /// The network that the call comes from: who signs in through a tool has the budget of that, and not
    /// one with everybody else's tools.
    pub network: Option<Network>,
}

/// Who sent a request.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Who the trail of changes names.
    pub actor: Actor,
    /// What they may do.
    pub rights: Arc<Rights>,
    /// The account that is meant where none is named; none for operators.
    pub account: Option<AccountRef>,
    /// When the earliest credential behind the request ends; none: never.
    pub ends_at: Option<Timestamp>,
    /// The access keys behind the request.
    pub keys: Vec<Id<id::AccessKey>>,
    /// Where the request comes from, where that is known.
    pub network: Option<Network>,
    /// Whether the gateway asks in somebody's name: what is secret is then not given out.
    pub is_delegated: bool,
    /// The session of a person who asks in person.
    pub session: Option<Id<id::Session>>,
    /// When that person last showed who they are.
    pub signed_in_at: Option<Timestamp>,
    /// Whether it is a person of whom it was not seen yet that mail to their address reaches them:
    /// whoever does get it takes their place.
    pub is_unverified: bool,
    /// Whom work at the database is for.
    asker: Asker,
}

impl Identity {
    /// Whom work at the database is for.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// The person who asks for themselves, and owns what they make. Whom the gateway asks in the name of
    /// makes nothing beside the connected account.
    pub fn in_person(&self) -> Option<&Id<id::User>> {
        match &self.actor {
            Actor::User(user) if !self.is_delegated => Some(user),
            _ => None,
        }
    }

    /// Refuses whoever may not say that the keys of an account's projects can be read back, and who may
    /// read them: only the operator may, and an owner of the account who signed in a short while ago. No
    /// access key may, whatever its role: one that leaks must not open what it could not open itself; and
    /// no session that somebody left open.
    pub fn must_open_keys_of(&self, account: &AccountRef, now: Timestamp) -> Result<(), ApiError> {
        let is_owner = match &self.actor {
            Actor::Operator(_) if !self.is_delegated => return Ok(()),
            Actor::User(_) => {
                let owner = Grant::on_account(Role::Owner, account.clone());
                self.rights.cover(&owner)
            }
            Actor::Operator(_)
            | Actor::System
            | Actor::AccessKey(_)
            | Actor::McpServer { .. }
            | Actor::Link { .. } => false,
        };
        if !is_owner || self.signed_in_at.is_none() {
            let message =
                "No access key may do that, whatever its role; an owner who is signed in may";
            return Err(ApiError::new(ErrorCode::OwnerNeeded, message));
        }
        self.must_have_signed_in_lately(now)
    }

    /// Refuses who did not show within minutes who they are, such as a session that somebody left open.
    pub fn must_have_signed_in_lately(&self, now: Timestamp) -> Result<(), ApiError> {
        let is_recent = |at: Timestamp| now < at.plus_seconds(RECENT_SECONDS);
        if self.signed_in_at.is_some_and(is_recent) {
            return Ok(());
        }
        let message = "Sign in again first: this is for whoever did within 15 minutes";
        Err(ApiError::new(ErrorCode::SignInAgain, message))
    }

    /// The access key that presented itself, and so may hold `keys:reveal`: the gateway lends that to
    /// nobody.
    pub fn may_hold_reveal(&self) -> Option<&Id<id::AccessKey>> {
        match &self.actor {
            Actor::AccessKey(id) if !self.is_delegated => Some(id),
            _ => None,
        }
    }

    /// Who presents a credential in a header of its own, where those that [`identify`] reads are
    /// somebody else's. It is taken as from another machine.
    pub async fn presenting(
        core: &Core,
        credential: &Credential,
        from: Option<Network>,
    ) -> Result<Option<Self>, ApiError> {
        let arrival = Arrival {
            has_origin: false,
            is_local: false,
            from,
        };
        let presenter = present(core, credential, arrival).await?;
        Ok(presenter.map(|presenter| Self::presented(&presenter, from)))
    }

    fn presented(presenter: &Presenter, network: Option<Network>) -> Self {
        let person = match presenter {
            Presenter::User(known) => Some(known),
            Presenter::Operator(_) | Presenter::AccessKey(_) => None,
        };
        Self {
            actor: presenter.actor(),
            rights: presenter.rights(),
            account: presenter.account().cloned(),
            ends_at: presenter.ends_at(),
            keys: presenter.access_key().cloned().into_iter().collect(),
            network,
            is_delegated: false,
            session: person.map(|known| known.session.clone()),
            signed_in_at: person.map(|known| known.shown_at),
            is_unverified: person.is_some_and(|known| !known.user.is_verified),
            asker: asker_of(presenter),
        }
    }

    fn delegated(delegated: Delegated) -> Self {
        let Delegated {
            maker,
            server,
            rights,
            account,
            ends_at,
            keys,
            network,
        } = delegated;
        let actor = match server {
            Some(server) => Actor::McpServer {
                server,
                maker: Box::new(maker),
            },
            None => maker,
        };
        Self {
            actor,
            rights: Arc::new(rights),
            asker: Asker::Family(account.root.clone()),
            account: Some(account),
            ends_at,
            keys,
            network,
            is_delegated: true,
            session: None,
            signed_in_at: None,
            is_unverified: false,
        }
    }
}

/// Finds who sends a request, and refuses what no route should see.
pub async fn identify(State(core): State<Core>, mut request: Request, next: Next) -> Response {
    if let Some(delegated) = request.extensions_mut().remove::<Delegated>() {
        let identity = Identity::delegated(delegated);
        let asker = identity.asker();
        if let Some(network) = identity.network {
            request.extensions_mut().insert(network);
        }
        request.extensions_mut().insert(identity);
        return asker.scope(next.run(request)).await;
    }
    let Some(credential) = Credential::of(request.headers()) else {
        return next.run(request).await;
    };
    let arrival = Arrival {
        has_origin: request.headers().contains_key(header::ORIGIN),
        is_local: is_local(&request),
        from: network_of(&core, request.extensions(), request.headers()),
    };
    let network = arrival.from;
    let presenter = match present(&core, &credential, arrival).await {
        Ok(presenter) => presenter,
        Err(error) => return error.into_response(),
    };
    let Some(presenter) = presenter else {
        return next.run(request).await;
    };
    let identity = Identity::presented(&presenter, network);
    let only_checks = identity.rights.only_check_keys();
    let asker = identity.asker();
    request.extensions_mut().insert(identity);
    let response = asker.scope(next.run(request)).await;
    if only_checks && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        // For a verifier key, paths other than those of checks do not exist, whatever the method.
        return ApiError::not_found().into_response();
    }
    response
}

/// Whom work at the database is for that somebody asks for.
fn asker_of(presenter: &Presenter) -> Asker {
    let family = match presenter {
        Presenter::Operator(_) => return Asker::Operator,
        Presenter::AccessKey(known) => Some(&known.key.account.root),
        Presenter::User(known) => known.family(),
    };
    // People without a role are nobody's.
    family.map_or(Asker::Stranger, |root| Asker::Family(root.clone()))
}

/// Where a request comes from, as far as it matters to credentials.
struct Arrival {
    has_origin: bool,
    is_local: bool,
    from: Option<Network>,
}

async fn present(
    core: &Core,
    credential: &Credential,
    arrival: Arrival,
) -> Result<Option<Presenter>, ApiError> {
    let found = core.verifier.presenter(credential.0.expose(), arrival.from);
    let Some(presenter) = found.await? else {
        return Ok(None);
    };
    let is_for_pages =
        matches!(presenter, Presenter::User(_)) || presenter.rights().only_check_keys();
    if arrival.has_origin && !is_for_pages {
        let message = "This credential is not accepted from a web page, use a verifier key there";
        return Err(ApiError::new(ErrorCode::OriginNotAccepted, message));
    }
    if matches!(presenter, Presenter::Operator(_)) && !core.remote_operator && !arrival.is_local {
        let message = "The operator key is accepted from this machine only";
        return Err(ApiError::new(ErrorCode::OperatorNotLocal, message));
    }
    match core.verifier.take_call(&presenter) {
        CallerLimit::Within => Ok(Some(presenter)),
        CallerLimit::Over(level) => {
            let headers = rate_limit_headers(level, Some(core.now()));
            Err(
                ApiError::new(ErrorCode::CallerRateLimited, "Too many requests")
                    .with_headers(headers),
            )
        }
    }
}

/// Whether the request comes from this machine, and not through a proxy on it.
fn is_local(request: &Request) -> bool {
    !is_forwarded(request.headers())
        && peer(request.extensions()).is_some_and(|peer| peer.is_loopback())
}
