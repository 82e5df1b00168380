//! What is known of MCP servers and of connected accounts, for as long as nothing that it rests on was
//! changed: a call of a tool asks the database nothing.
//!
//! Instants are not judged here: what has ended by now is found out at each use. That somebody may not
//! call is not kept, and neither is what an operator key made: those keys are changed by commands on the
//! machine, past this program.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::rights::Rights;
use claviger_domain::time::{Timestamp, earlier};
use claviger_store::StoreError;
use claviger_store::access_keys::AccessKey;
use claviger_store::connected_accounts::ConnectedAccount;
use claviger_store::generations::Seen;
use claviger_store::mcp_servers::{Maker, McpServer};
use claviger_store::sealing::SealingKey;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::catalogue::Catalogue;
use crate::credentials::Credentials;
use crate::exposure::Exposure;
use crate::scrub::KeptScrub;
use crate::server_config::ServerConfig;
use crate::way::Way;

/// How many bytes the servers may take, about, and how many the connected accounts.
const BYTES: u64 = 64 * 1_024 * 1_024;
/// What one of them takes beside its texts, about.
const ROW: usize = 1_024;
/// How many are expected, for which room is made.
const EXPECTED: usize = 1_024;

/// Servers by the digest of their token, connected accounts by id, and who made the servers.
pub(crate) struct Known {
    pub(crate) servers: Cache<KeyDigest, Arc<KnownServer>, Weight>,
    pub(crate) accounts: Cache<Id<id::ConnectedAccount>, Arc<KnownAccount>, Weight>,
    pub(crate) makers: Makers,
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
            makers: Makers::default(),
        }
    }
}

/// Weighs what is kept by its bytes.
#[derive(Clone)]
pub(crate) struct Weight;

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
    pub(crate) maker_key: Option<Arc<AccessKey>>,
    /// Kept by the exposures, which are bounded by what they take.
    pub(crate) exposure: Mutex<Weak<Exposure>>,
    pub(crate) seen: Seen,
}

impl KnownServer {
    /// Whether server and maker have not ended.
    pub(crate) fn is_live_at(&self, now: Timestamp) -> bool {
        let mut maker = self.maker_key.iter();
        self.server.is_live_at(now) && maker.all(|key| key.is_live_at(now))
    }

    /// When server or maker end.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        let maker = self.maker_key.as_deref();
        earlier(self.server.expires_at, maker.and_then(AccessKey::ends_at))
    }

    /// Whether what changes it is heard of.
    pub(crate) fn may_be_kept(&self) -> bool {
        !matches!(self.server.maker, Maker::Operator(_))
    }
}

/// The access keys that made servers, with what they hold: each is in memory once, however many it made.
#[derive(Default)]
pub(crate) struct Makers(Mutex<ByKey>);

type ByKey = HashMap<Id<id::AccessKey>, (Weak<AccessKey>, Weak<Rights>)>;

impl Makers {
    /// A key and what it holds, as others have it already where it has not changed.
    pub(crate) fn shared(&self, key: AccessKey) -> (Arc<AccessKey>, Arc<Rights>) {
        let mut kept = self.kept();
        let known = kept.get(&key.id);
        let same = known.and_then(|(known, rights)| Some((known.upgrade()?, rights.upgrade())));
        let (key, rights) = match same.filter(|(known, _)| **known == key) {
            Some((key, Some(rights))) => return (key, rights),
            // Of a key that holds more by now than its servers were made with nobody has the rights.
            Some((same, None)) => (same, Arc::new(key.rights())),
            None => {
                let rights = Arc::new(key.rights());
                (Arc::new(key), rights)
            }
        };
        let weak = (Arc::downgrade(&key), Arc::downgrade(&rights));
        kept.insert(key.id.clone(), weak);
        (key, rights)
    }

    /// Lets go of those that nobody has.
    pub(crate) fn sweep(&self) {
        self.kept().retain(|_, (key, _)| key.strong_count() > 0);
    }

    fn kept(&self) -> MutexGuard<'_, ByKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connected account with its credentials.
pub(crate) struct KnownAccount {
    pub(crate) connected: Arc<ConnectedAccount>,
    /// Its credentials, as the row has them, or others that are tried before they are in it.
    pub(crate) sealed: Vec<u8>,
    pub(crate) is_stored: bool,
    pub(crate) opened: OnceLock<Credentials>,
    /// What its calls keep out of answers.
    pub(crate) scrub: KeptScrub,
    /// Kept by the catalogues, which are bounded by what they take.
    pub(crate) catalogue: Mutex<Weak<Catalogue>>,
    /// Where its calls go. It is said once: a connector that is changed ends what is known of the account.
    pub(crate) way: OnceLock<Arc<Way>>,
    pub(crate) seen: Seen,
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
            way: OnceLock::new(),
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
