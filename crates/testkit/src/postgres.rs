//! A PostgreSQL of the tests' own: one server a test process, started when the first test asks, and
//! a database a test, cloned from a template that was migrated once. `docs/testing.md` tells how to
//! use it; which server binaries it takes is said in `postgres/binaries.rs`.

mod binaries;
mod server;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

pub use server::{Server, StartError};

/// Kept for the life of the process: statics are not dropped, the closing pipe ends the server.
static SERVER: OnceLock<Result<Server, StartError>> = OnceLock::new();

/// Whether the template has been migrated. Not a `OnceLock`: the first test awaits the migration
/// and the others await that test, each on a runtime of its own.
static MIGRATED: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();

const TEMPLATE: &str = "migrated";

/// Databases whose tests have ended, removed by the next test that asks for one.
static ENDED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A database for one test, migrated and empty. It has to outlive the pools that use it.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: String,
}

impl Database {
    /// The URL to connect with, in the form that `--database-url` takes.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        ENDED
            .lock()
            .expect("nothing panics while it holds this")
            .push(std::mem::take(&mut self.name));
    }
}

/// Makes a database of the caller's own, out of what `migrate` makes of an empty one.
///
/// `migrate` gets a URL and is run once a process, so every caller has to pass the same migrations.
/// A failure to start a server or to make the database panics: there is no test without it.
pub async fn database(migrate: impl AsyncFnOnce(&str)) -> Database {
    static NEXT: AtomicUsize = AtomicUsize::new(0);

    let server = match SERVER.get_or_init(Server::start) {
        Ok(server) => server,
        Err(error) => panic!("{error}"),
    };
    let mut admin = PgConnection::connect(&server.url("postgres"))
        .await
        .expect("the server said that it takes connections");
    MIGRATED
        .get_or_init(async || make_template(server, &mut admin, migrate).await)
        .await;

    let ended = std::mem::take(&mut *ENDED.lock().expect("nothing panics while it holds this"));
    for name in ended {
        run(&mut admin, format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    // Copying files is the quick way here, and the only one before version 15, which named it.
    let strategy = match admin.server_version_num() {
        Some(150_000..) => "STRATEGY FILE_COPY",
        _ => "",
    };
    run(
        &mut admin,
        format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE} {strategy}"),
    )
    .await;
    let url = server.url(&name);
    Database { name, url }
}

/// Makes the database that all others are clones of.
async fn make_template(server: &Server, admin: &mut PgConnection, migrate: impl AsyncFnOnce(&str)) {
    // There when an earlier test's migration failed.
    run(
        admin,
        format!("DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)"),
    )
    .await;
    run(admin, format!("CREATE DATABASE {TEMPLATE}")).await;
    migrate(&server.url(TEMPLATE)).await;
    // A database with a connection open cannot be cloned, and a pool closes its own when it likes.
    let left = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1";
    sqlx::query(left)
        .bind(TEMPLATE)
        .execute(admin)
        .await
        .expect("a superuser may end connections");
}

async fn run(admin: &mut PgConnection, statement: String) {
    let outcome = admin.execute(AssertSqlSafe(statement.clone())).await;
    if let Err(error) = outcome {
        panic!("{statement}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    /// As a `/tmp` in which, where the tests run as root, the server's user could remove nothing.
    fn closed_to_others() -> TempDir {
        let parent = tempfile::tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(parent.path(), Permissions::from_mode(0o755)).unwrap();
        parent
    }

    fn count_entries(folder: &TempDir) -> usize {
        folder.path().read_dir().unwrap().count()
    }

    #[test]
    fn a_server_leaves_nothing_behind() {
        let parent = closed_to_others();
        let mut server = Server::start_in(parent.path(), &[]).unwrap();
        server.kill().unwrap();
        server.start_again().unwrap();
        assert_eq!(count_entries(&parent), 1);
        drop(server);
        assert_eq!(count_entries(&parent), 0);

        let mut server = Server::start_in(parent.path(), &[]).unwrap();
        server.kill().unwrap();
        server.kill().unwrap();
        drop(server);
        assert_eq!(count_entries(&parent), 0);
    }

    #[test]
    fn a_server_that_does_not_start_says_why_and_leaves_nothing_behind() {
        let parent = closed_to_others();
        let refused = Server::start_in(parent.path(), &["max_connections=many"]);
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("\"many\""), "{said}");
        assert_eq!(count_entries(&parent), 0);
    }

    #[test]
    fn the_output_of_a_server_that_ends_at_once_is_in_the_error() {
        let log = server::read_on(&b"initdb: error: no space left\n"[..]);
        let error = server::wait_until_ready(&log).unwrap_err();
        assert_eq!(
            error.to_string(),
            "PostgreSQL does not start:\ninitdb: error: no space left\n"
        );
    }

    async fn migrate(url: &str) {
        let mut connection = PgConnection::connect(url).await.unwrap();
        connection
            .execute("CREATE TABLE keys (id TEXT PRIMARY KEY)")
            .await
            .unwrap();
        // Left open on purpose: what a pool does that has not been closed.
        std::mem::forget(connection);
    }

    async fn count_keys(connection: &mut PgConnection) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM keys")
            .fetch_one(connection)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn every_test_has_a_migrated_database_of_its_own() {
        let one = database(migrate).await;
        let other = database(async |_: &str| panic!("migrated once already")).await;
        let mut in_one = PgConnection::connect(one.url()).await.unwrap();
        let mut in_other = PgConnection::connect(other.url()).await.unwrap();

        in_one
            .execute("INSERT INTO keys VALUES ('key_1')")
            .await
            .unwrap();

        assert_eq!(count_keys(&mut in_one).await, 1);
        assert_eq!(count_keys(&mut in_other).await, 0);
    }

    #[tokio::test]
    async fn tests_on_runtimes_of_their_own_share_the_server() {
        let tests = (0..4).map(|_| {
            std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let database = database(migrate).await;
                    let mut connection = PgConnection::connect(database.url()).await.unwrap();
                    count_keys(&mut connection).await
                })
            })
        });
        let counts: Vec<i64> = tests
            .collect::<Vec<_>>()
            .into_iter()
            .map(|test| test.join().unwrap())
            .collect();
        assert_eq!(counts, [0, 0, 0, 0]);
    }
}
