//! The trail of changes of an account, part by part, in an order that nothing is written into later.

use std::fmt;
use std::str::FromStr;

use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;

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
        " AND txid < pg_snapshot_xmin(pg_current_snapshot())",
        " ORDER BY events.txid, seq"
    );
    const NEWEST_ON_POSTGRES: &str = part_of_trail!(
        "CAST(CAST(txid AS TEXT) AS BIGINT)",
        "(txid, seq) < (CAST(CAST($2 AS TEXT) AS XID8), $3)",
        "",
        " ORDER BY events.txid DESC, seq DESC"
    );
    let sql = match (&db.0.engine, order) {
        (Engine::Sqlite { .. }, Order::OldestFirst) => OLDEST_IN_FILES,
        (Engine::Sqlite { .. }, Order::NewestFirst) => NEWEST_IN_FILES,
        (Engine::Postgres(_), Order::OldestFirst) => OLDEST_ON_POSTGRES,
        (Engine::Postgres(_), Order::NewestFirst) => NEWEST_ON_POSTGRES,
    };
    Ok(on!(read db, |c| sqlx::query_as(sql)
        .bind(account.as_str())
        .bind(after.txid)
        .bind(after.seq)
        .bind(most)
        .fetch_all(c)
        .await)?)
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
