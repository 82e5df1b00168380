//! How a row of `api_keys` becomes an [`ApiKey`].

use std::fmt::Display;

use claviger_domain::id::Id;
use claviger_domain::key_string::Environment;
use claviger_domain::limit::{GREATEST_LIMIT, Period, Quota};
use claviger_domain::origin::DomainPattern;
use claviger_domain::rights::AccountRef;
use claviger_domain::time::Timestamp;

use super::{ApiKey, Status};
use crate::access_keys::rate_limit;
use crate::{Base, StoreError};

/// The columns of a [`Row`], but for `last_used_at`, which is in another table.
macro_rules! columns {
    () => {
        "id, project_id, account_id, root_account_id, env, name, is_custom, metadata, \
         custom_account_id, custom_user_id, rate_limit, rate_limit_ttl, expires_at, client_ip, \
         client_user_agent, allowed_domains, allowed_ips, scopes, quota_limit, quota_period, \
         status, reason, revoked_at, revoked_by, stops_at, rotated_from, rotated_to, lineage, \
         first_used_at, created_by, created_by_type, created_in, last_changed_by, \
         last_changed_by_type, created_at, updated_at"
    };
}
pub(super) use columns;

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    id: String,
    project_id: String,
    account_id: String,
    root_account_id: String,
    env: String,
    name: String,
    is_custom: bool,
    metadata: String,
    custom_account_id: Option<String>,
    custom_user_id: Option<String>,
    rate_limit: Option<i64>,
    rate_limit_ttl: Option<i64>,
    expires_at: Option<i64>,
    client_ip: Option<String>,
    client_user_agent: Option<String>,
    allowed_domains: String,
    allowed_ips: String,
    scopes: String,
    quota_limit: Option<i64>,
    quota_period: Option<String>,
    status: String,
    reason: Option<String>,
    revoked_at: Option<i64>,
    revoked_by: Option<String>,
    stops_at: Option<i64>,
    rotated_from: Option<String>,
    rotated_to: Option<String>,
    lineage: String,
    first_used_at: Option<i64>,
    last_used_at: Option<i64>,
    #[sqlx(flatten)]
    base: Base,
}

impl TryFrom<Row> for ApiKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what| StoreError::Row {
            table: "api_keys",
            what,
        };
        let networks: Vec<String> = read_list(&row.allowed_ips)?;
        Ok(Self {
            id: Id::from_trusted(row.id),
            project_id: Id::from_trusted(row.project_id),
            account: AccountRef {
                id: Id::from_trusted(row.account_id),
                root: Id::from_trusted(row.root_account_id),
            },
            environment: Environment::parse(&row.env).ok_or_else(|| broken("env"))?,
            name: row.name,
            is_custom: row.is_custom,
            metadata: row.metadata,
            custom_account_id: row.custom_account_id,
            custom_user_id: row.custom_user_id,
            rate_limit: rate_limit("api_keys", row.rate_limit, row.rate_limit_ttl)?,
            quota: read_quota(row.quota_limit, row.quota_period.as_deref())?,
            expires_at: row.expires_at.map(Timestamp::from_micros),
            client_ip: row.client_ip,
            client_user_agent: row.client_user_agent,
            allowed_domains: read_list(&row.allowed_domains)?
                .into_iter()
                .map(DomainPattern::from_trusted)
                .collect(),
            // A network that cannot be read must not fall out of the list: that would unlock the key.
            allowed_ips: networks
                .iter()
                .map(|text| text.parse().map_err(|_| broken("allowed_ips")))
                .collect::<Result<_, _>>()?,
            scopes: read_list(&row.scopes)?,
            status: Status::parse(&row.status).ok_or_else(|| broken("status"))?,
            reason: row.reason,
            revoked_at: row.revoked_at.map(Timestamp::from_micros),
            revoked_by: row.revoked_by,
            stops_at: row.stops_at.map(Timestamp::from_micros),
            rotated_from: row.rotated_from.map(Id::from_trusted),
            rotated_to: row.rotated_to.map(Id::from_trusted),
            lineage: Id::from_trusted(row.lineage),
            first_used_at: row.first_used_at.map(Timestamp::from_micros),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
            base: row.base,
        })
    }
}

/// Reads the two columns of a quota; what cannot be read is an error, not a key without a quota.
fn read_quota(limit: Option<i64>, period: Option<&str>) -> Result<Option<Quota>, StoreError> {
    if limit.is_none() && period.is_none() {
        return Ok(None);
    }
    let read = || {
        let limit = u64::try_from(limit?).ok()?;
        let period = Period::parse(period?)?;
        (1..=GREATEST_LIMIT)
            .contains(&limit)
            .then_some(Quota { limit, period })
    };
    read().map(Some).ok_or(StoreError::Row {
        table: "api_keys",
        what: "quota",
    })
}

fn read_list(text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Row {
        table: "api_keys",
        what: "a list",
    })
}

/// Writes a list of texts as JSON.
pub(super) fn list_of(items: impl Iterator<Item = impl Display>) -> String {
    let items: Vec<_> = items.map(|item| item.to_string()).collect();
    serde_json::json!(items).to_string()
}
