//! Usage by key: pages of a project's keys with what was counted of each, from rows and, where it is
//! in no row yet, from the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{Environment, KeyPurpose, custom_reference};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageCounts;
use sqlx::QueryBuilder;

use super::Unfolded;
use super::by_project::{CountsRow, Step};
use crate::db::on;
use crate::reach::list;
use crate::{Db, Page, StoreError};

/// Which keys of a project.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The project.
    pub project: Id<id::Project>,
    /// That key.
    pub key: Option<Id<id::ApiKey>>,
    /// With that customer; `Some(None)`: with none.
    pub custom_account_id: Option<Option<String>>,
    /// With that user; `Some(None)`: with none.
    pub custom_user_id: Option<Option<String>>,
}

/// A key as totals name it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct NamedKey {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    env: String,
    is_custom: bool,
    /// Whose it is.
    pub custom_account_id: Option<String>,
    /// Who of them uses it.
    pub custom_user_id: Option<String>,
    created_at: i64,
}

impl NamedKey {
    /// How it is shown: with a mask in place of its secret.
    pub fn reference(&self) -> String {
        if self.is_custom {
            return custom_reference(&Id::from_trusted(&*self.id));
        }
        let environment = Environment::parse(&self.env).unwrap_or(Environment::Live);
        let public = self.id.trim_start_matches("key_");
        KeyPurpose::ApiKey(environment).reference(public)
    }
}

/// What was counted of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    /// The key.
    pub key: NamedKey,
    /// Checks by hour or by the first hour of a day, the earliest first.
    pub counts: BTreeMap<i64, UsageCounts>,
}

/// Some keys in the order in which they were made, those that were not checked left out; and where the
/// next ones begin, if there are any.
pub async fn page(
    db: &Db,
    filter: &Filter,
    hours: &Range<i64>,
    step: Step,
    unfolded: &Unfolded,
    page: &Page,
) -> Result<(Vec<KeyUsage>, Option<Page>), StoreError> {
    let keys = keys(db, filter, page).await?;
    let is_full = i64::try_from(keys.len()) == Ok(page.limit);
    let next = keys.last().filter(|_| is_full).map(|last| {
        let created_at = Timestamp::from_micros(last.created_at);
        Page::after(created_at, &last.id, page.limit)
    });
    let mut counted = counts(db, &keys, hours, step, unfolded).await?;
    let used = keys.into_iter().filter_map(|key| {
        let counts = counted.remove(&key.id)?;
        Some(KeyUsage { key, counts })
    });
    Ok((used.collect(), next))
}

async fn keys(db: &Db, filter: &Filter, page: &Page) -> Result<Vec<NamedKey>, StoreError> {
    Ok(on!(read db, |c| {
        let mut query = QueryBuilder::new(
            "SELECT id, name, env, is_custom, custom_account_id, custom_user_id, created_at \
             FROM api_keys WHERE deleted_at IS NULL AND project_id = ",
        );
        query.push_bind(filter.project.as_str());
        if let Some(key) = &filter.key {
            query.push(" AND id = ").push_bind(key.as_str());
        }
        let owners = [
            (" AND custom_account_id", &filter.custom_account_id),
            (" AND custom_user_id", &filter.custom_user_id),
        ];
        for (column, owner) in owners {
            match owner {
                None => {}
                Some(None) => {
                    query.push(column).push(" IS NULL");
                }
                Some(Some(owner)) => {
                    query.push(column).push(" = ").push_bind(owner.as_str());
                }
            }
        }
        query.push(" AND (created_at, id) > (").push_bind(page.after.0.as_micros());
        query.push(", ").push_bind(&page.after.1);
        query.push(") ORDER BY created_at, id LIMIT ").push_bind(page.limit);
        query.build_query_as().fetch_all(c).await
    })?)
}

#[derive(sqlx::FromRow)]
struct Row {
    key_id: String,
    #[sqlx(flatten)]
    counted: CountsRow,
}

macro_rules! by_hour {
    () => {
        "SELECT key_id, hour AS first_hour, successful, failed, rate_limited FROM usage_hours \
         WHERE key_id IN (SELECT value ->> 0 FROM json_each($1)) AND hour >= $2 AND hour < $3"
    };
}

macro_rules! by_day {
    () => {
        "SELECT key_id, hour / 24 * 24 AS first_hour, \
         CAST(SUM(successful) AS BIGINT) AS successful, CAST(SUM(failed) AS BIGINT) AS failed, \
         CAST(SUM(rate_limited) AS BIGINT) AS rate_limited FROM usage_hours \
         WHERE key_id IN (SELECT value ->> 0 FROM json_each($1)) AND hour >= $2 AND hour < $3 \
         GROUP BY key_id, hour / 24"
    };
}

/// The pieces of the journal that are no rows yet, in the same statement as the rows: what is folded
/// meanwhile is in one of the two.
macro_rules! and_pieces {
    () => {
        " UNION ALL SELECT CAST(seq AS TEXT), -1, 0, 0, 0 FROM usage_journal WHERE seq <= $4"
    };
}

async fn counts(
    db: &Db,
    keys: &[NamedKey],
    hours: &Range<i64>,
    step: Step,
    unfolded: &Unfolded,
) -> Result<HashMap<String, BTreeMap<i64, UsageCounts>>, StoreError> {
    let last = unfolded.last();
    let sql = match (step, last) {
        (Step::Hour, None) => by_hour!(),
        (Step::Day, None) => by_day!(),
        (Step::Hour, Some(_)) => concat!(by_hour!(), and_pieces!()),
        (Step::Day, Some(_)) => concat!(by_day!(), and_pieces!()),
    };
    let ids = list(keys.iter().map(|key| key.id.as_str()));
    let rows: Vec<Row> = on!(read db, |c| {
        let query = sqlx::query_as(sql).bind(&ids).bind(hours.start).bind(hours.end);
        let query = if let Some(last) = last { query.bind(last) } else { query };
        query.fetch_all(c).await
    })?;
    let mut waiting = BTreeSet::new();
    let mut counted: HashMap<String, BTreeMap<i64, UsageCounts>> = HashMap::new();
    for Row {
        key_id,
        counted: row,
    } in rows
    {
        if row.first_hour < 0 {
            waiting.extend(key_id.parse::<i64>());
        } else if row.counts().total() > 0 {
            let of_key = counted.entry(key_id).or_default();
            of_key.insert(row.first_hour, row.counts());
        }
    }
    for key in keys.iter().filter(|_| !waiting.is_empty()) {
        let of_key = unfolded.of_key(&key.id, &waiting);
        for (hour, more) in of_key.filter(|(hour, _)| hours.contains(hour)) {
            let of_key = counted.entry(key.id.clone()).or_default();
            of_key.entry(step.of(hour)).or_default().add(more);
        }
    }
    Ok(counted)
}
