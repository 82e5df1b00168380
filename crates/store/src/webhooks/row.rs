//! A webhook as its row has it.

use claviger_domain::id::Id;
use claviger_domain::rights::AccountRef;
use claviger_domain::time::Timestamp;
use claviger_domain::webhook::{Format, Method, Status};

use super::{Sealed, Webhook, read_topics};
use crate::{Base, StoreError};

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    id: String,
    account_id: String,
    root_account_id: String,
    project_id: Option<String>,
    name: Option<String>,
    url: String,
    http_method: String,
    format: String,
    topics: String,
    status: String,
    secret: Vec<u8>,
    previous_secret: Option<Vec<u8>>,
    previous_until: Option<i64>,
    earlier_secret: Option<Vec<u8>>,
    earlier_until: Option<i64>,
    legacy_secret: Option<Vec<u8>>,
    headers: Option<Vec<u8>>,
    header_names: String,
    failing_since: Option<i64>,
    rests_until: Option<i64>,
    dropped: i64,
    #[sqlx(flatten)]
    base: Base,
}

impl TryFrom<Row> for Webhook {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let broken = |what| StoreError::Row {
            table: "webhooks",
            what,
        };
        let until = |micros: Option<i64>| micros.map(Timestamp::from_micros);
        let previous = row.previous_secret.zip(until(row.previous_until));
        let earlier = row.earlier_secret.zip(until(row.earlier_until));
        Ok(Self {
            id: Id::from_trusted(row.id),
            account: AccountRef {
                id: Id::from_trusted(row.account_id),
                root: Id::from_trusted(row.root_account_id),
            },
            project: row.project_id.map(Id::from_trusted),
            name: row.name,
            url: row.url,
            method: Method::parse(&row.http_method).ok_or_else(|| broken("http_method"))?,
            format: Format::parse(&row.format).ok_or_else(|| broken("format"))?,
            topics: read_topics(&row.topics),
            status: Status::parse(&row.status).ok_or_else(|| broken("status"))?,
            sealed: Sealed {
                secret: row.secret,
                previous: previous.into_iter().chain(earlier).collect(),
                legacy: row.legacy_secret,
                headers: row.headers,
            },
            header_names: serde_json::from_str(&row.header_names)
                .map_err(|_| broken("header_names"))?,
            failing_since: row.failing_since.map(Timestamp::from_micros),
            rests_until: row.rests_until.map(Timestamp::from_micros),
            dropped: row.dropped,
            base: row.base,
        })
    }
}
