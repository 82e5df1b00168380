//! What is known of MCP servers and of connected accounts, for as long as nothing that it rests on was
//! changed: a call of a tool asks the database nothing.
//!
//! Instants are not judged here: what has ended by now is found out at each use. That somebody may not
//! call is not kept, and neither is what an operator key made: those keys are changed by commands on the
//! machine, past this program.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::rights::{AccountRef, Rights};
use claviger_domain::time::{Timestamp, earlier};
use claviger_edge::{ApiError, ErrorCode};
use claviger_store::access_keys::{self, AccessKey, Selector};
use claviger_store::connected_accounts::{self, ConnectedAccount};
use claviger_store::generations::{Moment, Seen, Stripes};
use claviger_store::mcp_servers::{Maker, McpServer};
use claviger_store::sealing::SealingKey;
use claviger_store::{StoreError, operator_keys, roles};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::admission::{everything, refused};
use crate::catalogue::Catalogue;
use crate::credentials::Credentials;
use crate::exposure::Exposure;
use crate::gateway::Gateway;
use crate::scrub::KeptScrub;
use crate::server_config::ServerConfig;

/// How many bytes the servers may take, about, and how many the connected accounts.
const BYTES: u64 = 64 * 1_024 * 1_024;
/// What one of them takes beside its texts, about.
const ROW: usize = 1_024;
/// How many are expected, for which room is made.
const EXPECTED: usize = 1_024;

/// Servers by the digest of their token, and connected accounts by id.
pub(crate) struct Known {
    servers: Cache<KeyDigest, Arc<KnownServer>, Weight>,
    accounts: Cache<Id<id::ConnectedAccount>, Arc<KnownAccount>, Weight>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[known]")
    }
}

impl Default for Known {
    fn default() -> Self {
        Self {
            servers: Cache::with_weighter(EXPECTED, BYTES, Weight),
            accounts: Cache::with_weighter(EXPECTED, BYTES, Weight),
        }
    }
}

/// Weighs what is kept by its bytes.
#[derive(Clone)]
struct Weight;

impl Weighter<KeyDigest, Arc<KnownServer>> for Weight {
    fn weight(&self, _: &KeyDigest, known: &Arc<KnownServer>) -> u64 {
        let McpServer { config, name, .. } = &known.server;
        // The configuration twice: as it was read, too.
        let accounts = known.server.maker_rights.accounts().count();
        // What it is over may have been let go of elsewhere.
        let over = known.over.context.len() + known.over.overrides.len();
        as_weight(ROW + 2 * config.len() + name.len() + over + ROW * accounts)
    }
}

impl Weighter<Id<id::ConnectedAccount>, Arc<KnownAccount>> for Weight {
    fn weight(&self, _: &Id<id::ConnectedAccount>, known: &Arc<KnownAccount>) -> u64 {
        // The credentials many times: opened, and in all spellings.
        let ConnectedAccount {
            context, overrides, ..
        } = &*known.connected;
        as_weight(ROW + context.len() + overrides.len() + 30 * known.sealed.len())
    }
}

fn as_weight(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// A server, what it is over, and who answers for it.
pub(crate) struct KnownServer {
    pub(crate) server: McpServer,
    pub(crate) over: Arc<ConnectedAccount>,
    pub(crate) config: ServerConfig,
    /// The access key that made it, where one did.
    pub(crate) maker_key: Option<AccessKey>,
    /// What its maker held when it was made, and holds still.
    pub(crate) rights: Arc<Rights>,
    /// Kept by the exposures, which are bounded by what they take.
    exposure: Mutex<Weak<Exposure>>,
    seen: Seen,
}

impl KnownServer {
    /// Whether server and maker have not ended.
    pub(crate) fn is_live_at(&self, now: Timestamp) -> bool {
        let mut maker = self.maker_key.iter();
        self.server.is_live_at(now) && maker.all(|key| key.is_live_at(now))
    }

    /// When server or maker end.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        let maker = self.maker_key.as_ref();
        earlier(self.server.expires_at, maker.and_then(AccessKey::ends_at))
    }

    fn may_be_kept(&self) -> bool {
        !matches!(self.server.maker, Maker::Operator(_))
    }
}

/// A connected account with its credentials.
pub(crate) struct KnownAccount {
    pub(crate) connected: Arc<ConnectedAccount>,
    /// Its credentials, as the row has them, or others that are tried before they are in it.
    pub(crate) sealed: Vec<u8>,
    pub(crate) is_stored: bool,
    opened: OnceLock<Credentials>,
    /// What its calls keep out of answers.
    pub(crate) scrub: KeptScrub,
    /// Kept by the catalogues, which are bounded by what they take.
    catalogue: Mutex<Weak<Catalogue>>,
    seen: Seen,
}

impl KnownAccount {
    /// The account as it would be with other credentials; kept by nobody.
    pub(crate) fn with(&self, connected: ConnectedAccount, sealed: Vec<u8>) -> Self {
        Self {
            connected: Arc::new(connected),
            sealed,
            is_stored: false,
            opened: OnceLock::new(),
            scrub: KeptScrub::default(),
            catalogue: Mutex::default(),
            seen: self.seen,
        }
    }

    /// Its credentials, opened when they are needed first.
    pub(crate) fn credentials(&self, sealing: &SealingKey) -> Result<&Credentials, StoreError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = Credentials::open(sealing, &self.connected.id, &self.sealed)?;
        Ok(self.opened.get_or_init(|| opened))
    }
}

/// What a maker holds.
pub(crate) struct Held {
    pub(crate) rights: Rights,
    key: Option<AccessKey>,
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
        let Known { servers, accounts } = &self.known;
        servers.retain(|_, known| generations.are_still(&known.seen) && known.is_live_at(now));
        accounts.retain(|_, known| generations.are_still(&known.seen));
    }

    /// Finds out who answers for a server that was read after `moment`, and keeps it; a refusal where
    /// nobody does any more.
    pub(crate) async fn know_server(
        &self,
        digest: KeyDigest,
        moment: &Moment,
        server: McpServer,
    ) -> Result<Arc<KnownServer>, ApiError> {
        let over = self.account(&server.connected_account_id).await?;
        let over = over.ok_or_else(refused)?;
        let maker = self.held_by(&server.maker).await?.ok_or_else(refused)?;
        if !maker.rights.cover_all(&server.maker_rights) {
            return Err(refused());
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
            rights: Arc::new(server.maker_rights.clone()),
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
                Ok(key.map(|key| Held {
                    rights: key.rights(),
                    key: Some(key),
                }))
            }
            Maker::Operator(id) => {
                let is_live = operator_keys::is_live(db, id, now).await?;
                let held = || Held {
                    rights: Rights::operator(),
                    key: None,
                };
                Ok(is_live.then(held))
            }
            Maker::User(id) => {
                // Who holds no role any more holds less than the server was made with.
                let held = roles::of_user(db, id).await?;
                Ok(Some(Held {
                    rights: roles::rights_of(&held),
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
