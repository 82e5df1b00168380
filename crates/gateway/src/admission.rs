//! Who may use an MCP server: its token is known, it has not ended, its maker is live and holds at
//! least what it held, and the second credential is there where one is asked for. All refusals are one, and
//! whoever has the URL alone cannot find out by what else they present why they are refused.

use std::sync::Arc;

use claviger_domain::key_string::KeyDigest;
use claviger_domain::limit::Level;
use claviger_domain::permission::Permission;
use claviger_domain::rights::Reach;
use claviger_domain::time::earlier;
use claviger_domain::token::MCP_SERVER_PREFIX;
use claviger_edge::{ApiError, Credential, ErrorCode, rate_limit_headers};
use claviger_store::Asker;
use claviger_store::access_keys::AccessKey;
use claviger_store::connected_accounts::ConnectedAccount;
use claviger_store::generations::Moment;
use claviger_store::mcp_servers::{self, McpServer};
use claviger_verify::{CallerLimit, KnownAccessKey, Network, Presenter};
use http::HeaderMap;

use crate::exposure::Exposure;
use crate::gateway::Gateway;
use crate::in_name_of::InNameOf;
use crate::known::KnownServer;

/// What a request to an MCP server presents.
pub(crate) struct Presented<'a> {
    pub(crate) token: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// The network that it comes from, where that is known.
    pub(crate) from: Option<Network>,
}

/// The live server of a token.
pub(crate) enum Found {
    /// With who answers for it.
    Known(Arc<KnownServer>),
    /// As its row has it, read after that moment.
    Read(Box<(KeyDigest, Moment, McpServer)>),
}

impl Found {
    pub(crate) fn server(&self) -> &McpServer {
        match self {
            Self::Known(known) => &known.server,
            Self::Read(read) => &read.2,
        }
    }
}

/// A server that takes the request, with what it shows and who is behind it.
pub(crate) struct Admitted {
    pub(crate) known: Arc<KnownServer>,
    pub(crate) exposure: Arc<Exposure>,
    /// The second credential, where the server asks for one.
    second: Option<Arc<KnownAccessKey>>,
}

impl Admitted {
    /// The access keys behind a call, each lineage once.
    fn callers(&self) -> impl DoubleEndedIterator<Item = &AccessKey> {
        let maker = self.known.maker_key.as_deref();
        let second = self.second.as_ref().map(|known| &known.key);
        let second = second.filter(|one| maker.is_none_or(|maker| maker.lineage != one.lineage));
        maker.into_iter().chain(second)
    }

    /// Whether it shows the same as when the request was let in.
    fn shows_what(&self, earlier: &Self) -> bool {
        let versions = [&self.exposure, &earlier.exposure].map(|one| one.catalogue().version());
        let (now, then) = (&self.known, &earlier.known);
        now.config == then.config && now.over.id == then.over.id && versions[0] == versions[1]
    }

    fn in_name_of(&self, network: Option<Network>) -> InNameOf {
        let known = &self.known;
        let (rights, ends_at) = match &self.second {
            None => (Arc::clone(&known.server.maker_rights), known.ends_at()),
            Some(second) => (
                Arc::new(known.server.maker_rights.intersection(&second.rights)),
                earlier(known.ends_at(), second.key.ends_at()),
            ),
        };
        InNameOf {
            maker: known.server.maker.actor(),
            server: Some(known.server.id.clone()),
            rights,
            ends_at,
            keys: self.callers().map(|key| key.lineage.clone()).collect(),
            network,
        }
    }
}

/// A request that was let in, whose calls are let in anew.
#[derive(Clone, Copy)]
pub(crate) struct Standing<'a> {
    pub(crate) presented: &'a Presented<'a>,
    pub(crate) admitted: &'a Admitted,
}

/// The one refusal. It does not ask for a credential by `WWW-Authenticate`: clients take that for a
/// sign that there is something to sign in to.
pub(crate) fn refused() -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, "Unauthorized")
}

impl Gateway {
    /// Admits a tool call anew, since what let its request in may have ended meanwhile, and counts it
    /// against the own limits of all callers. Requests that call no tool are not counted.
    pub(crate) async fn admit_call(&self, standing: Standing<'_>) -> Result<InNameOf, ApiError> {
        let anew = self.admit_anew(standing).await?;
        let admitted = anew.as_ref().unwrap_or(standing.admitted);
        // Whoever presents a credential pays first: one that is over its limit must not use up the
        // maker's.
        for key in admitted.callers().rev() {
            if let CallerLimit::Over(level) = self.core.verifier.take_call_of(key).await? {
                return Err(self.over_limit(level, "Too many requests"));
            }
        }
        Ok(admitted.in_name_of(standing.presented.from))
    }

    /// Admits a request again, unless nothing that let it in has changed.
    pub(crate) async fn admit_anew(
        &self,
        standing: Standing<'_>,
    ) -> Result<Option<Admitted>, ApiError> {
        let Standing {
            presented,
            admitted,
        } = standing;
        if admitted.second.is_none() && self.still_holds(&admitted.known) {
            return Ok(None);
        }
        // Boxed: most calls do not come as far as this.
        let again = Box::pin(async {
            let found = self.find_server(presented).await?;
            self.admit(presented, &found).await
        });
        let again = again.await?;
        if again.shows_what(admitted) {
            return Ok(Some(again));
        }
        let message = "The server was changed while this was asked: list its tools again";
        Err(ApiError::new(ErrorCode::ConnectorChanged, message))
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
        found: &Found,
    ) -> Result<Admitted, ApiError> {
        let known = match found {
            Found::Known(known) => Ok(Arc::clone(known)),
            Found::Read(read) => {
                let (digest, moment, server) = &**read;
                let family = Asker::Family(server.account.root.clone());
                let knowing = self.know_server(*digest, moment, server.clone());
                let knowing = family.scope(knowing);
                Box::pin(knowing).await
            }
        };
        let known = match known {
            Ok(known) if known.is_live_at(self.core.now()) => known,
            Ok(_) => return Err(Box::pin(self.refuse(presented, refused())).await),
            Err(error) => return Err(Box::pin(self.refuse(presented, error)).await),
        };
        let second = if known.config.require_api_token_auth {
            Some(self.second_credential(presented, &known.over).await?)
        } else {
            None
        };
        Ok(Admitted {
            exposure: self.exposure_of(&known).await?,
            known,
            second,
        })
    }

    /// The server of a token, as long as it is live.
    pub(crate) async fn find_server(&self, presented: &Presented<'_>) -> Result<Found, ApiError> {
        match self.look_for_server(presented).await {
            Err(error) => Err(Box::pin(self.refuse(presented, error)).await),
            found => found,
        }
    }

    async fn look_for_server(&self, presented: &Presented<'_>) -> Result<Found, ApiError> {
        let Presented { token, from, .. } = presented;
        if !token.starts_with(MCP_SERVER_PREFIX) {
            return Err(refused());
        }
        let digest = self.core.verifier.digest(token);
        let found = match self.known_server(&digest) {
            Some(known) => Found::Known(known),
            None => Box::pin(self.read_server(digest, *from)).await?,
        };
        if found.server().is_live_at(self.core.now()) {
            Ok(found)
        } else {
            Err(refused())
        }
    }

    async fn read_server(
        &self,
        digest: KeyDigest,
        from: Option<Network>,
    ) -> Result<Found, ApiError> {
        let moment = self.core.db.generations().moment();
        let server = self
            .core
            .verifier
            .look_for_token(
                digest,
                from,
                async || mcp_servers::find_by_token(&self.core.db, &digest).await,
                |server| server.account.root.clone(),
            )
            .await?;
        let server = server.ok_or_else(refused)?;
        Ok(Found::Read(Box::new((digest, moment, server))))
    }

    /// The access key that comes beside the token: of the same account, with `mcp:use`.
    async fn second_credential(
        &self,
        presented: &Presented<'_>,
        connected: &ConnectedAccount,
    ) -> Result<Arc<KnownAccessKey>, ApiError> {
        let found = self.beside_token(presented).await?;
        let Some(Presenter::AccessKey(known)) = found else {
            return Err(refused());
        };
        let may_use = known
            .rights
            .reach(Permission::McpUse)
            .is_some_and(|reach| connected.is_within(&reach));
        if may_use { Ok(known) } else { Err(refused()) }
    }

    /// Whoever presents the credential that comes beside the token.
    async fn beside_token(&self, presented: &Presented<'_>) -> Result<Option<Presenter>, ApiError> {
        let Presented {
            token,
            headers,
            from,
        } = presented;
        let Some(credential) = Credential::of(headers) else {
            return Ok(None);
        };
        let credential = credential.0.expose();
        if credential == *token || headers.contains_key(http::header::ORIGIN) {
            return Ok(None);
        }
        Ok(self.core.verifier.presenter(credential, *from).await?)
    }

    /// Refuses a request to a server that is none, has ended, or for which nobody answers. What comes beside
    /// the token is looked up, and counts as a guess where it is one, as at a live server that asks for it.
    async fn refuse(&self, presented: &Presented<'_>, error: ApiError) -> ApiError {
        if error.code != ErrorCode::Unauthorized {
            return error;
        }
        let found = self.beside_token(presented).await;
        found.err().unwrap_or(error)
    }
}

/// A token is found by itself, and what it leads to is judged by the maker's rights.
pub(crate) fn everything() -> Reach {
    Reach {
        everything: true,
        ..Reach::default()
    }
}
