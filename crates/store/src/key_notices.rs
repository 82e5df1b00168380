//! What somebody is told of a key once for a time: that it will expire, that it met its limit or its quota.
//!
//! A row says what was told and for how long that is enough, so that of several programs one tells it.

use std::collections::HashMap;

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::db::on;
use crate::reach::list;
use crate::{Change, Db, StoreError, Tx, events};

/// Seconds for which it is enough to be told that a key is over its limit.
pub const LIMIT_TOLD_FOR: i64 = 3_600;
/// Seconds by which the clocks of two programs may be apart, both of which are believed.
const CLOCKS_APART: i64 = 600;

/// What there is to tell of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// It will be refused in so many days.
    Expiring {
        /// 30, 7 or 1.
        days: u8,
    },
    /// It is refused from now on.
    Expired,
    /// It was refused for its limit.
    RateLimited,
    /// Nothing is left of its quota.
    QuotaReached {
        /// The end of the period that it is of.
        until: Timestamp,
    },
}

impl Notice {
    const fn name(self) -> &'static str {
        match self {
            Self::Expiring { days: 30 } => "expiring-30",
            Self::Expiring { days: 7 } => "expiring-7",
            Self::Expiring { .. } => "expiring-1",
            Self::Expired => "expired",
            Self::RateLimited => "rateLimited",
            Self::QuotaReached { .. } => "quotaReached",
        }
    }

    const fn event(self) -> EventKind {
        match self {
            Self::Expiring { .. } => EventKind::ApiKeyExpiring,
            Self::Expired => EventKind::ApiKeyExpired,
            Self::RateLimited => EventKind::ApiKeyRateLimited,
            Self::QuotaReached { .. } => EventKind::ApiKeyQuotaReached,
        }
    }
}

/// A key as far as something is told of it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct NoticedKey {
    /// Its id.
    pub id: String,
    lineage: String,
    account_id: String,
    project_id: String,
    name: String,
    custom_account_id: Option<String>,
    rate_limit: Option<i64>,
    rate_limit_ttl: Option<i64>,
    quota_limit: Option<i64>,
    quota_period: Option<String>,
    /// When it expires, in microseconds since 1970.
    pub expires_at: Option<i64>,
}

macro_rules! columns {
    () => {
        "id, lineage, account_id, project_id, name, custom_account_id, rate_limit, rate_limit_ttl, \
         quota_limit, quota_period, expires_at"
    };
}

impl NoticedKey {
    /// Whom the row is of: a quota is all keys' of the chain of rotations.
    fn subject(&self, notice: Notice) -> &str {
        match notice {
            Notice::QuotaReached { .. } => &self.lineage,
            _ => &self.id,
        }
    }

    /// Until when it is enough to have been told.
    fn until(&self, notice: Notice, now: Timestamp) -> Option<Timestamp> {
        match notice {
            Notice::Expiring { .. } | Notice::Expired => {
                self.expires_at.map(Timestamp::from_micros)
            }
            Notice::RateLimited => Some(now.plus_seconds(LIMIT_TOLD_FOR)),
            // Unless its quota was taken away meanwhile.
            Notice::QuotaReached { until } => self.quota_limit.map(|_| until),
        }
    }

    fn data(&self, notice: Notice, until: Timestamp) -> Value {
        let mut data = json!({"name": self.name, "customAccountId": self.custom_account_id});
        match notice {
            Notice::Expiring { days } => {
                data["expiresAt"] = json!(until);
                data["days"] = json!(days);
            }
            Notice::Expired => data["expiresAt"] = json!(until),
            Notice::RateLimited => {
                data["rateLimit"] = json!(self.rate_limit);
                data["rateLimitTtl"] = json!(self.rate_limit_ttl);
            }
            Notice::QuotaReached { .. } => {
                data["quota"] = json!({
                    "limit": self.quota_limit, "period": self.quota_period, "resetsAt": until,
                });
            }
        }
        data
    }
}

/// Keys that are in force until then and expire in a time, the first to expire first, from behind
/// `after` on.
pub async fn expiring(
    db: &Db,
    after: &(i64, String),
    until: Timestamp,
    now: Timestamp,
    most: i64,
) -> Result<Vec<NoticedKey>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM api_keys WHERE expires_at IS NOT NULL AND deleted_at IS NULL \
         AND (expires_at, id) > ($1, $2) AND expires_at <= $3 AND status = 'active' \
         AND (stops_at IS NULL OR stops_at > $4) ORDER BY expires_at, id LIMIT $5"
    );
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(after.0)
        .bind(&after.1)
        .bind(until.as_micros())
        .bind(now.as_micros())
        .bind(most)
        .fetch_all(c)
        .await)?)
}

/// The keys with those ids that are there still.
pub async fn of_ids(tx: &mut Tx, ids: &[Id<id::ApiKey>]) -> Result<Vec<NoticedKey>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM api_keys WHERE deleted_at IS NULL \
         AND id IN (SELECT value ->> 0 FROM json_each($1))"
    );
    let ids = list(ids.iter().map(Id::as_str));
    Ok(on!(tx, |c| sqlx::query_as(SQL)
        .bind(&ids)
        .fetch_all(c)
        .await)?)
}

/// Writes an event for each key of which that was not told yet for the time, and gives how many those
/// were.
pub async fn tell(
    tx: &mut Tx,
    change: &Change,
    notice: Notice,
    keys: &[NoticedKey],
) -> Result<u64, StoreError> {
    // Enough until then; of another end it is told again, of the same one never. What a clock wrote that
    // was far ahead keeps nobody from being told; one that is some minutes ahead is another program's.
    const UNTIL_OVER: &str = "INSERT INTO key_notices (key_id, kind, until) \
        SELECT value ->> 0, $2, CAST(value ->> 1 AS BIGINT) FROM json_each($1) WHERE true \
        ON CONFLICT (key_id, kind) DO UPDATE SET until = excluded.until \
        WHERE key_notices.until <= $3 OR key_notices.until > excluded.until + $4 RETURNING key_id";
    const UNLESS_SAME: &str = "INSERT INTO key_notices (key_id, kind, until) \
        SELECT value ->> 0, $2, CAST(value ->> 1 AS BIGINT) FROM json_each($1) WHERE true \
        ON CONFLICT (key_id, kind) DO UPDATE SET until = excluded.until \
        WHERE key_notices.until <> excluded.until AND $3 = $3 AND $4 = $4 RETURNING key_id";
    let sql = match notice {
        Notice::Expiring { .. } | Notice::Expired => UNLESS_SAME,
        Notice::RateLimited | Notice::QuotaReached { .. } => UNTIL_OVER,
    };
    let mut subjects: HashMap<&str, (&NoticedKey, Timestamp)> = HashMap::new();
    for key in keys {
        if let Some(until) = key.until(notice, change.now) {
            subjects.insert(key.subject(notice), (key, until));
        }
    }
    // In one order everywhere: two programs that write the same rows must not wait for each other.
    let mut rows: Vec<_> = subjects
        .iter()
        .map(|(subject, (_, until))| (*subject, until.as_micros().to_string()))
        .collect();
    rows.sort_unstable();
    let rows = json!(rows).to_string();
    let told: Vec<String> = on!(&mut *tx, |c| sqlx::query_scalar(sql)
        .bind(&rows)
        .bind(notice.name())
        .bind(change.now.as_micros())
        .bind(CLOCKS_APART * 1_000_000)
        .fetch_all(c)
        .await)?;
    let events = told.iter().filter_map(|subject| {
        let (key, until) = subjects.get(subject.as_str())?;
        let event = NewEvent {
            kind: notice.event(),
            account: Id::from_trusted(&*key.account_id),
            project: Some(Id::from_trusted(&*key.project_id)),
            target: key.id.clone(),
            data: key.data(notice, *until),
        };
        Some((change, event))
    });
    events::append_all(tx, events).await?;
    Ok(told.len() as u64)
}

/// Forgets what was told for a time that was over before then, some of it at once.
pub async fn forget(db: &Db, before: Timestamp, most: i64) -> Result<u64, StoreError> {
    const SQL: &str = "DELETE FROM key_notices WHERE (key_id, kind) IN \
                       (SELECT key_id, kind FROM key_notices WHERE until < $1 \
                       ORDER BY until LIMIT $2)";
    db.write(move |tx| {
        Box::pin(async move {
            Ok(on!(tx, |c| sqlx::query(SQL)
                .bind(before.as_micros())
                .bind(most)
                .execute(c)
                .await
                .map(|done| done.rows_affected()))?)
        })
    })
    .await
}
