//! What holding an account costs: it may have millions of keys.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

use super::HOLD;

#[tokio::test]
async fn to_hold_an_account_visits_no_key() {
    let options = SqliteConnectOptions::new().in_memory(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(include_str!("../../migrations/sqlite/0001_keys.sql"))
        .execute(&mut connection)
        .await
        .unwrap();
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN {HOLD}")))
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let opened = rows
        .iter()
        .filter(|row| row.get::<String, _>("opcode") == "OpenRead")
        .count();
    // Its own index and row are opened to be written; what refers to it would be opened to be read.
    assert!(!rows.is_empty());
    assert_eq!(opened, 0);
}
