//! A key in memory: its row in few bytes, and what is counted of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use claviger_domain::decision::KeyRules;
use claviger_domain::id::{self, Id};
use claviger_domain::limit::{Quota, RateLimit};
use claviger_domain::origin::DomainPattern;
use claviger_domain::rights::{AccountRef, Reach};
use claviger_domain::time::Timestamp;
use claviger_store::api_keys::{ApiKey, KeyView, Status};
use ipnet::IpNet;

use crate::meter::{Activity, Bounds, Meter};
use crate::moment::Moment;
use crate::place::Place;

/// A key with what is counted of it.
///
/// There may be millions: what most keys have is packed, what few have is apart, and what all keys
/// of a project share is there once.
#[derive(Debug)]
pub struct KnownKey {
    pub(crate) place: Arc<Place>,
    pub(crate) meter: Arc<Meter>,
    /// The meter of its lineage, where it has a limit or a quota. Made when it gets one, so that it
    /// begins as it was left.
    pub(crate) limit: Option<Arc<Meter>>,
    /// Name, metadata, customer and user, one after the other.
    texts: Box<str>,
    created_at: Timestamp,
    updated_at: Timestamp,
    expires_at: Moment,
    rate_limit: Option<RateLimit>,
    rare: Option<Box<Rare>>,
    /// Where name, metadata and customer end among the texts.
    ends: [u32; 3],
    status: Status,
    flags: u8,
    /// Whether it was asked for again since the cache looked for something to let go of.
    is_in_use: AtomicBool,
}

/// Bits of `flags`: whether the caller brought the key string, and which texts are there.
const IS_CUSTOM: u8 = 1;
const HAS_CUSTOM_ACCOUNT: u8 = 2;
const HAS_CUSTOM_USER: u8 = 4;

/// What few keys have.
#[derive(Debug, PartialEq, Eq)]
struct Rare {
    quota: Option<Quota>,
    client_ip: Option<String>,
    client_user_agent: Option<String>,
    allowed_domains: Vec<DomainPattern>,
    allowed_ips: Vec<IpNet>,
    scopes: Vec<String>,
    reason: Option<String>,
    revoked_at: Option<Timestamp>,
    revoked_by: Option<String>,
    stops_at: Option<Timestamp>,
    rotated_from: Option<Id<id::ApiKey>>,
    rotated_to: Option<Id<id::ApiKey>>,
}

/// What most keys have of it.
static NOTHING: Rare = Rare {
    quota: None,
    client_ip: None,
    client_user_agent: None,
    allowed_domains: Vec::new(),
    allowed_ips: Vec::new(),
    scopes: Vec::new(),
    reason: None,
    revoked_at: None,
    revoked_by: None,
    stops_at: None,
    rotated_from: None,
    rotated_to: None,
};

impl KnownKey {
    /// Packs a row. The meter learns when the key was used.
    pub(crate) fn pack(
        key: ApiKey,
        place: Arc<Place>,
        meter: Arc<Meter>,
        limit: Option<Arc<Meter>>,
    ) -> Self {
        meter.learn(key.first_used_at, key.last_used_at);
        let texts = [
            Some(key.name.as_str()),
            Some(key.metadata.as_str()),
            key.custom_account_id.as_deref(),
            key.custom_user_id.as_deref(),
        ];
        let flags = [
            (IS_CUSTOM, key.is_custom),
            (HAS_CUSTOM_ACCOUNT, texts[2].is_some()),
            (HAS_CUSTOM_USER, texts[3].is_some()),
        ];
        let set = flags.into_iter().filter(|(_, is_set)| *is_set);
        let flags = set.fold(0, |flags, (flag, _)| flags | flag);
        let texts = texts.map(Option::unwrap_or_default);
        let mut end = 0u32;
        let ends = [texts[0], texts[1], texts[2]].map(|text| {
            // Each is a few KiB at most.
            end = end.saturating_add(u32::try_from(text.len()).unwrap_or(u32::MAX));
            end
        });
        let texts = texts.concat().into_boxed_str();
        let rare = Rare {
            quota: key.quota,
            client_ip: key.client_ip,
            client_user_agent: key.client_user_agent,
            allowed_domains: key.allowed_domains,
            allowed_ips: key.allowed_ips,
            scopes: key.scopes,
            reason: key.reason,
            revoked_at: key.revoked_at,
            revoked_by: key.revoked_by,
            stops_at: key.stops_at,
            rotated_from: key.rotated_from,
            rotated_to: key.rotated_to,
        };
        Self {
            place,
            meter,
            limit,
            texts,
            created_at: key.base.created_at,
            updated_at: key.base.updated_at,
            expires_at: key.expires_at.into(),
            rate_limit: key.rate_limit,
            rare: (rare != NOTHING).then(|| Box::new(rare)),
            ends,
            status: key.status,
            flags,
            is_in_use: AtomicBool::new(false),
        }
    }

    /// Its id.
    pub fn id(&self) -> &Id<id::ApiKey> {
        self.meter.id()
    }

    /// Its account.
    pub fn account(&self) -> &AccountRef {
        &self.place.account
    }

    /// How much it may be used in a day or a month.
    pub fn quota(&self) -> Option<Quota> {
        self.rare().quota
    }

    /// How often it may be used.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.rate_limit
    }

    /// Whether a caller reaches it.
    pub(crate) fn is_within(&self, reach: &Reach) -> bool {
        reach.reaches_project(&self.place.account, &self.place.project_id)
    }

    /// The rules that decide who passes with it.
    pub fn rules(&self) -> KeyRules<'_> {
        let rare = self.rare();
        KeyRules {
            project: &self.place.project_id,
            is_active: self.status == Status::Active,
            expires_at: self.expires_at.get(),
            stops_at: rare.stops_at,
            allowed_domains: &rare.allowed_domains,
            allowed_ips: &rare.allowed_ips,
            scopes: &rare.scopes,
        }
    }

    /// What a request with it is counted by.
    pub(crate) fn bounds(&self) -> Bounds {
        let rare = self.rare();
        Bounds {
            limit: self.rate_limit,
            quota: rare.quota,
            is_rotated: rare.rotated_to.is_some(),
        }
    }

    /// All that answers show of it; the uses are as they are now.
    pub fn view(&self) -> KeyView<'_> {
        let rare = self.rare();
        let [name, metadata, customer] = self.ends.map(|end| end as usize);
        let Activity {
            first_used_at,
            last_used_at,
        } = self.meter.activity();
        KeyView {
            id: self.meter.id(),
            project_id: &self.place.project_id,
            account_id: &self.place.account.id,
            environment: self.place.environment,
            name: &self.texts[..name],
            is_custom: self.has(IS_CUSTOM),
            metadata: &self.texts[name..metadata],
            custom_account_id: self
                .has(HAS_CUSTOM_ACCOUNT)
                .then(|| &self.texts[metadata..customer]),
            custom_user_id: self.has(HAS_CUSTOM_USER).then(|| &self.texts[customer..]),
            rate_limit: self.rate_limit,
            quota: rare.quota,
            expires_at: self.expires_at.get(),
            client_ip: rare.client_ip.as_deref(),
            client_user_agent: rare.client_user_agent.as_deref(),
            allowed_domains: &rare.allowed_domains,
            allowed_ips: &rare.allowed_ips,
            scopes: &rare.scopes,
            status: self.status,
            reason: rare.reason.as_deref(),
            revoked_at: rare.revoked_at,
            revoked_by: rare.revoked_by.as_deref(),
            stops_at: rare.stops_at,
            rotated_from: rare.rotated_from.as_ref(),
            rotated_to: rare.rotated_to.as_ref(),
            first_used_at,
            last_used_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    /// About how many bytes it takes, with its meter and its places in tables.
    pub(crate) fn bytes(&self) -> usize {
        /// An allocator's own, and slots of tables.
        const OTHER: usize = 96;
        let rare = self.rare.as_deref().map_or(0, |rare| {
            let texts = [&rare.client_ip, &rare.client_user_agent, &rare.reason];
            let texts = texts.into_iter().flatten().chain(&rare.scopes);
            let texts: usize = texts.map(|text| text.len() + size_of::<String>()).sum();
            let domains = rare.allowed_domains.iter();
            let domains: usize = domains.map(|one| one.as_str().len() + 32).sum();
            size_of::<Rare>() + texts + domains + rare.allowed_ips.len() * size_of::<IpNet>()
        });
        size_of::<Self>() + size_of::<Meter>() + self.texts.len() + rare + OTHER
    }

    /// Notes that it is in use.
    pub(crate) fn touch(&self) {
        // Looked at first: a write takes the line from the other cores.
        if !self.is_in_use.load(Ordering::Relaxed) {
            self.is_in_use.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was in use since this was asked last.
    pub(crate) fn was_in_use(&self) -> bool {
        self.is_in_use.swap(false, Ordering::Relaxed)
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn rare(&self) -> &Rare {
        self.rare.as_deref().unwrap_or(&NOTHING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There is one for each key in memory, which is to take few bytes.
    #[test]
    fn a_key_is_small() {
        assert!(size_of::<KnownKey>() <= 104, "{}", size_of::<KnownKey>());
    }
}
