//! From the first schema to this one: what a database has is there afterwards, as it was.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use claviger_domain::id::Id;
use claviger_domain::key_string::KeyDigest;
use claviger_domain::limit::{Period, Quota, RateLimit};
use claviger_domain::time::Timestamp;
use claviger_store::api_keys::Status;
use claviger_store::{
    Db, Feed, Heard, Location, access_keys, api_keys, call_log, events, mcp_servers, operator_keys,
    usage,
};
use claviger_testkit::postgres::Server;
use claviger_testkit::world::everything;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::tempdir;

const KEYS: &str = include_str!("upgrade/keys.sql");
const USAGE: &str = include_str!("upgrade/usage.sql");

/// The migrations of a folder up to the first.
async fn first(folder: &str) -> Migrator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let all = Migrator::new(path.join(folder)).await.unwrap();
    let first = all.iter().filter(|migration| migration.version == 1);
    Migrator::with_migrations(first.cloned().collect())
}

/// Rows by table and columns: each as one text.
type Rows = BTreeMap<(String, String), Vec<String>>;

/// A query that gives, of each table, a query of its rows that is good for both schemas.
const OF_SQLITE: &str = "SELECT t.name, group_concat('quote(\"' || c.name || '\")', ' || '','' || ') \
    FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' \
    AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
    GROUP BY t.name";
const OF_POSTGRES: &str = "SELECT CAST(table_name AS TEXT), \
    string_agg('quote_nullable(CAST(\"' || column_name || '\" AS TEXT))', ' || '','' || ') \
    FROM information_schema.columns WHERE table_schema = 'public' \
    AND table_name NOT LIKE '\\_sqlx%' GROUP BY table_name";

/// What a later schema has otherwise: what became of these rows is looked at by what reads them.
const REPLACED: [&str; 3] = ["usage_minutes", "key_activity", "call_log"];

/// Reads all rows of the tables that there are, or of those of `known` that are there still.
macro_rules! rows {
    ($connection:expr, $tables:expr, $known:expr) => {{
        let tables: Vec<(String, String)> = match $known {
            Some(known) => known,
            None => sqlx::query_as($tables)
                .fetch_all(&mut *$connection)
                .await
                .unwrap(),
        };
        let mut rows = Rows::new();
        for (table, columns) in tables {
            let sql = format!("SELECT {columns} FROM {table} ORDER BY 1");
            let texts = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut *$connection);
            rows.insert((table, columns), texts.await.unwrap());
        }
        rows
    }};
}

fn assert_every_table_has_rows(rows: &Rows) {
    let empty: Vec<_> = rows.iter().filter(|(_, rows)| rows.is_empty()).collect();
    assert!(empty.is_empty(), "{empty:?}");
}

/// The tables that are there still, and their columns then.
fn tables(rows: &Rows) -> Vec<(String, String)> {
    let kept = rows.keys().filter(|(table, _)| is_kept(table));
    kept.cloned().collect()
}

fn is_kept(table: &str) -> bool {
    !REPLACED.contains(&table)
}

async fn execute_sqlite(connection: &mut SqliteConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

#[tokio::test]
async fn files_of_the_first_schema_are_brought_to_this_one() {
    let folder = tempdir().unwrap();
    let open = async |name: &str| {
        let options = SqliteConnectOptions::new().filename(folder.path().join(name));
        let options = options.create_if_missing(true).foreign_keys(true);
        SqliteConnection::connect_with(&options).await.unwrap()
    };
    let mut before = Vec::new();
    for (name, migrations, sql) in [
        ("claviger.db", "sqlite", KEYS),
        ("usage.db", "sqlite_usage", USAGE),
    ] {
        let mut file = open(name).await;
        first(migrations).await.run(&mut file).await.unwrap();
        execute_sqlite(&mut file, sql).await;
        let rows = rows!(&mut file, OF_SQLITE, None);
        assert_every_table_has_rows(&rows);
        before.push((name, rows));
        file.close().await.unwrap();
    }
    let location = Location::Folder(folder.path().to_owned());
    let db = Db::open(&location).await.unwrap();
    assert_program_reads_them(&db).await;
    db.close().await;
    for (name, mut before) in before {
        let mut file = open(name).await;
        let after = rows!(&mut file, OF_SQLITE, Some(tables(&before)));
        before.retain(|(table, _), _| is_kept(table));
        assert_eq!(after, before);
        file.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_postgres_of_the_first_schema_is_brought_to_this_one() {
    let server = Server::start().unwrap();
    let url = server.url("postgres");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let migrations = first("postgres").await;
    migrations.run(&mut connection).await.unwrap();
    for sql in [KEYS, USAGE] {
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }
    let mut before = rows!(&mut connection, OF_POSTGRES, None);
    assert_every_table_has_rows(&before);
    let db = Db::open(&Location::Postgres(url)).await.unwrap();
    assert_program_reads_them(&db).await;
    let after = rows!(&mut connection, OF_POSTGRES, Some(tables(&before)));
    before.retain(|(table, _), _| is_kept(table));
    assert_eq!(after, before);

    // What is older than the upgrade is not told of as new, and what comes after it is.
    let mut feed = Feed::of(&db, Duration::from_secs(30)).unwrap();
    assert!(matches!(feed.hear().await.unwrap(), Heard::Anything));
    let later = "INSERT INTO events (id, at, account_id, actor, kind, target, data) \
                 VALUES ('evt_3', 1, 'acc_root', 'system', 'account.updated', 'acc_root', '{}')";
    sqlx::raw_sql(later).execute(&mut connection).await.unwrap();
    let Heard::Changes(changes) = feed.hear().await.unwrap() else {
        panic!("it is known what was changed")
    };
    let [change] = &changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(change.kind, "account.updated");
    db.close().await;
}

fn digest(last: u8) -> KeyDigest {
    let mut bytes = [0; 32];
    bytes[31] = last;
    KeyDigest::from_bytes(&bytes).unwrap()
}

/// What the rows say, as this program reads them; used keys have their usage.
async fn assert_program_reads_them(db: &Db) {
    let root = Id::from_trusted("acc_root");
    let find = async |last| {
        api_keys::find_presented(db, &root, &digest(last))
            .await
            .unwrap()
    };
    let plain = find(0xc1).await.unwrap();
    assert_eq!((plain.status, plain.first_used_at), (Status::Active, None));
    assert_eq!(
        plain.last_used_at.unwrap().as_micros(),
        1_768_478_460_000_000
    );
    let whole = find(0xc2).await.unwrap();
    assert_eq!(whole.status, Status::Inactive);
    assert_eq!(whole.rate_limit, RateLimit::new(50, 60));
    let (limit, period) = (1_000, Period::Month);
    assert_eq!(whole.quota, Some(Quota { limit, period }));
    assert_eq!(whole.metadata, r#"{"plan":"gold"}"#);
    assert_eq!(whole.lineage.as_str(), "key_first");
    assert_eq!(find(0xc3).await, None);

    let owner = access_keys::find_by_digest(db, &digest(0xa1))
        .await
        .unwrap();
    assert_eq!(owner.unwrap().rate_limit, RateLimit::new(100, 60));
    let now = Timestamp::from_micros(0);
    let operator = operator_keys::find_by_digest(db, &digest(0xb1), now).await;
    assert_eq!(operator.unwrap(), Some(Id::from_trusted("opk_1")));
    let server = mcp_servers::find_by_token(db, &digest(0xe1)).await.unwrap();
    assert_eq!(server.unwrap().name, "Agent");
    let totals = usage::totals(db, &plain.id).await.unwrap();
    let counted = (totals.successful, totals.failed, totals.rate_limited);
    assert_eq!(counted, (6, 1, 2));
    let allowance = usage::allowance(db, &Id::from_trusted("key_first")).await;
    assert!(allowance.unwrap().is_some());
    let trail = events::of_account(db, &root, 9).await.unwrap();
    assert_eq!(trail.len(), 2);
    assert_calls_are_there(db).await;
}

async fn assert_calls_are_there(db: &Db) {
    let list = async |filter| {
        let calls = call_log::list(db, &everything(), &filter, None, 9).await;
        calls.unwrap()
    };
    let of_server = call_log::Filter {
        mcp_server_id: Some("mcp_1".to_owned()),
        ..call_log::Filter::default()
    };
    let calls = list(call_log::Filter::default()).await;
    let [proxied, called] = &calls[..] else {
        panic!("{calls:?}")
    };
    assert_eq!(list(of_server).await, [called.clone()]);
    let expected = call_log::Call {
        id: Id::from_trusted("log_1"),
        at: Timestamp::from_micros(1_768_478_400_000_000),
        account_id: Id::from_trusted("acc_root"),
        root_account_id: Id::from_trusted("acc_root"),
        project_id: Some("prj_live".to_owned()),
        log_type: "mcp".to_owned(),
        connected_account_id: Id::from_trusted("int_1"),
        mcp_server_id: Some("mcp_1".to_owned()),
        tool_name: "list_api_keys".to_owned(),
        resource: "api-keys".to_owned(),
        method: "list".to_owned(),
        client_name: Some("inspector".to_owned()),
        client_version: Some("1.0".to_owned()),
        status: 200,
        upstream_status: Some(200),
        duration_us: 1_500,
        upstream_duration_us: Some(900),
        request_id: "req_1".to_owned(),
        argument_names: r#"["project_id"]"#.to_owned(),
        arguments_digest: vec![5, 6],
        is_dry_run: false,
    };
    assert_eq!(*called, expected);
    let missing = (proxied.mcp_server_id.as_ref(), proxied.upstream_status);
    assert_eq!((proxied.id.as_str(), missing), ("log_2", (None, None)));
}
