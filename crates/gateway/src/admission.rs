//! Who may use an MCP server: its token is known, it has not ended, its maker is live and holds at
//! least what it held, and the second credential is there where one is asked for. All refusals are one.

use std::sync::Arc;

use claviger_domain::id::{self, Id};
use claviger_domain::limit::Level;
use claviger_domain::permission::Permission;
use claviger_domain::rights::{Reach, Rights};
use claviger_domain::time::{Timestamp, earlier};
use claviger_domain::token::MCP_SERVER_PREFIX;
use claviger_edge::{ApiError, Credential, ErrorCode, rate_limit_headers};
use claviger_store::access_keys::{self, AccessKey, Selector};
use claviger_store::connected_accounts::{self, ConnectedAccount};
use claviger_store::mcp_servers::{self, Maker, McpServer};
use claviger_store::{Asker, operator_keys, roles};
use claviger_verify::{CallerLimit, KnownAccessKey, Network, Presenter};
use http::HeaderMap;

use crate::budget::Budget;
use crate::call::InNameOf;
use crate::exposure::Exposure;
use crate::gateway::Gateway;
use crate::server_config::ServerConfig;

/// What a request to an MCP server presents.
pub(crate) struct Presented<'a> {
    pub(crate) token: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// The network that it comes from, where that is known.
    pub(crate) from: Option<Network>,
}

/// A server that takes the request, with what it shows and whose rights count.
pub(crate) struct Admitted {
    pub(crate) server: Id<id::McpServer>,
    pub(crate) connected: ConnectedAccount,
    pub(crate) exposure: Arc<Exposure>,
    pub(crate) budget: Budget,
    pub(crate) seals_secrets: bool,
    pub(crate) in_name_of: InNameOf,
    /// The access keys among maker and second credential, each lineage once.
    callers: Vec<AccessKey>,
}

/// A server, what it is over, and its maker, all live.
struct Live {
    server: McpServer,
    connected: ConnectedAccount,
    maker: Held,
}

/// What a maker holds now.
pub(crate) struct Held {
    pub(crate) rights: Rights,
    ends_at: Option<Timestamp>,
    key: Option<AccessKey>,
}

/// The one refusal. It does not ask for a credential by `WWW-Authenticate`: clients take that for a
/// sign that there is something to sign in to.
pub(crate) fn refused() -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, "Unauthorized")
}

impl Gateway {
    /// Admits a tool call anew, since what let its request in may have ended meanwhile, and counts it
    /// against the own limits of all callers. Requests that call no tool are not counted.
    pub(crate) async fn admit_call(&self, presented: &Presented<'_>) -> Result<InNameOf, ApiError> {
        let server = self.find_server(presented).await?;
        let admitted = self.admit(presented, server).await?;
        // Whoever presents a credential pays first: one that is over its limit must not use up the
        // maker's.
        for key in admitted.callers.iter().rev() {
            if let CallerLimit::Over(level) = self.core.verifier.take_call_of(key).await? {
                return Err(self.over_limit(level, "Too many requests"));
            }
        }
        Ok(admitted.in_name_of)
    }

    /// The refusal of a call by a credential that is over its own limit.
    pub(crate) fn over_limit(&self, level: Level, message: &str) -> ApiError {
        let headers = rate_limit_headers(level, Some(self.core.now()));
        ApiError::new(ErrorCode::CallerRateLimited, message).with_headers(headers)
    }

    /// Admits a request to the server whose token it has.
    pub(crate) async fn admit(
        &self,
        presented: &Presented<'_>,
        server: McpServer,
    ) -> Result<Admitted, ApiError> {
        let family = Asker::Family(server.account.root.clone());
        let Live {
            server,
            connected,
            maker,
        } = family.scope(self.find_what_it_is_over(server)).await?;
        let config = ServerConfig::of_row(&server.config)?;
        let mut rights = server.maker_rights;
        let mut ends_at = earlier(server.expires_at, maker.ends_at);
        let mut callers: Vec<_> = maker.key.into_iter().collect();
        if config.require_api_token_auth {
            let second = self.second_credential(presented, &connected).await?;
            rights = rights.intersection(&second.rights);
            ends_at = earlier(ends_at, second.key.ends_at());
            if callers.iter().all(|one| one.lineage != second.key.lineage) {
                callers.push(second.key.clone());
            }
        }
        let catalogue = self.catalogue_of(&connected).await?;
        let exposure = self
            .exposures
            .of(&catalogue, &config.choices)
            .map_err(|error| ApiError::new(ErrorCode::InvalidFilter, error.to_string()))?;
        let in_name_of = InNameOf {
            maker: server.maker.actor(),
            server: Some(server.id.clone()),
            rights,
            ends_at,
            keys: callers.iter().map(|key| key.lineage.clone()).collect(),
            network: presented.from,
        };
        Ok(Admitted {
            server: server.id,
            connected,
            exposure,
            budget: config.budget,
            seals_secrets: config.seals_secrets,
            in_name_of,
            callers,
        })
    }

    /// The server of a token, as long as it is live.
    pub(crate) async fn find_server(
        &self,
        presented: &Presented<'_>,
    ) -> Result<McpServer, ApiError> {
        let Presented { token, from, .. } = presented;
        if !token.starts_with(MCP_SERVER_PREFIX) {
            return Err(refused());
        }
        let verifier = &self.core.verifier;
        let digest = verifier.digest(token);
        let server = verifier
            .look_for_token(
                digest,
                *from,
                async || mcp_servers::find_by_token(&self.core.db, &digest).await,
                |server| server.account.root.clone(),
            )
            .await?;
        let server = server.filter(|server| server.is_live_at(self.core.now()));
        server.ok_or_else(refused)
    }

    async fn find_what_it_is_over(&self, server: McpServer) -> Result<Live, ApiError> {
        let id = &server.connected_account_id;
        let connected = connected_accounts::find(&self.core.db, &everything(), id).await?;
        let connected = connected.ok_or_else(refused)?;
        let maker = self.held_by(&server.maker).await?.ok_or_else(refused)?;
        if !maker.rights.cover_all(&server.maker_rights) {
            return Err(refused());
        }
        Ok(Live {
            server,
            connected,
            maker,
        })
    }

    /// What the maker of a server or a link holds now; `None` when it is not live.
    pub(crate) async fn held_by(&self, maker: &Maker) -> Result<Option<Held>, ApiError> {
        match maker {
            Maker::AccessKey(id) => {
                let which = Selector::Id(id.clone());
                let key = access_keys::find(&self.core.db, &everything(), &which).await?;
                let key = key.filter(|key| key.is_live_at(self.core.now()));
                Ok(key.map(|key| Held {
                    rights: key.rights(),
                    ends_at: key.ends_at(),
                    key: Some(key),
                }))
            }
            Maker::Operator(id) => {
                let is_live = operator_keys::is_live(&self.core.db, id, self.core.now()).await?;
                let held = || Held {
                    rights: Rights::operator(),
                    ends_at: None,
                    key: None,
                };
                Ok(is_live.then(held))
            }
            Maker::User(id) => {
                // Who holds no role any more holds less than the server was made with.
                let held = roles::of_user(&self.core.db, id).await?;
                Ok(Some(Held {
                    rights: roles::rights_of(&held),
                    ends_at: None,
                    key: None,
                }))
            }
        }
    }

    /// The access key that comes beside the token: of the same account, with `mcp:use`.
    async fn second_credential(
        &self,
        presented: &Presented<'_>,
        connected: &ConnectedAccount,
    ) -> Result<Arc<KnownAccessKey>, ApiError> {
        let Presented {
            token,
            headers,
            from,
        } = presented;
        let credential = Credential::of(headers).ok_or_else(refused)?;
        let credential = credential.0.expose();
        if credential == *token || headers.contains_key(http::header::ORIGIN) {
            return Err(refused());
        }
        let found = self.core.verifier.presenter(credential, *from);
        let Some(Presenter::AccessKey(known)) = found.await? else {
            return Err(refused());
        };
        let may_use = known
            .rights
            .reach(Permission::McpUse)
            .is_some_and(|reach| connected.is_within(&reach));
        if may_use { Ok(known) } else { Err(refused()) }
    }
}

/// A token is found by itself, and what it leads to is judged by the maker's rights.
fn everything() -> Reach {
    Reach {
        everything: true,
        ..Reach::default()
    }
}
