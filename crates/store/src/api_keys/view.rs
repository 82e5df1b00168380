//! What answers show of a key, wherever it is held.

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{self, Environment, KeyPurpose};
use claviger_domain::limit::{Quota, RateLimit};
use claviger_domain::origin::DomainPattern;
use claviger_domain::time::Timestamp;
use ipnet::IpNet;

use super::{ApiKey, Status};

/// What answers show of a key: borrowed from an [`ApiKey`], or from a cache that has it otherwise.
/// What the members mean is said there.
#[derive(Clone, Copy, Debug)]
#[expect(
    missing_docs,
    reason = "each is the member of an `ApiKey` with that name"
)]
pub struct KeyView<'a> {
    pub id: &'a Id<id::ApiKey>,
    pub project_id: &'a Id<id::Project>,
    pub account_id: &'a Id<id::Account>,
    pub environment: Environment,
    pub name: &'a str,
    pub is_custom: bool,
    pub metadata: &'a str,
    pub custom_account_id: Option<&'a str>,
    pub custom_user_id: Option<&'a str>,
    pub rate_limit: Option<RateLimit>,
    pub quota: Option<Quota>,
    pub expires_at: Option<Timestamp>,
    pub client_ip: Option<&'a str>,
    pub client_user_agent: Option<&'a str>,
    pub allowed_domains: &'a [DomainPattern],
    pub allowed_ips: &'a [IpNet],
    pub scopes: &'a [String],
    pub status: Status,
    pub reason: Option<&'a str>,
    pub revoked_at: Option<Timestamp>,
    pub revoked_by: Option<&'a str>,
    pub stops_at: Option<Timestamp>,
    pub rotated_from: Option<&'a Id<id::ApiKey>>,
    pub rotated_to: Option<&'a Id<id::ApiKey>>,
    pub first_used_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ApiKey {
    /// What answers show of it.
    pub fn view(&self) -> KeyView<'_> {
        KeyView {
            id: &self.id,
            project_id: &self.project_id,
            account_id: &self.account.id,
            environment: self.environment,
            name: &self.name,
            is_custom: self.is_custom,
            metadata: &self.metadata,
            custom_account_id: self.custom_account_id.as_deref(),
            custom_user_id: self.custom_user_id.as_deref(),
            rate_limit: self.rate_limit,
            quota: self.quota,
            expires_at: self.expires_at,
            client_ip: self.client_ip.as_deref(),
            client_user_agent: self.client_user_agent.as_deref(),
            allowed_domains: &self.allowed_domains,
            allowed_ips: &self.allowed_ips,
            scopes: &self.scopes,
            status: self.status,
            reason: self.reason.as_deref(),
            revoked_at: self.revoked_at,
            revoked_by: self.revoked_by.as_deref(),
            stops_at: self.stops_at,
            rotated_from: self.rotated_from.as_ref(),
            rotated_to: self.rotated_to.as_ref(),
            first_used_at: self.first_used_at,
            last_used_at: self.last_used_at,
            created_at: self.base.created_at,
            updated_at: self.base.updated_at,
        }
    }
}

impl KeyView<'_> {
    /// Whether it is switched on and not past the grace of a rotation.
    pub fn is_active_at(&self, now: Timestamp) -> bool {
        self.status == Status::Active && self.stops_at.is_none_or(|stop| now < stop)
    }

    /// How it is shown: with a mask in place of its secret.
    pub fn reference(&self) -> String {
        if self.is_custom {
            key_string::custom_reference(self.id)
        } else {
            let public = self.id.as_str().trim_start_matches("key_");
            KeyPurpose::ApiKey(self.environment).reference(public)
        }
    }
}
