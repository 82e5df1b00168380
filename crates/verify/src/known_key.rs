//! A key in memory: its row in few bytes, and what is counted of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use claviger_domain::decision::KeyRules;
use claviger_domain::id::{self, Id};
use claviger_domain::limit::{Period, Quota, RateLimit};
use claviger_domain::origin::DomainPattern;
use claviger_domain::rights::{AccountRef, Reach};
use claviger_domain::time::Timestamp;
use claviger_store::api_keys::{ApiKey, KeyView, Status};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use triomphe::ThinArc;

use crate::meter::{Activity, Bounds, Meter, SharedMeter};
use crate::moment::Moment;
use crate::place::Place;

/// A key with what is counted of it. Cheap to clone: all clones are the same key.
///
/// There may be millions: what most keys have is packed into one allocation, what few have is apart,
/// and what all keys of a project share is there once.
#[derive(Clone)]
pub struct KnownKey(
    /// Behind the head lie a [`PackedRules`] and a [`PackedTexts`] in postcard's form: a number takes
    /// as many bytes as it needs, and none takes one.
    ThinArc<Head, u8>,
);

/// What is read without unpacking.
struct Head {
    place: Arc<Place>,
    meter: SharedMeter,
    rare: Option<Box<Rare>>,
    status: Status,
    flags: u8,
    /// Whether it was asked for again since the cache looked for something to let go of.
    is_in_use: AtomicBool,
}

/// Bits of `flags`: whether the caller brought the key string, and whether it has a limit or a quota.
const IS_CUSTOM: u8 = 1;
const IS_LIMITED: u8 = 2;

/// What each check looks at.
#[derive(Serialize, Deserialize)]
struct PackedRules {
    expires_at: Option<i64>,
    /// Requests, and the seconds of a window.
    rate_limit: Option<(u64, u32)>,
    /// Requests, and whether in a day; else in a month.
    quota: Option<(u64, bool)>,
}

/// What answers show.
#[derive(Serialize, Deserialize)]
struct PackedTexts<'a> {
    name: &'a str,
    metadata: &'a str,
    custom_account_id: Option<&'a str>,
    custom_user_id: Option<&'a str>,
    client_ip: Option<&'a str>,
    client_user_agent: Option<&'a str>,
    created_at: i64,
    /// Microseconds after that.
    updated_after: i64,
}

/// Why what is packed can be read.
const AS_PACKED: &str = "it was packed from the same members";

/// What few keys have.
#[derive(Debug, PartialEq, Eq)]
struct Rare {
    allowed_domains: Vec<DomainPattern>,
    allowed_ips: Vec<IpNet>,
    scopes: Vec<String>,
    reason: Option<String>,
    revoked_at: Moment,
    revoked_by: Option<String>,
    stops_at: Moment,
    rotated_from: Option<Id<id::ApiKey>>,
    rotated_to: Option<Id<id::ApiKey>>,
    lineage: Option<LineageMeter>,
}

/// The meter of the lineage of a key that was rotated, where that has a limit or a quota. It is
/// there from when the key gets one, so that it begins as it was left.
#[derive(Debug)]
struct LineageMeter(SharedMeter);

impl PartialEq for LineageMeter {
    fn eq(&self, other: &Self) -> bool {
        SharedMeter::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for LineageMeter {}

/// What most keys have of it.
static NOTHING: Rare = Rare {
    allowed_domains: Vec::new(),
    allowed_ips: Vec::new(),
    scopes: Vec::new(),
    reason: None,
    revoked_at: Moment::NONE,
    revoked_by: None,
    stops_at: Moment::NONE,
    rotated_from: None,
    rotated_to: None,
    lineage: None,
};

impl KnownKey {
    /// Packs a row. The meter learns when the key was used.
    pub(crate) fn pack(
        key: ApiKey,
        place: Arc<Place>,
        meter: SharedMeter,
        limit: Option<SharedMeter>,
    ) -> Self {
        meter.learn(key.first_used_at, key.last_used_at);
        let flags = [(IS_CUSTOM, key.is_custom), (IS_LIMITED, limit.is_some())];
        let set = flags.into_iter().filter(|(_, is_set)| *is_set);
        let flags = set.fold(0, |flags, (flag, _)| flags | flag);
        let rules = PackedRules {
            expires_at: key.expires_at.map(Timestamp::as_micros),
            rate_limit: key
                .rate_limit
                .map(|limit| (limit.limit(), limit.window_seconds())),
            quota: key.quota.map(|quota| match quota.period {
                Period::Day => (quota.limit, true),
                Period::Month => (quota.limit, false),
            }),
        };
        let texts = PackedTexts {
            name: &key.name,
            metadata: &key.metadata,
            custom_account_id: key.custom_account_id.as_deref(),
            custom_user_id: key.custom_user_id.as_deref(),
            client_ip: key.client_ip.as_deref(),
            client_user_agent: key.client_user_agent.as_deref(),
            created_at: key.base.created_at.as_micros(),
            updated_after: key.base.updated_at.micros_since(key.base.created_at),
        };
        let packed = postcard::to_extend(&rules, Vec::new())
            .and_then(|packed| postcard::to_extend(&texts, packed))
            .expect("numbers and text are written");
        let rare = Rare {
            allowed_domains: key.allowed_domains,
            allowed_ips: key.allowed_ips,
            scopes: key.scopes,
            reason: key.reason,
            revoked_at: key.revoked_at.into(),
            revoked_by: key.revoked_by,
            stops_at: key.stops_at.into(),
            rotated_from: key.rotated_from,
            rotated_to: key.rotated_to,
            lineage: limit
                .filter(|limit| !SharedMeter::ptr_eq(limit, &meter))
                .map(LineageMeter),
        };
        let head = Head {
            place,
            meter,
            rare: (rare != NOTHING).then(|| Box::new(rare)),
            status: key.status,
            flags,
            is_in_use: AtomicBool::new(false),
        };
        Self(ThinArc::from_header_and_slice(head, &packed))
    }

    fn head(&self) -> &Head {
        &self.0.header.header
    }

    /// What is packed, one after the other.
    fn packed(&self) -> (PackedRules, PackedTexts<'_>) {
        let (rules, rest) = postcard::take_from_bytes(&self.0.slice).expect(AS_PACKED);
        (rules, postcard::from_bytes(rest).expect(AS_PACKED))
    }

    fn packed_rules(&self) -> PackedRules {
        postcard::take_from_bytes(&self.0.slice).expect(AS_PACKED).0
    }

    /// What counts it.
    pub(crate) fn meter(&self) -> &SharedMeter {
        &self.head().meter
    }

    /// The meter of its lineage, where it has a limit or a quota.
    pub(crate) fn limit(&self) -> Option<&SharedMeter> {
        let lineage = self.rare().lineage.as_ref().map(|lineage| &lineage.0);
        self.has(IS_LIMITED)
            .then(|| lineage.unwrap_or_else(|| self.meter()))
    }

    pub(crate) fn place(&self) -> &Place {
        &self.head().place
    }

    /// Its id.
    pub fn id(&self) -> &Id<id::ApiKey> {
        self.meter().id()
    }

    /// Its account.
    pub fn account(&self) -> &AccountRef {
        &self.place().account
    }

    /// How much it may be used in a day or a month.
    pub fn quota(&self) -> Option<Quota> {
        self.packed_rules().quota()
    }

    /// How often it may be used.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.packed_rules().rate_limit()
    }

    /// Whether a caller reaches it.
    pub(crate) fn is_within(&self, reach: &Reach) -> bool {
        reach.reaches_project(self.account(), &self.place().project_id)
    }

    /// The rules that decide who passes with it.
    pub fn rules(&self) -> KeyRules<'_> {
        let rare = self.rare();
        KeyRules {
            project: &self.place().project_id,
            is_active: self.head().status == Status::Active,
            expires_at: self.packed_rules().expires_at(),
            stops_at: rare.stops_at.get(),
            allowed_domains: &rare.allowed_domains,
            allowed_ips: &rare.allowed_ips,
            scopes: &rare.scopes,
        }
    }

    /// What a request with it is counted by.
    pub(crate) fn bounds(&self) -> Bounds {
        let rules = self.packed_rules();
        Bounds {
            limit: rules.rate_limit(),
            quota: rules.quota(),
            is_rotated: self.rare().rotated_to.is_some(),
        }
    }

    /// All that answers show of it; the uses are as they are now.
    pub fn view(&self) -> KeyView<'_> {
        let rare = self.rare();
        let (rules, texts) = self.packed();
        let place = self.place();
        let Activity {
            first_used_at,
            last_used_at,
        } = self.meter().activity();
        KeyView {
            id: self.id(),
            project_id: &place.project_id,
            account_id: &place.account.id,
            environment: place.environment,
            name: texts.name,
            is_custom: self.has(IS_CUSTOM),
            metadata: texts.metadata,
            custom_account_id: texts.custom_account_id,
            custom_user_id: texts.custom_user_id,
            rate_limit: rules.rate_limit(),
            quota: rules.quota(),
            expires_at: rules.expires_at(),
            client_ip: texts.client_ip,
            client_user_agent: texts.client_user_agent,
            allowed_domains: &rare.allowed_domains,
            allowed_ips: &rare.allowed_ips,
            scopes: &rare.scopes,
            status: self.head().status,
            reason: rare.reason.as_deref(),
            revoked_at: rare.revoked_at.get(),
            revoked_by: rare.revoked_by.as_deref(),
            stops_at: rare.stops_at.get(),
            rotated_from: rare.rotated_from.as_ref(),
            rotated_to: rare.rotated_to.as_ref(),
            first_used_at,
            last_used_at,
            created_at: Timestamp::from_micros(texts.created_at),
            updated_at: Timestamp::from_micros(
                texts.created_at.saturating_add(texts.updated_after),
            ),
        }
    }

    /// About how many bytes it takes, with its meter and its places in tables.
    pub(crate) fn bytes(&self) -> usize {
        /// Slots of tables: a digest with a place by it, and a place by id.
        const TABLES: usize = 56;
        /// What stands before the bytes of an allocation: how many share it, and how long it is.
        const COUNTS: usize = 2 * size_of::<usize>();
        let rare = self.head().rare.as_deref().map_or(0, |rare| {
            let texts = rare
                .reason
                .iter()
                .chain(&rare.revoked_by)
                .chain(&rare.scopes);
            let texts: usize = texts.map(|text| text.len() + size_of::<String>()).sum();
            let domains = rare.allowed_domains.iter();
            let domains: usize = domains.map(|one| one.as_str().len() + 32).sum();
            let lineage = rare.lineage.iter().len() * size_of::<Meter>();
            let networks = rare.allowed_ips.len() * size_of::<IpNet>();
            size_of::<Rare>() + texts + domains + networks + lineage
        });
        let own = size_of::<Head>() + COUNTS + self.0.slice.len();
        let all = own + size_of::<Meter>() + COUNTS / 2 + rare;
        // Allocators round up, by an eighth at most.
        all + all / 16 + TABLES
    }

    /// Notes that it is in use.
    pub(crate) fn touch(&self) {
        // Looked at first: a write takes the line from the other cores.
        let is_in_use = &self.head().is_in_use;
        if !is_in_use.load(Ordering::Relaxed) {
            is_in_use.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was in use since this was asked last.
    pub(crate) fn was_in_use(&self) -> bool {
        self.head().is_in_use.swap(false, Ordering::Relaxed)
    }

    fn has(&self, flag: u8) -> bool {
        self.head().flags & flag != 0
    }

    fn rare(&self) -> &Rare {
        self.head().rare.as_deref().unwrap_or(&NOTHING)
    }
}

impl PackedRules {
    fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at.map(Timestamp::from_micros)
    }

    fn rate_limit(&self) -> Option<RateLimit> {
        let (limit, window_seconds) = self.rate_limit?;
        Some(RateLimit::new(limit, window_seconds).expect(AS_PACKED))
    }

    fn quota(&self) -> Option<Quota> {
        let (limit, is_of_day) = self.quota?;
        let period = if is_of_day {
            Period::Day
        } else {
            Period::Month
        };
        Some(Quota { limit, period })
    }
}

impl fmt::Debug for KnownKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("KnownKey").field(self.id()).finish()
    }
}

#[cfg(test)]
mod tests;
