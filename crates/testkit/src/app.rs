//! A whole running program, without a socket, on a clock that tests move.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use claviger_domain::event::Actor;
use claviger_domain::key_string::PlainKey;
use claviger_edge::{Core, CoreParts, Passwords, People, SignUp};
use claviger_gateway::Gateway;
use claviger_gateway::mcp::hosts::Hosts;
use claviger_outbound::mail::{Post, PostSettings, Transport};
use claviger_outbound::{Client, Firebase, Guard, SystemResolver, TargetFault, Webhooks};
use claviger_server::assemble::{Assembled, Parts, assemble_over};
use claviger_server::first_start;
use claviger_store::StoreError;
use claviger_store::sealing::{MasterKey, SealingKey};
use claviger_store::secrets::{self, Secrets};
use claviger_verify::{KEY_CACHE_BYTES, Settings, Verifier};
use ipnet::IpNet;
use tempfile::TempDir;

use crate::database::{Engine, HeldTable, TestDatabase};
use crate::http::TestRequest;
use crate::upstream::Upstream;
use crate::{IdentityProvider, Mail, MockClock, SeededRandom, logs};

/// The name under which a [`TestApp`] is reached; its links begin with it.
pub const PUBLIC_HOST: &str = "keys.example.com";

/// The address of the one proxy that a [`TestApp`] trusts.
pub const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

/// A program with its first start behind it. The same ids and keys come out of every run.
#[derive(Debug)]
pub struct TestApp {
    /// What its handlers have: the database, the verifier, the time.
    pub core: Core,
    /// Its time.
    pub clock: Arc<MockClock>,
    /// What its secrets are sealed under.
    pub sealing: Arc<SealingKey>,
    /// The key of whoever runs it.
    pub operator_key: PlainKey,
    /// The gateway, whose log a test may wait for.
    pub gateway: Arc<Gateway>,
    routes: Router,
    upstream: Upstream,
    outbox: TempDir,
    // Declared last, because the connections above must be gone before it.
    database: TestDatabase,
}

/// The Firebase project of an identity provider, whose keys are there.
fn firebase_of(
    client: &Client,
    clock: &Arc<MockClock>,
    keys: &str,
) -> Result<Arc<Firebase>, TargetFault> {
    let project = IdentityProvider::PROJECT.to_owned();
    let target = client.target(keys)?;
    let firebase = Firebase::new(project, client.clone(), target, clock.clone());
    Ok(Arc::new(firebase))
}

/// The client of all that leaves the program.
fn outgoing(allow_private: bool) -> Client {
    let guard = Guard {
        allow_private,
        own_url: Some(format!("https://{PUBLIC_HOST}")),
        ..Guard::default()
    };
    Client::new(guard, Arc::new(SystemResolver))
}

/// The names under which a program is reached.
fn hosts() -> Hosts {
    let listened_on = SocketAddr::from((Ipv4Addr::LOCALHOST, 8420));
    Hosts::new(Some(PUBLIC_HOST), listened_on)
}

/// What a program is started with beside what all have.
struct MadeWith<'a> {
    sign_up: SignUp,
    firebase: Option<&'a str>,
    /// Receivers of tests are on this machine.
    allow_private: bool,
    /// The program over the same database, which has its first start behind it.
    beside: Option<&'a TestApp>,
}

/// The key of whoever runs it, made at the first start.
async fn first_key(core: &Core) -> anyhow::Result<PlainKey> {
    let inside = core.clone();
    let first = core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move {
            let change = inside.change(&Actor::System);
            first_start::make(tx, &change, &inside.verifier, &inside.sealing).await
        })
    });
    Ok(first.await?.operator_key)
}

impl TestApp {
    /// Starts one on the engine of this run.
    pub async fn start() -> Self {
        Self::with(Engine::of_this_run()).await
    }

    /// Starts one on that engine; panics where it does not start, since then there is no test.
    pub async fn with(engine: Engine) -> Self {
        Self::signing_up(engine, SignUp::Open).await
    }

    /// Starts one on the engine of this run, where those sign up.
    pub async fn with_sign_up(sign_up: SignUp) -> Self {
        Self::signing_up(Engine::of_this_run(), sign_up).await
    }

    /// Starts one whose users may sign in with the Firebase project of an
    /// [`IdentityProvider`](crate::IdentityProvider), whose keys are there.
    pub async fn with_firebase(engine: Engine, sign_up: SignUp, keys: &str) -> Self {
        let made_with = MadeWith {
            sign_up,
            firebase: Some(keys),
            allow_private: true,
            beside: None,
        };
        Self::started(engine, made_with).await
    }

    /// Starts one whose requests go to the public internet only.
    pub async fn in_public() -> Self {
        let made_with = MadeWith {
            sign_up: SignUp::Open,
            firebase: None,
            allow_private: false,
            beside: None,
        };
        Self::started(Engine::of_this_run(), made_with).await
    }

    async fn signing_up(engine: Engine, sign_up: SignUp) -> Self {
        let made_with = MadeWith {
            sign_up,
            firebase: None,
            allow_private: true,
            beside: None,
        };
        Self::started(engine, made_with).await
    }

    async fn started(engine: Engine, made_with: MadeWith<'_>) -> Self {
        logs::listen();
        let database = TestDatabase::with(engine).await;
        match Self::over(database, made_with).await {
            Ok(app) => app,
            Err(error) => panic!("the program does not start: {error:?}"),
        }
    }

    /// Another program over the same PostgreSQL, on the same clock. It is not told of changes unless it
    /// follows them.
    pub async fn beside(&self) -> Self {
        let made_with = MadeWith {
            sign_up: SignUp::Open,
            firebase: None,
            allow_private: true,
            beside: Some(self),
        };
        match Self::over(self.database.again().await, made_with).await {
            Ok(app) => app,
            Err(error) => panic!("the other program does not start: {error:?}"),
        }
    }

    async fn over(database: TestDatabase, made_with: MadeWith<'_>) -> anyhow::Result<Self> {
        let MadeWith {
            sign_up,
            firebase,
            allow_private,
            beside,
        } = made_with;
        let db = database.db.clone();
        let clock = beside.map_or_else(Arc::default, |one| Arc::clone(&one.clock));
        // Two programs draw no id twice.
        let random = Arc::new(SeededRandom::new(if beside.is_some() { 2 } else { 0 }));
        let master = MasterKey::new([7; 32]);
        let now = claviger_domain::time::Clock::now(&*clock);
        let Secrets {
            pepper, sealing, ..
        } = secrets::open(&db, &master, &*random, now).await?;
        let sealing = Arc::new(sealing);
        let verifier = Verifier::start(Settings {
            db: db.clone(),
            pepper,
            sealing: sealing.clone(),
            clock: clock.clone(),
            random: random.clone(),
            key_cache_bytes: KEY_CACHE_BYTES,
        })
        .await?;
        let client = outgoing(allow_private);
        let firebase = firebase.map(|keys| firebase_of(&client, &clock, keys));
        let webhooks = Webhooks::new(
            claviger_outbound::Settings {
                db: db.clone(),
                sealing: sealing.clone(),
                client,
            },
            clock.clone(),
            random.clone(),
        );
        let outbox = tempfile::tempdir()?;
        let post = Post::new(
            PostSettings {
                db: db.clone(),
                sealing: sealing.clone(),
                transport: Transport::Folder(outbox.path().join("outbox")),
                from: format!("Keys <keys@{PUBLIC_HOST}>"),
            },
            clock.clone(),
            random.clone(),
        )?;
        let core = Core::of(CoreParts {
            db,
            verifier,
            sealing: sealing.clone(),
            webhooks: Arc::new(webhooks),
            clock: clock.clone(),
            random,
            remote_operator: false,
            trusted_proxies: [IpNet::from(PROXY)].into(),
            people: People {
                sign_up,
                public_url: format!("https://{PUBLIC_HOST}").into(),
                post: Arc::new(post),
                firebase: firebase.transpose()?,
                // As little as it can cost.
                passwords: Arc::new(Passwords::costing(8, 2, &SeededRandom::new(1))),
            },
            traffic: Arc::default(),
        });
        let operator_key = match beside {
            Some(one) => one.operator_key.clone(),
            None => first_key(&core).await?,
        };
        let parts = Parts {
            core: core.clone(),
            sealing: sealing.clone(),
            hosts: hosts(),
            public_url: format!("https://{PUBLIC_HOST}"),
            connectors: Vec::new(),
            jobs: Arc::default(),
            extra: Router::new(),
        };
        let upstream = Upstream::default();
        let Assembled { surface, gateway } =
            assemble_over(parts, |local| upstream.stand_before(local))?;
        Ok(Self {
            gateway,
            routes: surface.into_router(),
            upstream,
            core,
            clock,
            sealing,
            operator_key,
            outbox,
            database,
        })
    }

    /// Begins a request.
    pub fn request(&self, method: &str, path: &str) -> TestRequest {
        TestRequest::to(self.routes.clone(), method, path)
    }

    /// Puts in the place of what tools call, The Auth API of this program, what `make` makes of it.
    pub fn change_upstream(&self, make: impl FnOnce(Router) -> Router) {
        self.upstream.change(make);
    }

    /// Keeps everybody else from reading a table, on PostgreSQL.
    pub async fn hold_table(&self, table: &str) -> HeldTable {
        self.database.hold_table(table).await
    }

    /// Changes the tables, as somebody does who has the database.
    pub async fn alter(&self, sql: &'static str) {
        self.database.alter(sql).await;
    }

    /// All routes, for a test that serves them on a socket of its own.
    pub fn routes(&self) -> Router {
        self.routes.clone()
    }

    /// Lets time pass.
    pub fn advance(&self, seconds: i64) {
        self.clock.advance(seconds);
    }

    /// Sends the mails that are due, as the program does each second, and gives all that were sent, the
    /// oldest first.
    pub async fn mails(&self) -> Vec<Mail> {
        let post = &self.core.people.post;
        while post
            .deliver()
            .await
            .expect("the tests' own database is there")
            > 0
        {}
        Mail::all_in(&self.outbox.path().join("outbox"))
    }

    /// Writes what was counted, as the program does each second.
    pub async fn flush(&self) {
        let flushed = self.core.verifier.flush().await;
        flushed.expect("the tests' own database takes rows");
    }
}

/// Runs a test's body on an app over that engine.
pub fn run(engine: Engine, body: impl AsyncFnOnce(TestApp)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a test may start threads");
    runtime.block_on(async { body(TestApp::with(engine).await).await });
}

/// Makes of one body two tests, one on each engine.
///
/// ```
/// use claviger_testkit::on_both_engines;
///
/// on_both_engines!(a_revoked_key_is_refused, async |app| {
///     let tenant = app.tenant("Acme").await;
///     assert!(tenant.owner().starts_with("live_access_"));
/// });
/// ```
#[macro_export]
macro_rules! on_both_engines {
    ($name:ident, async |$app:ident| $body:block) => {
        mod $name {
            use super::*;

            #[test]
            fn on_sqlite() {
                $crate::run($crate::Engine::Sqlite, async |$app: $crate::TestApp| $body);
            }

            #[test]
            fn on_postgres() {
                $crate::run($crate::Engine::Postgres, async |$app: $crate::TestApp| {
                    $body
                });
            }
        }
    };
}
