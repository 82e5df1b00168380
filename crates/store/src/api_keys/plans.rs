//! Which indexes SQLite takes: each of these questions is asked of a few rows among millions.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

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
async fn to_hold_a_project_visits_no_key() {
    let mut connection = tables().await;
    let sql = crate::projects::HOLD;
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN {sql}")))
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let opened = rows
        .iter()
        .filter(|row| row.get::<String, _>("opcode") == "OpenRead")
        .count();
    // Its own index and row are opened to be written; what refers to it would be opened to be read.
    assert_eq!(opened, 0);
}
