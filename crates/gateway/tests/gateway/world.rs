//! A running gateway over the real API, on a database of its own, without a socket: time stands still
//! until a test moves it, and randomness is counted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{DrawnKey, Environment, KeyPurpose};
use claviger_domain::random::Random;
use claviger_domain::role::Role;
use claviger_domain::time::{Clock, Timestamp};
use claviger_edge::Core;
use claviger_gateway::mcp::hosts::Hosts;
use claviger_gateway::{Gateway, Settings};
use claviger_store::access_keys::{self, AccessKey};
use claviger_store::accounts::{self, Account};
use claviger_store::connected_accounts::{self, ConnectedAccount};
use claviger_store::projects::{self, Project};
use claviger_store::sealing::{MasterKey, Purpose};
use claviger_store::{Base, Db, Location, StoreError, operator_keys, secrets};
use claviger_verify::Verifier;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower::ServiceExt;

/// 2026-11-21T10:00:00Z.
const BEGIN: i64 = 1_795_255_200_000_000;

/// A clock that stands still, or that moves by itself each time it is read.
#[derive(Default)]
struct StoodClock {
    now: AtomicI64,
    step: AtomicI64,
}

impl Clock for StoodClock {
    fn now(&self) -> Timestamp {
        let step = self.step.load(Ordering::SeqCst);
        Timestamp::from_micros(self.now.fetch_add(step, Ordering::SeqCst))
    }
}

/// Every draw differs, and every run is the same.
struct Counted(AtomicU64);

impl Random for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let number = self.0.fetch_add(1, Ordering::SeqCst);
            let digest = Sha256::digest(number.to_be_bytes());
            chunk.copy_from_slice(&digest[..chunk.len()]);
        }
    }
}

pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) account: Account,
    pub(crate) project: Project,
    /// The connected account, whose stored credential is an owner's.
    pub(crate) connected: Id<id::ConnectedAccount>,
    /// An owner's access key.
    pub(crate) owner: String,
    clock: Arc<StoodClock>,
    master: Arc<MasterKey>,
    routes: Router,
    _folder: TempDir,
}

/// What a request was answered with.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A key that was made.
pub(crate) struct Made {
    pub(crate) id: Id<id::AccessKey>,
    pub(crate) plain: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_upstream(|auth_api| auth_api).await
    }

    /// A world whose gateway calls what `upstream` makes of The Auth API.
    pub(crate) async fn with_upstream(upstream: impl FnOnce(Router) -> Router) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&Location::Folder(folder.path().to_owned()))
            .await
            .unwrap();
        let clock = Arc::new(StoodClock {
            now: AtomicI64::new(BEGIN),
            ..StoodClock::default()
        });
        let random: Arc<dyn Random> = Arc::new(Counted(AtomicU64::new(0)));
        let master = Arc::new(MasterKey::new([7; 32]));
        let pepper = secrets::pepper(&db, &master, &*random, clock.now())
            .await
            .unwrap();
        let verifier = Verifier::start(claviger_verify::Settings {
            db: db.clone(),
            pepper,
            clock: clock.clone(),
            random: Arc::clone(&random),
        })
        .await
        .unwrap();
        let core = Core {
            db,
            verifier,
            clock: clock.clone(),
            random,
            remote_operator: true,
        };
        let auth_api = claviger_api::router(&core);
        let gateway = Gateway::start(Settings {
            core: core.clone(),
            master: Arc::clone(&master),
            auth_api: upstream(claviger_edge::wrap(&core, auth_api.clone())),
            document: claviger_api::document().to_string().into_bytes(),
            hosts: Hosts::new(None, "127.0.0.1:8420".parse().unwrap()),
            public_url: "http://127.0.0.1:8420".to_owned(),
        })
        .unwrap();
        let routes = claviger_edge::wrap(&core, auth_api.merge(claviger_gateway::router(&gateway)));
        let (account, project) = make_account(&core, "Acme").await;
        let mut world = Self {
            connected: Id::from_trusted(""),
            owner: String::new(),
            core,
            account,
            project,
            clock,
            master,
            routes,
            _folder: folder,
        };
        let account = world.account.clone();
        world.owner = world.access_key(&account, Role::Owner, None).await.plain;
        let stored = world.access_key(&account, Role::Owner, None).await.plain;
        world.connected = world.connect(&account, &stored).await;
        world
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, seconds: i64) {
        self.clock
            .now
            .fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// Lets that many seconds pass each time the clock is read; none lets it stand still again.
    pub(crate) fn hurry(&self, seconds: i64) {
        self.clock.step.store(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// Another account, with a project.
    pub(crate) async fn account(&self, name: &str) -> (Account, Project) {
        make_account(&self.core, name).await
    }

    /// An access key of an account, or of projects of it.
    pub(crate) async fn access_key(
        &self,
        account: &Account,
        role: Role,
        projects: Option<BTreeSet<Id<id::Project>>>,
    ) -> Made {
        let change = self.core.change(&Actor::System);
        let DrawnKey { plain, public } =
            KeyPurpose::AccessKey(Environment::Live).draw(&*self.core.random);
        let id = Id::<id::AccessKey>::from_suffix(&public);
        let key = AccessKey {
            lineage: id.clone(),
            id: id.clone(),
            account: account.reference(),
            projects,
            name: "A key".to_owned(),
            role,
            environment: Environment::Live,
            is_active: true,
            rate_limit: None,
            expires_at: None,
            stops_at: None,
            rotated_from: None,
            rotated_to: None,
            base: Base::made_by(&change),
        };
        let digest = self.core.verifier.digest(plain.expose());
        self.core
            .db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move { access_keys::create(tx, &change, &key, &digest).await })
            })
            .await
            .unwrap();
        Made {
            id,
            plain: plain.expose().to_owned(),
        }
    }

    pub(crate) async fn operator_key(&self) -> String {
        let change = self.core.change(&Actor::System);
        let DrawnKey { plain, public } = KeyPurpose::Operator.draw(&*self.core.random);
        let digest = self.core.verifier.digest(plain.expose());
        self.core
            .db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move {
                    let id = Id::from_suffix(&public);
                    operator_keys::create(tx, &change, &id, &digest).await
                })
            })
            .await
            .unwrap();
        plain.expose().to_owned()
    }

    /// Connects the built-in connector to an account with that stored credential.
    pub(crate) async fn connect(
        &self,
        account: &Account,
        stored: &str,
    ) -> Id<id::ConnectedAccount> {
        let change = self.core.change(&Actor::System);
        let connected = ConnectedAccount {
            id: Id::draw(&*self.core.random),
            account: account.reference(),
            project: None,
            integration: "theauthapi".to_owned(),
            tenant_id: account.id.to_string(),
            authentication_method: "api_key".to_owned(),
            status: "active".to_owned(),
            base: Base::made_by(&change),
        };
        let id = connected.id.clone();
        let plain = json!({ "api_key": stored }).to_string();
        let random = &*self.core.random;
        let sealed = self
            .master
            .seal(Purpose::Credentials, id.as_str(), plain.as_bytes(), random);
        self.core
            .db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move {
                    connected_accounts::create(tx, &change, &connected, &sealed).await
                })
            })
            .await
            .unwrap();
        id
    }

    /// Listens on a port of this machine until the test ends, and answers where.
    pub(crate) async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = self.routes.clone();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        format!("http://{address}")
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{bytes:?}"))
        };
        Answered {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Sends a request with an access key.
    pub(crate) async fn ask(&self, key: &str, method: Method, path: &str, body: Value) -> Answered {
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-api-key", key);
        self.send(request.body(body).unwrap()).await
    }

    /// Sends a GET as the owner.
    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.ask(&self.owner, Method::GET, path, Value::Null).await
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/integrated-account/{}{rest}", self.connected)
    }

    /// Makes an MCP server as the owner, and answers its token.
    pub(crate) async fn server(&self, config: Value) -> (String, String) {
        let owner = self.owner.clone();
        self.server_of(&owner, config).await
    }

    /// Makes an MCP server as whoever holds the key: its id and its token.
    pub(crate) async fn server_of(&self, key: &str, config: Value) -> (String, String) {
        let body = json!({ "name": "Agent", "config": config });
        let made = self.ask(key, Method::POST, &self.path("/mcp"), body).await;
        assert_eq!(made.status, 201, "{:?}", made.body);
        let text = |member: &str| made.body[member].as_str().unwrap().to_owned();
        (text("id"), text("token"))
    }

    /// Posts a message to an MCP server.
    pub(crate) async fn post(
        &self,
        token: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answered {
        let mut request = Request::post(format!("/mcp/{token}")).header("host", "127.0.0.1:8420");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    /// Calls a tool: the envelope, or the error that a model reads.
    pub(crate) async fn call(
        &self,
        token: &str,
        name: &str,
        arguments: Value,
    ) -> Result<Value, Value> {
        let answer = self.post(token, &[], &call_message(name, &arguments)).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        outcome(&answer.body)
    }
}

pub(crate) fn call_message(name: &str, arguments: &Value) -> Value {
    let params = json!({ "name": name, "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })
}

/// What an answer to `tools/call` comes to.
pub(crate) fn outcome(answer: &Value) -> Result<Value, Value> {
    let result = &answer["result"];
    let text = result["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    let told: Value = serde_json::from_str(text).unwrap();
    if result["isError"] == true {
        return Err(told);
    }
    assert_eq!(told, result["structuredContent"]);
    Ok(told)
}

async fn make_account(core: &Core, name: &str) -> (Account, Project) {
    let change = core.change(&Actor::System);
    let name = name.to_owned();
    core.db
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                let account = accounts::create(tx, &change, &name, None).await?;
                let live = Environment::Live;
                let project = projects::create(tx, &change, &account, "Main", live).await?;
                Ok((account, project))
            })
        })
        .await
        .unwrap()
}
