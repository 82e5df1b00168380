//! How it is found out what an MCP server and a connected account are, who answers for them, and whether
//! that is still so.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::rights::{AccountRef, Rights};
use claviger_edge::{ApiError, ErrorCode};
use claviger_store::access_keys::{self, AccessKey, Selector};
use claviger_store::connected_accounts;
use claviger_store::generations::{Moment, Seen, Stripes};
use claviger_store::mcp_servers::{Maker, McpServer};
use claviger_store::{StoreError, operator_keys, roles};

use crate::admission::{everything, refused};
use crate::catalogue::Catalogue;
use crate::exposure::Exposure;
use crate::gateway::Gateway;
use crate::known::{Known, KnownAccount, KnownServer};
use crate::scrub::KeptScrub;
use crate::server_config::ServerConfig;

/// What a maker holds.
pub(crate) struct Held {
    pub(crate) rights: Arc<Rights>,
    key: Option<Arc<AccessKey>>,
}

impl Gateway {
    /// Whether what rests on this is as it was read.
    fn is_still(&self, seen: &Seen) -> bool {
        self.core.verifier.believes() && self.core.db.generations().are_still(seen)
    }

    /// Whether what is known of a server still is so, and neither it nor its maker has ended.
    pub(crate) fn still_holds(&self, known: &KnownServer) -> bool {
        known.may_be_kept() && self.is_still(&known.seen) && known.is_live_at(self.core.now())
    }

    /// The server with that digest of its token, if it is in memory.
    pub(crate) fn known_server(&self, digest: &KeyDigest) -> Option<Arc<KnownServer>> {
        let known = self.known.servers.get(digest)?;
        if self.is_still(&known.seen) {
            return Some(known);
        }
        self.known.servers.remove(digest);
        None
    }

    /// Lets go of what was changed since, and of what has ended, with the credentials in the clear; called
    /// each minute. That none of it is used any more does not depend on it.
    pub fn sweep(&self) {
        let (generations, now) = (self.core.db.generations(), self.core.now());
        let Known {
            servers,
            accounts,
            makers,
        } = &self.known;
        servers.retain(|_, known| generations.are_still(&known.seen) && known.is_live_at(now));
        accounts.retain(|_, known| generations.are_still(&known.seen));
        makers.sweep();
    }

    /// Finds out who answers for a server that was read after `moment`, and keeps it; a refusal where
    /// nobody does any more.
    pub(crate) async fn know_server(
        &self,
        digest: KeyDigest,
        moment: &Moment,
        mut server: McpServer,
    ) -> Result<Arc<KnownServer>, ApiError> {
        let over = self.account(&server.connected_account_id).await?;
        let over = over.ok_or_else(refused)?;
        let maker = self.held_by(&server.maker).await?.ok_or_else(refused)?;
        if !maker.rights.cover_all(&server.maker_rights) {
            return Err(refused());
        }
        if server.maker_rights == maker.rights {
            server.maker_rights = Arc::clone(&maker.rights);
        }
        let mut named = of_account(&server.account);
        named.join(Stripes::of([match &server.maker {
            Maker::AccessKey(id) => id.as_str(),
            Maker::Operator(id) => id.as_str(),
            Maker::User(id) => id.as_str(),
        }]));
        for account in maker
            .rights
            .accounts()
            .chain(server.maker_rights.accounts())
        {
            named.join(of_account(account));
        }
        let known = Arc::new(KnownServer {
            config: ServerConfig::of_row(&server.config)?,
            over: Arc::clone(&over.connected),
            maker_key: maker.key,
            exposure: Mutex::default(),
            seen: moment.of(named),
            server,
        });
        if known.may_be_kept() {
            self.known.servers.insert(digest, Arc::clone(&known));
        }
        Ok(known)
    }

    /// What the maker of a server or a link holds now; `None` when it is not live.
    pub(crate) async fn held_by(&self, maker: &Maker) -> Result<Option<Held>, ApiError> {
        let (db, now) = (&self.core.db, self.core.now());
        match maker {
            Maker::AccessKey(id) => {
                let which = Selector::Id(id.clone());
                let key = access_keys::find(db, &everything(), &which).await?;
                let key = key.filter(|key| key.is_live_at(now));
                let key = key.map(|key| self.known.makers.shared(key));
                Ok(key.map(|(key, rights)| Held {
                    rights,
                    key: Some(key),
                }))
            }
            Maker::Operator(id) => {
                let is_live = operator_keys::is_live(db, id, now).await?;
                let held = || Held {
                    rights: Arc::new(Rights::operator()),
                    key: None,
                };
                Ok(is_live.then(held))
            }
            Maker::User(id) => {
                // Who holds no role any more holds less than the server was made with.
                let held = roles::of_user(db, id).await?;
                Ok(Some(Held {
                    rights: Arc::new(roles::rights_of(&held)),
                    key: None,
                }))
            }
        }
    }

    /// What a server shows.
    pub(crate) async fn exposure_of(&self, known: &KnownServer) -> Result<Arc<Exposure>, ApiError> {
        if let Some(exposure) = lock(&known.exposure).upgrade() {
            return Ok(exposure);
        }
        let over = self.account(&known.over.id).await?.ok_or_else(refused)?;
        let catalogue = self.catalogue_of_known(&over).await?;
        let exposure = self.exposures.of(&catalogue, &known.config.choices);
        let exposure =
            exposure.map_err(|error| ApiError::new(ErrorCode::InvalidFilter, error.to_string()))?;
        *lock(&known.exposure) = Arc::downgrade(&exposure);
        Ok(exposure)
    }

    /// The connected account with that id, whosever it is.
    pub(crate) async fn account(
        &self,
        id: &Id<id::ConnectedAccount>,
    ) -> Result<Option<Arc<KnownAccount>>, StoreError> {
        if let Some(known) = self.known.accounts.get(id) {
            if self.is_still(&known.seen) {
                return Ok(Some(known));
            }
            self.forget_account(id);
        }
        let moment = self.core.db.generations().moment();
        let found = connected_accounts::find_with_credentials(&self.core.db, id).await?;
        let Some((connected, sealed)) = found else {
            return Ok(None);
        };
        let known = Arc::new(KnownAccount {
            seen: moment.of(of_account(&connected.account)),
            connected: Arc::new(connected),
            sealed,
            is_stored: true,
            opened: OnceLock::new(),
            scrub: KeptScrub::default(),
            catalogue: Mutex::default(),
            way: OnceLock::new(),
        });
        self.known.accounts.insert(id.clone(), Arc::clone(&known));
        Ok(Some(known))
    }

    /// Lets go of what is known of a connected account, and of its credentials in the clear: that they
    /// are not used any more does not depend on it.
    pub(crate) fn forget_account(&self, id: &Id<id::ConnectedAccount>) {
        self.known.accounts.remove(id);
    }

    /// The tools of a connected account that is known.
    pub(crate) async fn catalogue_of_known(
        &self,
        known: &KnownAccount,
    ) -> Result<Arc<Catalogue>, ApiError> {
        if let Some(catalogue) = lock(&known.catalogue).upgrade() {
            return Ok(catalogue);
        }
        let catalogue = self.catalogue_of(&known.connected).await?;
        *lock(&known.catalogue) = Arc::downgrade(&catalogue);
        Ok(catalogue)
    }
}

/// What is told of changes in an account and in the one above it.
fn of_account(account: &AccountRef) -> Stripes {
    Stripes::of([account.id.as_str(), account.root.as_str()])
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
