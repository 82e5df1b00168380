//! A database of the test's own on either engine, and the rows that tests start from.

use std::collections::BTreeSet;
use std::sync::Arc;

use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{DrawnKey, Environment, KeyPurpose, PlainKey};
use claviger_domain::random::Random;
use claviger_domain::rights::{AccountRef, Reach};
use claviger_domain::role::Role;
use claviger_domain::time::{Clock, Timestamp};
use claviger_store::access_keys::AccessKey;
use claviger_store::accounts::{self, Account};
use claviger_store::api_keys::{ApiKey, Status};
use claviger_store::projects::{self, Project};
use claviger_store::{Base, Change, Db, Location, StoreError};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;

use crate::database::migrated;
use crate::postgres::{Database, Server};
use crate::{HeldTable, MockClock, SeededRandom};

/// Makes two tests of each function that takes a [`World`]: `name::on_sqlite` and
/// `name::on_postgres`.
#[macro_export]
macro_rules! in_both_worlds {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_sqlite() {
                super::$test($crate::world::World::on_sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_postgres() {
                super::$test($crate::world::World::on_postgres().await).await;
            }
        }
    )+};
}

/// 2026-01-15T12:00:00Z, in the middle of a day and of a month.
const NOON: Timestamp = Timestamp::from_micros(1_768_478_400_000_000);

/// A migrated and empty database, with a clock and randomness.
#[derive(Debug)]
pub struct World {
    /// The database.
    pub db: Db,
    /// Where it is, to open it once more.
    pub location: Location,
    /// The time.
    pub clock: Arc<MockClock>,
    /// Randomness.
    pub random: Arc<SeededRandom>,
    _place: Place,
}

/// What has to outlive the connections.
#[derive(Debug)]
#[expect(dead_code, reason = "held for what happens when they are dropped")]
enum Place {
    Folder(TempDir),
    Database(Database),
    /// The test's own server, which it holds itself.
    Server,
}

impl World {
    /// A world in two SQLite files.
    pub async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a scratch directory can be made");
        let location = Location::Folder(folder.path().to_owned());
        Self::open(location, Place::Folder(folder)).await
    }

    /// A world in a PostgreSQL database.
    pub async fn on_postgres() -> Self {
        let database = migrated().await;
        let location = Location::Postgres(database.url().to_owned());
        Self::open(location, Place::Database(database)).await
    }

    /// A world on a server that the test may kill. What is committed there outlives that.
    pub async fn on(server: &Server) -> Self {
        let url = server.url("postgres");
        let mut connection = PgConnection::connect(&url)
            .await
            .expect("the server takes connections");
        sqlx::raw_sql("ALTER DATABASE postgres SET synchronous_commit = on")
            .execute(&mut connection)
            .await
            .expect("a superuser may set that");
        Self::open(Location::Postgres(url), Place::Server).await
    }

    async fn open(location: Location, place: Place) -> Self {
        Self {
            db: Db::open(&location).await.expect("the database opens"),
            location,
            clock: Arc::new(MockClock::at(NOON)),
            random: Arc::new(SeededRandom::new(0)),
            _place: place,
        }
    }

    /// Runs one statement past the store, on the database that has `usage_hours` and its like
    /// when `counters`, else on the other. Gives the texts in the first column of its rows.
    pub async fn raw(&self, counters: bool, sql: &'static str) -> Vec<String> {
        let texts = match &self.location {
            Location::Folder(folder) => {
                let file = if counters { "usage.db" } else { "claviger.db" };
                let options = SqliteConnectOptions::new().filename(folder.join(file));
                let mut connection = SqliteConnection::connect_with(&options)
                    .await
                    .expect("the file is there");
                sqlx::query_scalar(sql).fetch_all(&mut connection).await
            }
            Location::Postgres(url) => {
                let mut connection = PgConnection::connect(url)
                    .await
                    .expect("the database is there");
                sqlx::query_scalar(sql).fetch_all(&mut connection).await
            }
        };
        texts.expect("the statement is right")
    }

    /// Keeps everybody else from reading a table. On PostgreSQL; elsewhere there is no such lock,
    /// and this panics.
    pub async fn hold_table(&self, table: &str) -> HeldTable {
        let Location::Postgres(url) = &self.location else {
            panic!("a table is held on PostgreSQL only");
        };
        HeldTable::hold(url, table).await
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A change that the program itself makes now.
    pub fn change(&self) -> Change {
        let random: Arc<dyn Random> = Arc::<SeededRandom>::clone(&self.random);
        Change {
            actor: Actor::System,
            now: self.now(),
            random,
        }
    }

    /// Runs `change` in a transaction.
    pub async fn write<T, F>(&self, change: F) -> T
    where
        T: Send + 'static,
        F: for<'c> FnOnce(
                &'c mut claviger_store::Tx,
                Change,
            ) -> futures::future::BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        let now = self.change();
        self.db
            .write::<T, StoreError, _>(move |tx| change(tx, now))
            .await
            .expect("the change succeeds")
    }

    /// Makes a root account.
    pub async fn account(&self, name: &'static str) -> Account {
        self.write(move |tx, change| {
            Box::pin(async move { accounts::create(tx, &change, name, None).await })
        })
        .await
    }

    /// Makes a child of `parent`.
    pub async fn child(&self, parent: &Account, name: &'static str) -> Account {
        let parent = parent.id.clone();
        self.write(move |tx, change| {
            Box::pin(async move { accounts::create(tx, &change, name, Some(&parent)).await })
        })
        .await
    }

    /// Makes a project for production in `account`.
    pub async fn project(&self, account: &Account, name: &'static str) -> Project {
        let account = account.clone();
        self.write(move |tx, change| {
            Box::pin(async move {
                projects::create(tx, &change, &account, name, Environment::Live).await
            })
        })
        .await
    }

    /// Draws a key of `project`; it is not stored yet.
    pub fn draw_api_key(&self, project: &Project, name: &str) -> (ApiKey, PlainKey) {
        let DrawnKey { plain, public } =
            KeyPurpose::ApiKey(project.environment()).draw(&*self.random);
        let id = Id::from_suffix(&public);
        (self.api_key(project, name, id, false), plain)
    }

    /// Makes a key of `project` with a key string of the caller's; it is not stored yet.
    pub fn custom_api_key(&self, project: &Project, text: &str) -> (ApiKey, PlainKey) {
        let id = Id::draw(&*self.random);
        (
            self.api_key(project, "custom", id, true),
            PlainKey::new(text),
        )
    }

    fn api_key(
        &self,
        project: &Project,
        name: &str,
        id: Id<id::ApiKey>,
        is_custom: bool,
    ) -> ApiKey {
        ApiKey {
            lineage: id.clone(),
            id,
            project_id: project.id.clone(),
            account: project.account(),
            environment: project.environment(),
            name: name.to_owned(),
            is_custom,
            metadata: "{}".to_owned(),
            custom_account_id: None,
            custom_user_id: None,
            rate_limit: None,
            quota: None,
            expires_at: None,
            client_ip: None,
            client_user_agent: None,
            allowed_domains: Vec::new(),
            allowed_ips: Vec::new(),
            scopes: Vec::new(),
            status: Status::Active,
            reason: None,
            revoked_at: None,
            revoked_by: None,
            stops_at: None,
            rotated_from: None,
            rotated_to: None,
            first_used_at: None,
            last_used_at: None,
            base: Base::made_by(&self.change()),
        }
    }

    /// Draws an access key of `account`, or of projects of it; it is not stored yet.
    pub fn draw_access_key(
        &self,
        account: &Account,
        projects: Option<&[&Project]>,
        role: Role,
    ) -> (AccessKey, PlainKey) {
        let environment = Environment::Live;
        let DrawnKey { plain, public } = KeyPurpose::AccessKey(environment).draw(&*self.random);
        let ids = |list: &[&Project]| list.iter().map(|one| one.id.clone()).collect();
        let key = AccessKey {
            lineage: Id::from_suffix(&public),
            id: Id::from_suffix(&public),
            account: account.reference(),
            projects: projects.map(ids),
            name: "access".to_owned(),
            role,
            environment,
            is_active: true,
            rate_limit: None,
            expires_at: None,
            stops_at: None,
            rotated_from: None,
            rotated_to: None,
            base: Base::made_by(&self.change()),
        };
        (key, plain)
    }
}

/// The operator's reach.
pub fn everything() -> Reach {
    Reach {
        everything: true,
        ..Reach::default()
    }
}

/// The reach of a role that is held on an account.
pub fn whole(account: &Account) -> Reach {
    Reach {
        accounts: vec![account.reference()],
        ..Reach::default()
    }
}

/// The reach of a role that is held on projects of an account.
pub fn only(projects: &[&Project]) -> Reach {
    let bare: BTreeSet<_> = projects
        .iter()
        .map(|one| (&one.account_id, &one.root_account_id))
        .collect();
    Reach {
        projects: projects.iter().map(|one| one.id.clone()).collect(),
        bare_accounts: bare
            .into_iter()
            .map(|(id, root)| AccountRef {
                id: id.clone(),
                root: root.clone(),
            })
            .collect(),
        ..Reach::default()
    }
}
