//! The trail of changes of an account, part by part, in an order that nothing is written into later.

use std::fmt;
use std::str::FromStr;

use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use sqlx::PgPool;

use super::Event;
use crate::db::{Engine, on};
use crate::{Db, StoreError};

/// Where an event is in the trail of the whole instance.
///
/// On PostgreSQL events are numbered before they are committed: behind one with a greater number a lesser
/// one may come later. So it is the writing transaction first, and only what no open one can come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The writing transaction; 0 on SQLite, which has one at a time.
    txid: i64,
    seq: i64,
}

impl Place {
    /// Before every event.
    pub const FIRST: Self = Self { txid: 0, seq: 0 };
    /// Behind every event.
    pub const LAST: Self = Self {
        txid: i64::MAX,
        seq: i64::MAX,
    };
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.txid, self.seq)
    }
}

/// A text that names no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let read = |digits: &str| {
            let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
            are_digits
                .then(|| digits.parse().ok())
                .flatten()
                .ok_or(NoPlace)
        };
        let (txid, seq) = text.split_once('-').ok_or(NoPlace)?;
        Ok(Self {
            txid: read(txid)?,
            seq: read(seq)?,
        })
    }
}

/// Which events come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The oldest, for whoever takes all of them.
    OldestFirst,
    /// The newest, for whoever looks at what happened.
    NewestFirst,
}

/// An event with its place.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Placed {
    txid: i64,
    seq: i64,
    /// The event.
    #[sqlx(flatten)]
    pub event: Event,
}

impl Placed {
    /// Its place.
    pub fn place(&self) -> Place {
        Place {
            txid: self.txid,
            seq: self.seq,
        }
    }
}

/// Two texts for each order: the transaction is a type of PostgreSQL's own.
macro_rules! part_of_trail {
    ($txid:literal, $and:literal, $than:literal, $order:literal) => {
        concat!(
            "SELECT ",
            $txid,
            " AS txid, seq, id, at, account_id, project_id, actor, kind, target, data \
             FROM events WHERE account_id = $1 AND ",
            $and,
            $than,
            $order,
            " LIMIT $4"
        )
    };
}

/// The transaction that no event can come before any more. On PostgreSQL only.
///
/// The snapshot's own such number is that of the oldest transaction of the whole server: whatever writes
/// for hours in somebody else's database would hold up this trail. So those of other databases are left
/// out; what is of no session that is known (a prepared transaction) holds it up as ours do.
///
/// To be asked before the events are read, in a statement of its own: of what is found to have ended
/// here, a later snapshot shows all.
async fn settled(db: &Db, pool: &PgPool) -> Result<i64, StoreError> {
    // Every role is told which database a session is in, and each open transaction has a lock on itself.
    // That is looked at before the state, so that one that ends meanwhile has ended.
    const SQL: &str = "SELECT CAST(CAST(COALESCE((SELECT running.txid FROM \
        (SELECT pg_snapshot_xip(pg_current_snapshot()) AS txid) AS running WHERE CASE WHEN EXISTS \
        (SELECT 1 FROM pg_locks JOIN pg_stat_activity ON pg_stat_activity.pid = pg_locks.pid \
        WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted \
        AND transactionid = CAST(running.txid AS XID) AND datname <> current_database()) THEN FALSE \
        ELSE pg_xact_status(running.txid) = 'in progress' END ORDER BY running.txid LIMIT 1), \
        pg_snapshot_xmax(pg_current_snapshot())) AS TEXT) AS BIGINT)";
    let _turn = db.turn_to_read().await?;
    Ok(sqlx::query_scalar(SQL).fetch_one(pool).await?)
}

/// The next events of an account behind `after`.
pub async fn part(
    db: &Db,
    account: &Id<id::Account>,
    after: Place,
    order: Order,
    most: i64,
) -> Result<Vec<Placed>, StoreError> {
    const OLDEST_IN_FILES: &str = part_of_trail!("0", "$2 = $2 AND seq > $3", "", " ORDER BY seq");
    const NEWEST_IN_FILES: &str =
        part_of_trail!("0", "$2 = $2 AND seq < $3", "", " ORDER BY seq DESC");
    const OLDEST_ON_POSTGRES: &str = part_of_trail!(
        "CAST(CAST(txid AS TEXT) AS BIGINT)",
        // A transaction that is still to come was one of before the rows were restored into a new
        // cluster, where those that had such a number have 0 (`db/feed.rs`).
        "(txid, seq) > (CASE WHEN CAST(CAST($2 AS TEXT) AS XID8) \
         >= pg_snapshot_xmax(pg_current_snapshot()) THEN CAST('0' AS XID8) \
         ELSE CAST(CAST($2 AS TEXT) AS XID8) END, $3)",
        " AND txid < CAST(CAST($5 AS TEXT) AS XID8)",
        " ORDER BY events.txid, seq"
    );
    const NEWEST_ON_POSTGRES: &str = part_of_trail!(
        "CAST(CAST(txid AS TEXT) AS BIGINT)",
        "(txid, seq) < (CAST(CAST($2 AS TEXT) AS XID8), $3)",
        "",
        " ORDER BY events.txid DESC, seq DESC"
    );
    let (sql, before) = match (&db.0.engine, order) {
        (Engine::Sqlite { .. }, Order::OldestFirst) => (OLDEST_IN_FILES, None),
        (Engine::Sqlite { .. }, Order::NewestFirst) => (NEWEST_IN_FILES, None),
        (Engine::Postgres(pool), Order::OldestFirst) => {
            (OLDEST_ON_POSTGRES, Some(settled(db, pool).await?))
        }
        (Engine::Postgres(_), Order::NewestFirst) => (NEWEST_ON_POSTGRES, None),
    };
    Ok(on!(read db, |c| {
        let part = sqlx::query_as(sql);
        let part = part.bind(account.as_str()).bind(after.txid).bind(after.seq);
        let part = part.bind(most);
        let part = if let Some(before) = before { part.bind(before) } else { part };
        part.fetch_all(c).await
    })?)
}

/// A place of which events up to that instant are behind, found in a few steps: clocks tell an order
/// that is nearly that of places.
pub async fn before(db: &Db, at: Timestamp) -> Result<Place, StoreError> {
    const BOUNDS: &str = "SELECT COALESCE(MIN(seq), 0), COALESCE(MAX(seq), 0) FROM events";
    const IN_FILES: &str = "SELECT 0 AS txid, seq, at FROM events WHERE seq <= $1 \
                            ORDER BY seq DESC LIMIT 1";
    const ON_POSTGRES: &str = "SELECT CAST(CAST(txid AS TEXT) AS BIGINT) AS txid, seq, at FROM events \
                               WHERE seq <= $1 ORDER BY seq DESC LIMIT 1";
    let sql = match &db.0.engine {
        Engine::Sqlite { .. } => IN_FILES,
        Engine::Postgres(_) => ON_POSTGRES,
    };
    let (mut low, mut high): (i64, i64) =
        on!(read db, |c| sqlx::query_as(BOUNDS).fetch_one(c).await)?;
    let mut place = Place::FIRST;
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64, i64)> = on!(read db, |c| sqlx::query_as(sql)
            .bind(middle)
            .fetch_optional(c)
            .await)?;
        match found {
            Some((txid, seq, found_at)) if found_at < at.as_micros() => {
                place = Place { txid, seq };
                low = middle + 1;
            }
            _ => high = middle,
        }
    }
    Ok(place)
}
