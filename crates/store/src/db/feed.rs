//! What other programs over the same database change, for the caches that must forget it. On
//! PostgreSQL: SQLite's files have one program, and no feed.
//!
//! Numbers of events are given before their commit, so that a reader who asks for those after the
//! last one passes by what commits later. What is new is told by transactions instead: those above
//! all that were shown before, and those that were under way then.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::Engine;
use crate::{Db, StoreError};

/// Events that are told one by one, at most.
const MOST_TOLD: usize = 10_000;

/// The name of its connection in `pg_stat_activity`.
const NAME: &str = "claviger feed";

/// A reader of the changes that were committed since it asked last, over a connection of its own:
/// whatever else the program asks of the database, this is not behind it.
#[derive(Debug)]
pub struct Feed {
    options: PgConnectOptions,
    /// How long the database may take to answer.
    patience: Duration,
    connection: Option<PgConnection>,
    place: Option<Place>,
}

/// What was shown so far.
#[derive(Debug)]
struct Place {
    /// The snapshot of the last look, as PostgreSQL writes it.
    snapshot: String,
    /// The greatest transaction that was shown, and an event of it.
    greatest: i64,
    last: Option<String>,
}

/// What was committed since the last time.
#[derive(Debug)]
pub enum Heard {
    /// These changes, by whatever program.
    Changes(Vec<Told>),
    /// Nobody can tell, or more than is worth telling.
    Anything,
}

/// One change.
#[derive(Debug)]
pub struct Told {
    /// What happened, as [`EventKind::as_str`](claviger_domain::event::EventKind::as_str) spells it,
    /// or a newer program does.
    pub kind: String,
    /// In which account.
    pub account: Id<id::Account>,
    /// The id of what it happened to.
    pub target: String,
    /// More about it, JSON.
    pub data: String,
    /// Where the target is a key that is still there, in whatever state: its row.
    pub key: Option<ToldKey>,
}

/// A key as its row is when the change is told of.
#[derive(Clone, Debug)]
pub struct ToldKey {
    /// The root of its family of accounts.
    pub root: Id<id::Account>,
    /// Under what it is found.
    pub digest: KeyDigest,
    /// Whether its key string was somebody else's, who may have presented it before.
    pub is_custom: bool,
    /// Whether its family has keys of our shape without our checksum.
    pub has_foreign_keys: bool,
}

/// Why nothing was heard. The next time it goes on where it was.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Nothing answers where the database should be, or it says that it is starting or stopping.
    #[error("the database is away")]
    Away(#[source] sqlx::Error),
    /// The database is there and does not tell.
    #[error("the database does not tell what was changed")]
    Silent(#[source] StoreError),
}

/// A new event, or nothing but the snapshot.
#[derive(sqlx::FromRow)]
struct Row {
    snapshot: String,
    txid: Option<i64>,
    id: Option<String>,
    kind: Option<String>,
    account_id: Option<String>,
    target: Option<String>,
    data: Option<String>,
}

impl Feed {
    /// The feed of a database; none where no other program can change it.
    pub fn of(db: &Db, patience: Duration) -> Option<Self> {
        let Engine::Postgres(pool) = &db.0.engine else {
            return None;
        };
        let options = pool.connect_options().as_ref().clone();
        Some(Self {
            options: options.application_name(NAME),
            patience,
            connection: None,
            place: None,
        })
    }

    /// What was committed since it was asked last; [`Heard::Anything`] the first time.
    pub async fn hear(&mut self) -> Result<Heard, FeedError> {
        // A connection that was cut says so once: a new one may do.
        if self.connection.is_some()
            && let Ok(heard) = self.ask().await
        {
            return Ok(heard);
        }
        self.connection = None;
        self.connection = Some(match timeout(self.patience, self.connect()).await {
            Ok(connected) => connected.map_err(failed_to_connect)?,
            Err(_) if self.is_reachable().await => {
                return Err(FeedError::Silent(too_late().into()));
            }
            Err(_) => return Err(FeedError::Away(too_late())),
        });
        // It may be another server now, which never had all that was shown.
        let heard = match self.is_where_it_was().await {
            Ok(true) => self.ask().await,
            Ok(false) => {
                self.place = None;
                self.ask().await
            }
            Err(error) => Err(error),
        };
        if heard.is_err() {
            self.connection = None;
        }
        heard.map_err(FeedError::Silent)
    }

    /// Whether something takes connections where the database should be: then it is slow, not away.
    async fn is_reachable(&self) -> bool {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        let folder = self.options.get_socket().map(PathBuf::as_path);
        let folder = folder.or_else(|| host.starts_with('/').then(|| Path::new(host)));
        let reaching = async {
            match folder {
                Some(folder) => {
                    let socket = folder.join(format!(".s.PGSQL.{port}"));
                    UnixStream::connect(socket).await.map(drop)
                }
                None => TcpStream::connect((host, port)).await.map(drop),
            }
        };
        matches!(timeout(self.patience, reaching).await, Ok(Ok(())))
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        // PostgreSQL compiles what it takes for large: that takes a hundred times as long as to look.
        const QUICK: &str = "SET jit = off";
        let mut connection = self.options.connect().await?;
        sqlx::query(QUICK).execute(&mut connection).await?;
        Ok(connection)
    }

    /// Whether the database has what it showed last, and with that all that came before.
    async fn is_where_it_was(&mut self) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM events WHERE id = $1)";
        let (Some(connection), Some(place)) = (&mut self.connection, &self.place) else {
            return Ok(false);
        };
        let asked = sqlx::query_scalar(SQL).bind(&place.last);
        let asking = timeout(self.patience, asked.fetch_one(connection));
        Ok(asking.await.unwrap_or_else(|_| Err(too_late()))?)
    }

    async fn ask(&mut self) -> Result<Heard, StoreError> {
        let Some(connection) = &mut self.connection else {
            return Err(sqlx::Error::PoolClosed.into());
        };
        // Cut off, it leaves a connection that waits for an answer: the caller drops that.
        let asking = timeout(self.patience, async {
            if let Some(place) = &mut self.place {
                let rows = place.look_on(connection).await?;
                if rows.len() <= MOST_TOLD {
                    let keys = keys_of(connection, &rows).await?;
                    return Ok(Heard::Changes(place.go_on(rows, &keys)));
                }
            }
            self.place = Some(Place::begin(connection).await?);
            Ok(Heard::Anything)
        });
        Ok(asking.await.unwrap_or_else(|_| Err(too_late()))?)
    }
}

impl Place {
    /// Where all that is committed by now was shown.
    async fn begin(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        // Rows that come from the backup of another server have its transactions, which may be yet
        // to come here: all others are below.
        const RESTORED: &str = "UPDATE events SET txid = '0' \
                                WHERE txid >= pg_snapshot_xmax(pg_current_snapshot())";
        const SQL: &str = "SELECT CAST(pg_current_snapshot() AS TEXT), \
            CAST(CAST(last.txid AS TEXT) AS BIGINT), last.id FROM (SELECT 1) AS one LEFT JOIN \
            (SELECT txid, id FROM events ORDER BY txid DESC, seq DESC LIMIT 1) AS last ON TRUE";
        sqlx::query(RESTORED).execute(&mut *connection).await?;
        let row: (String, Option<i64>, Option<String>) =
            sqlx::query_as(SQL).fetch_one(connection).await?;
        let (snapshot, greatest, last) = row;
        Ok(Self {
            snapshot,
            greatest: greatest.unwrap_or(0),
            last,
        })
    }

    /// Reads what was not shown yet, and the snapshot that shows it.
    async fn look_on(&self, connection: &mut PgConnection) -> Result<Vec<Row>, sqlx::Error> {
        // Both halves are by the index on `txid`, whatever else keeps old transactions under way.
        // Where a server crashed, transactions that nobody saw are given out again: all that was
        // shown is below the greatest, and what is above is new even if the snapshot has it ended.
        const SQL: &str = "SELECT CAST(now.snapshot AS TEXT), \
            CAST(CAST(new.txid AS TEXT) AS BIGINT) AS txid, new.id, new.kind, new.account_id, \
            new.target, new.data FROM (SELECT pg_current_snapshot() AS snapshot) AS now LEFT JOIN (\
            (SELECT * FROM events WHERE txid > CAST($2 AS XID8) ORDER BY txid, seq LIMIT $3) \
            UNION ALL SELECT * FROM events WHERE txid <= CAST($2 AS XID8) \
            AND txid = ANY(ARRAY(SELECT pg_snapshot_xip(CAST($1 AS pg_snapshot))))) AS new ON TRUE";
        // One more than is told, to see that there are more.
        let most = i64::try_from(MOST_TOLD + 1).unwrap_or(i64::MAX);
        sqlx::query_as(SQL)
            .bind(&self.snapshot)
            .bind(self.greatest.to_string())
            .bind(most)
            .fetch_all(connection)
            .await
    }

    /// Goes on to behind those rows, and gives what they tell.
    fn go_on(&mut self, rows: Vec<Row>, keys: &HashMap<String, ToldKey>) -> Vec<Told> {
        let mut changes = Vec::new();
        for row in rows {
            self.snapshot.clone_from(&row.snapshot);
            if let Some(txid) = row.txid.filter(|txid| *txid > self.greatest) {
                self.greatest = txid;
                self.last.clone_from(&row.id);
            }
            changes.extend(row.tell(keys));
        }
        changes
    }
}

impl Row {
    /// What it tells, where it has an event.
    fn tell(self, keys: &HashMap<String, ToldKey>) -> Option<Told> {
        let target = self.target?;
        Some(Told {
            key: keys.get(&target).cloned(),
            kind: self.kind?,
            account: Id::from_trusted(self.account_id?),
            target,
            data: self.data?,
        })
    }
}

/// The rows of the keys that events are about. They may be of a moment later, when the next events
/// tell of that.
async fn keys_of(
    connection: &mut PgConnection,
    rows: &[Row],
) -> Result<HashMap<String, ToldKey>, sqlx::Error> {
    const SQL: &str = "SELECT api_keys.id, api_keys.root_account_id, digest, is_custom, \
        has_foreign_keys FROM api_keys JOIN accounts ON accounts.id = api_keys.root_account_id \
        WHERE api_keys.id = ANY($1) UNION ALL SELECT id, root_account_id, digest, FALSE, FALSE \
        FROM access_keys WHERE id = ANY($1)";
    let targets = rows.iter().filter_map(|row| row.target.as_deref());
    let targets: Vec<_> = targets.collect();
    if targets.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<(String, String, Vec<u8>, bool, bool)> = sqlx::query_as(SQL)
        .bind(targets)
        .fetch_all(connection)
        .await?;
    let keys = found.into_iter().filter_map(|row| {
        let (id, root, digest, is_custom, has_foreign_keys) = row;
        let key = ToldKey {
            root: Id::from_trusted(root),
            digest: KeyDigest::from_bytes(&digest)?,
            is_custom,
            has_foreign_keys,
        };
        Some((id, key))
    });
    Ok(keys.collect())
}

fn too_late() -> sqlx::Error {
    sqlx::Error::Io(ErrorKind::TimedOut.into())
}

/// A server that refuses for another reason, such as too many connections, is there.
fn failed_to_connect(error: sqlx::Error) -> FeedError {
    let is_away = match &error {
        sqlx::Error::Io(_) => true,
        // The connection broke, or it is starting, stopping or recovering.
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| code.starts_with("08") || code.starts_with("57P")),
        _ => false,
    };
    if is_away {
        FeedError::Away(error)
    } else {
        FeedError::Silent(error.into())
    }
}
