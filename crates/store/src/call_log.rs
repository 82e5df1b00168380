//! The log of calls through the gateway: what was called and what it came to, never values.

use std::collections::BTreeSet;

use claviger_domain::id::{self, Id};
use claviger_domain::rights::{AccountRef, Reach};
use claviger_domain::time::Timestamp;

use crate::db::{ByRows, Cell, Engine, list_of_rows, on};
use crate::reach::{ReachBinds, within_reach};
use crate::{Db, StoreError};

/// One call of a tool.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Call {
    /// Its id, `cal_…`.
    #[sqlx(try_from = "String")]
    pub id: Id<id::Call>,
    /// When it began.
    #[sqlx(try_from = "i64")]
    pub at: Timestamp,
    /// The account whose tools were called.
    #[sqlx(try_from = "String")]
    pub account_id: Id<id::Account>,
    /// That account's parent, or that account.
    #[sqlx(try_from = "String")]
    pub root_account_id: Id<id::Account>,
    /// The project that the connected account belongs to.
    pub project_id: Option<String>,
    /// `mcp` or `proxy`.
    pub log_type: String,
    /// The connected account.
    #[sqlx(try_from = "String")]
    pub connected_account_id: Id<id::ConnectedAccount>,
    /// The server, for a call through one.
    pub mcp_server_id: Option<String>,
    /// The tool's name.
    pub tool_name: String,
    /// The tool's resource.
    pub resource: String,
    /// The tool's method.
    pub method: String,
    /// The calling program, in its own words.
    pub client_name: Option<String>,
    /// That program's version.
    pub client_version: Option<String>,
    /// The HTTP status that the call came to.
    pub status: i64,
    /// The HTTP status that the upstream answered, if it was asked.
    pub upstream_status: Option<i64>,
    /// How long the call took, in microseconds.
    pub duration_us: i64,
    /// How long the upstream took, in microseconds.
    pub upstream_duration_us: Option<i64>,
    /// The request that it came with.
    pub request_id: String,
    /// The names of its arguments, a JSON array.
    pub argument_names: String,
    /// A keyed digest of the arguments' values.
    pub arguments_digest: Vec<u8>,
    /// Whether it was only told what it would send.
    pub is_dry_run: bool,
}

impl Call {
    /// The account with its root, as rights name it.
    pub fn account(&self) -> AccountRef {
        AccountRef {
            id: self.account_id.clone(),
            root: self.root_account_id.clone(),
        }
    }
}

macro_rules! columns {
    () => {
        "id, at, account_id, root_account_id, project_id, log_type, connected_account_id, \
         mcp_server_id, tool_name, resource, method, client_name, client_version, status, \
         upstream_status, duration_us, upstream_duration_us, request_id, argument_names, \
         arguments_digest, is_dry_run"
    };
}

/// The cells of a row.
const CELLS: usize = 21;

impl Call {
    fn cells(&self) -> [Cell<'_>; CELLS] {
        [
            self.id.as_str().into(),
            self.at.as_micros().into(),
            self.account_id.as_str().into(),
            self.root_account_id.as_str().into(),
            self.project_id.as_deref().into(),
            self.log_type.as_str().into(),
            self.connected_account_id.as_str().into(),
            self.mcp_server_id.as_deref().into(),
            self.tool_name.as_str().into(),
            self.resource.as_str().into(),
            self.method.as_str().into(),
            self.client_name.as_deref().into(),
            self.client_version.as_deref().into(),
            self.status.into(),
            self.upstream_status.into(),
            self.duration_us.into(),
            self.upstream_duration_us.into(),
            self.request_id.as_str().into(),
            self.argument_names.as_str().into(),
            Cell::Bytes(&self.arguments_digest),
            Cell::Flag(self.is_dry_run),
        ]
    }
}

/// Rows that SQLite writes at a stretch: calls are answered on the same cores meanwhile.
const STRIDE: usize = 16;

static INSERT: ByRows<CELLS> = ByRows::new(
    concat!(
        "INSERT INTO call_log (",
        columns!(),
        ") SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9, \
         column10, column11, column12, column13, column14, column15, column16, column17, column18, \
         column19, column20, column21 FROM ("
    ),
    ") WHERE column1 IS NOT NULL ON CONFLICT (id) DO NOTHING",
);

const INSERT_ON_POSTGRES: &str = concat!(
    "WITH rows AS MATERIALIZED (SELECT value AS cells FROM json_each($1)) INSERT INTO call_log (",
    columns!(),
    ") SELECT cells ->> 0, CAST(cells ->> 1 AS BIGINT), cells ->> 2, cells ->> 3, cells ->> 4, \
     cells ->> 5, cells ->> 6, cells ->> 7, cells ->> 8, cells ->> 9, cells ->> 10, cells ->> 11, \
     cells ->> 12, CAST(cells ->> 13 AS BIGINT), CAST(cells ->> 14 AS BIGINT), \
     CAST(cells ->> 15 AS BIGINT), CAST(cells ->> 16 AS BIGINT), cells ->> 17, cells ->> 18, \
     unhex(cells ->> 19), CAST(cells ->> 20 AS BOOLEAN) FROM rows ON CONFLICT (id) DO NOTHING"
);

/// Writes calls, all of them or none; one that is there already stays as it is, since whoever lost the
/// answer of a commit writes again. They may be lost with the last second in a power cut, as counters
/// may.
pub async fn append(db: &Db, calls: &[&Call]) -> Result<(), StoreError> {
    if calls.is_empty() {
        return Ok(());
    }
    match &db.0.engine {
        Engine::Sqlite { usage, .. } => {
            let mut tx = usage.begin().await?;
            for few in calls.chunks(STRIDE) {
                INSERT
                    .run(&mut tx, few.iter().map(|call| call.cells()))
                    .await?;
            }
            tx.commit().await?;
        }
        Engine::Postgres(pool) => {
            let rows: Vec<_> = calls.iter().map(|call| call.cells()).collect();
            sqlx::query(INSERT_ON_POSTGRES)
                .bind(list_of_rows(&rows))
                .execute(pool)
                .await?;
        }
    }
    Ok(())
}

/// Which calls to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Through that door: `mcp` or `proxy`.
    pub log_type: Option<String>,
    /// After that instant.
    pub after: Option<Timestamp>,
    /// Before that instant.
    pub before: Option<Timestamp>,
    /// Through that server.
    pub mcp_server_id: Option<String>,
    /// Of that tool.
    pub tool_name: Option<String>,
    /// That came to that status.
    pub status: Option<i64>,
}

/// Lists `limit` calls within the reach, the latest first, from before `(instant, id)` on.
///
/// Each account that the reach consists of is read by the index that has its calls in order, so that one with few
/// calls waits for no other that has many.
pub async fn list(
    db: &Db,
    reach: &Reach,
    filter: &Filter,
    before: Option<&(Timestamp, String)>,
    limit: i64,
) -> Result<Vec<Call>, StoreError> {
    let most = usize::try_from(limit).unwrap_or_default();
    let mut calls = Vec::new();
    for place in Place::all_of(reach, filter) {
        calls.extend(list_in(db, place, reach, filter, before, limit).await?);
        calls.sort_unstable_by(|one: &Call, other| (other.at, &other.id).cmp(&(one.at, &one.id)));
        calls.dedup_by(|one, other| one.id == other.id);
        calls.truncate(most);
    }
    Ok(calls)
}

/// How many accounts are read one after the other; more are looked for among the calls of all.
const APART: usize = 16;

/// Where calls are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    Everywhere,
    Server(&'a str),
    /// An account with its children.
    Family(&'a str),
    Account(&'a str),
}

impl<'a> Place<'a> {
    fn all_of(reach: &'a Reach, filter: &'a Filter) -> BTreeSet<Self> {
        if let Some(server) = &filter.mcp_server_id {
            return BTreeSet::from([Self::Server(server)]);
        }
        if reach.everything {
            return BTreeSet::from([Self::Everywhere]);
        }
        let roots = reach.accounts.iter().filter(|account| account.is_root());
        let roots: BTreeSet<_> = roots.map(|account| account.id.as_str()).collect();
        // With those of the projects.
        let accounts = reach.accounts.iter().chain(&reach.bare_accounts);
        let others = accounts.filter(|account| !roots.contains(account.root.as_str()));
        let others = others.map(|account| Self::Account(account.id.as_str()));
        let families = roots.iter().copied().map(Self::Family);
        let places: BTreeSet<_> = families.chain(others).collect();
        if places.len() > APART {
            return BTreeSet::from([Self::Everywhere]);
        }
        places
    }
}

macro_rules! listed {
    ($place:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM call_log WHERE ",
            within_reach!(),
            " AND (at, id) < ($4, $5) AND at > $6 AND at < $7 AND ($8 IS NULL OR log_type = $8) \
             AND ($9 IS NULL OR tool_name = $9) AND ($10 IS NULL OR status = $10)",
            $place,
            " ORDER BY at DESC, id DESC LIMIT $11"
        )
    };
}

async fn list_in(
    db: &Db,
    place: Place<'_>,
    reach: &Reach,
    filter: &Filter,
    before: Option<&(Timestamp, String)>,
    limit: i64,
) -> Result<Vec<Call>, StoreError> {
    let (sql, key) = match place {
        Place::Everywhere => (listed!(""), None),
        Place::Server(id) => (listed!(" AND mcp_server_id = $12"), Some(id)),
        Place::Family(id) => (listed!(" AND root_account_id = $12"), Some(id)),
        Place::Account(id) => (listed!(" AND account_id = $12"), Some(id)),
    };
    let binds = ReachBinds::of(reach);
    let (at, id) = before.map_or((i64::MAX, ""), |(at, id)| (at.as_micros(), id.as_str()));
    Ok(on!(read db, |c| {
        let query = sqlx::query_as(sql)
            .bind(binds.everything)
            .bind(&binds.accounts)
            .bind(&binds.projects)
            .bind(at)
            .bind(id)
            .bind(filter.after.map_or(i64::MIN, Timestamp::as_micros))
            .bind(filter.before.map_or(i64::MAX, Timestamp::as_micros))
            .bind(&filter.log_type)
            .bind(&filter.tool_name)
            .bind(filter.status)
            .bind(limit);
        let query = match key {
            Some(key) => query.bind(key),
            None => query,
        };
        query.fetch_all(c).await
    })?)
}
