//! Where a program has its data, on either engine, and the bare rows there.

use claviger_testkit::Program;
use claviger_testkit::postgres::{Database, Server};
use claviger_testkit::program::serve_on_sqlite;
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::{TempDir, tempdir};

use crate::connection::Connection as Http;
use crate::{CLAVIGER, nodes};

/// What a key's row says and its events do not, or the other way round.
const HALF_THERE: &str = "SELECT id FROM api_keys WHERE id NOT IN \
     (SELECT target FROM events WHERE kind = 'api-key.created') \
     UNION ALL SELECT target FROM events WHERE kind = 'api-key.created' AND target NOT IN \
     (SELECT id FROM api_keys) \
     UNION ALL SELECT id FROM api_keys WHERE status = 'inactive' AND id NOT IN \
     (SELECT target FROM events WHERE kind IN ('api-key.deleted', 'api-key.rotated')) \
     UNION ALL SELECT target FROM events WHERE kind IN ('api-key.deleted', 'api-key.rotated') \
     AND target NOT IN (SELECT id FROM api_keys WHERE status = 'inactive') \
     UNION ALL SELECT id FROM api_keys WHERE rotated_from IS NOT NULL AND id NOT IN \
     (SELECT rotated_to FROM api_keys WHERE rotated_to IS NOT NULL)";

pub(crate) struct Place {
    pub(crate) folder: TempDir,
    url: Option<String>,
    _database: Option<Database>,
}

/// A database of the place, past the program.
pub(crate) enum Rows {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Rows {
    pub(crate) async fn texts(&mut self, sql: &str) -> Vec<String> {
        let query = sqlx::query_scalar(AssertSqlSafe(sql));
        let texts = match self {
            Self::Sqlite(rows) => query.fetch_all(rows).await,
            Self::Postgres(rows) => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(rows).await,
        };
        texts.unwrap()
    }

    pub(crate) async fn execute(&mut self, sql: &str) {
        let sql = AssertSqlSafe(sql);
        match self {
            Self::Sqlite(rows) => sqlx::raw_sql(sql).execute(rows).await.map(drop),
            Self::Postgres(rows) => sqlx::raw_sql(sql).execute(rows).await.map(drop),
        }
        .unwrap();
    }
}

impl Place {
    pub(crate) fn on_sqlite() -> Self {
        Self {
            folder: tempdir().unwrap(),
            url: None,
            _database: None,
        }
    }

    pub(crate) fn on_postgres() -> Self {
        let database = nodes::database();
        Self {
            folder: tempdir().unwrap(),
            url: Some(database.url().to_owned()),
            _database: Some(database),
        }
    }

    /// On a server that nobody else needs. It acknowledges what it has handed to the kernel, as
    /// servers do that are not for tests: those that are keep it to themselves for a while.
    pub(crate) fn on(server: &Server) -> Self {
        let place = Self {
            folder: tempdir().unwrap(),
            url: Some(server.url("postgres")),
            _database: None,
        };
        let sql = "ALTER DATABASE postgres SET synchronous_commit = on";
        run(async { place.rows(false).await.execute(sql).await });
        place
    }

    /// Where the rows are, unless they are in the folder.
    pub(crate) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    pub(crate) fn start(&self) -> Program {
        match &self.url {
            None => {
                let command = serve_on_sqlite(CLAVIGER, self.folder.path(), &[]);
                Program::start_as(command, self.folder.path()).unwrap()
            }
            Some(url) => nodes::node(self.folder.path(), url),
        }
    }

    /// Opens the database that has `usage_hours` when `counters`, else the other.
    pub(crate) async fn rows(&self, counters: bool) -> Rows {
        match &self.url {
            None => {
                let file = if counters { "usage.db" } else { "claviger.db" };
                let options = SqliteConnectOptions::new().filename(self.folder.path().join(file));
                Rows::Sqlite(SqliteConnection::connect_with(&options).await.unwrap())
            }
            Some(url) => Rows::Postgres(PgConnection::connect(url).await.unwrap()),
        }
    }

    /// Asserts that every change of a key is there with its event, or not at all.
    pub(crate) fn assert_nothing_is_half_there(&self) {
        let half = run(async { self.rows(false).await.texts(HALF_THERE).await });
        assert_eq!(half, [""; 0]);
    }

    /// How many checks are written as counted.
    pub(crate) fn counted(&self) -> u64 {
        run(async { count(&mut self.rows(true).await).await })
    }

    /// Waits until that many checks are written, or half a minute.
    pub(crate) fn wait_for_counted(&self, checks: u64) {
        let enough = async {
            let mut rows = self.rows(true).await;
            while count(&mut rows).await < checks {}
        };
        let patience = std::time::Duration::from_secs(30);
        run(async { tokio::time::timeout(patience, enough).await }).unwrap();
    }
}

async fn count(rows: &mut Rows) -> u64 {
    const SQL: &str = "SELECT CAST(COALESCE(SUM(successful), 0) AS TEXT) FROM usage_hours";
    rows.texts(SQL).await[0].parse().unwrap()
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// What a client needs to know of a running program.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) owner: String,
    pub(crate) verifier: String,
    pub(crate) project: String,
}

impl Target {
    pub(crate) fn of(program: &Program) -> Self {
        let bootstrap = program.bootstrap().unwrap();
        let text = |member: &str| bootstrap[member].as_str().unwrap().to_owned();
        Self {
            address: program.address().unwrap(),
            owner: text("accessKey"),
            verifier: text("verifierKey"),
            project: text("projectId"),
        }
    }

    pub(crate) fn connect(&self) -> Http {
        Http::open(&self.address).unwrap()
    }

    pub(crate) fn new_key(&self) -> Value {
        json!({"name": "A key", "projectId": self.project})
    }

    /// Makes a key, and gives it in full.
    pub(crate) fn make_key(&self) -> String {
        let made = self
            .connect()
            .ask("POST /api-keys", &self.owner, &self.new_key());
        let made = made.unwrap();
        assert_eq!(made.status, 201, "{}", made.body);
        made.body["key"].as_str().unwrap().to_owned()
    }

    /// Checks a key that often over each of 16 connections; all have to pass.
    pub(crate) fn check_often(&self, key: &str, times: u64) -> u64 {
        const CONNECTIONS: u64 = 16;
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    let mut connection = self.connect();
                    for _ in 0..times {
                        assert_eq!(connection.check(key, &self.verifier).unwrap(), 200);
                    }
                });
            }
        });
        CONNECTIONS * times
    }
}
