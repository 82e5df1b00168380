//! Which indexes are taken: each of these questions is asked of a few rows among millions.

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

use super::{FIND, FIND_PRESENTED, LOCK, import, new};

const TABLES: [&str; 4] = [
    include_str!("../../migrations/sqlite/0001_keys.sql"),
    include_str!("../../migrations/sqlite/0004_digests.sql"),
    include_str!("../../migrations/sqlite_usage/0001_usage.sql"),
    include_str!("../../migrations/sqlite_usage/0005_usage_hours.sql"),
];

async fn tables() -> SqliteConnection {
    let options = SqliteConnectOptions::new().in_memory(true);
    let mut connection = options.connect().await.unwrap();
    for sql in TABLES {
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }
    connection
}

async fn plan(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let rows = sqlx::query(sql).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get("detail")).collect()
}

#[tokio::test]
async fn no_question_about_one_key_reads_them_all() {
    let mut connection = tables().await;
    let list = "SELECT id FROM api_keys WHERE deleted_at IS NULL";
    let page = "(created_at, id) > ($2, $3) ORDER BY created_at, id LIMIT 101";
    let of = |column: &str| format!("{list} AND {column} = $1 AND {page}");
    let questions = [
        FIND.to_owned(),
        FIND_PRESENTED.to_owned(),
        LOCK.to_owned(),
        import::FIND.to_owned(),
        new::FIND_HIDDEN.to_owned(),
        of("project_id"),
        of("account_id"),
        of("root_account_id"),
        format!("{list} AND root_account_id = $1 AND digest = $4 AND {page}"),
    ];
    for sql in questions {
        let plan = plan(&mut connection, &sql).await;
        let about_keys = plan.iter().filter(|line| line.contains(" api_keys"));
        let mut searches = about_keys.peekable();
        assert!(searches.peek().is_some(), "{sql}: {plan:?}");
        assert!(
            searches.all(|line| line.starts_with("SEARCH")),
            "{sql}: {plan:?}"
        );
        let is_sorted_anew = plan.iter().any(|line| line.contains("ORDER BY"));
        assert!(!is_sorted_anew || sql.contains("digest"), "{sql}: {plan:?}");
    }
}

#[tokio::test]
async fn a_new_key_on_postgres_looks_its_project_up() {
    const ROWS: &str = "\
        INSERT INTO accounts (id, root_account_id, name, name_folded, has_foreign_keys, created_in, \
        created_at, updated_at) VALUES ('a', 'a', 'a', 'a', FALSE, 'a', 0, 0); \
        INSERT INTO projects (id, account_id, root_account_id, name, env, key_storage, \
        created_in, created_at, updated_at) \
        SELECT 'project-' || number, 'a', 'a', 'p', 'live', 'hashed', 'a', 0, 0 \
        FROM generate_series(1, 5000) AS number; ANALYZE projects; \
        SET plan_cache_mode = force_generic_plan";
    let database = claviger_testkit::migrated().await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&mut connection).await.unwrap();
    let sql = format!("PREPARE creation (TEXT) AS {}", new::INSERT_ON_POSTGRES);
    let prepare = sqlx::raw_sql(AssertSqlSafe(sql));
    prepare.execute(&mut connection).await.unwrap();
    let plan: Vec<String> = sqlx::query_scalar("EXPLAIN (COSTS OFF) EXECUTE creation ('[]')")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let scans = |way: &str| plan.iter().any(|line| line.contains(way));
    assert!(scans("Index Scan using projects_pkey"), "{plan:?}");
    assert!(
        !scans("Seq Scan") && !scans("Sort") && !scans("Hash"),
        "{plan:?}"
    );
}
