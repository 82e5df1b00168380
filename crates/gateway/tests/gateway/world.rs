//! A program with one tenant, and the short ways in which these tests make servers and call tools.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::Request;
use axum::{Router, middleware};
use claviger_domain::id::{self, Id};
use claviger_domain::role::Role;
use claviger_store::accounts::Account;
use claviger_store::projects::Project;
use claviger_testkit::{MadeAccessKey, PUBLIC_HOST, TestApp, TestResponse};
use http::{HeaderValue, Method, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) account: Account,
    pub(crate) project: Project,
    /// The connected account, whose stored credential is an owner's.
    pub(crate) connected: Id<id::ConnectedAccount>,
    /// An owner's access key.
    pub(crate) owner: String,
}

impl World {
    /// A world on the engine of this run.
    pub(crate) async fn new() -> Self {
        Self::of(TestApp::start().await).await
    }

    pub(crate) async fn of(app: TestApp) -> Self {
        let tenant = app.tenant("Acme").await;
        Self {
            owner: tenant.owner().to_owned(),
            account: tenant.account,
            project: tenant.project,
            connected: tenant.connected_account,
            app,
        }
    }

    /// A world whose tools call what `upstream` makes of The Auth API.
    pub(crate) async fn with_upstream(upstream: impl FnOnce(Router) -> Router) -> Self {
        let world = Self::new().await;
        world.app.change_upstream(upstream);
        world
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, seconds: i64) {
        self.app.advance(seconds);
    }

    /// Another account, with a project.
    pub(crate) async fn account(&self, name: &str) -> (Account, Project) {
        let tenant = self.app.tenant(name).await;
        (tenant.account, tenant.project)
    }

    /// An access key of an account, or of projects of it.
    pub(crate) async fn access_key(
        &self,
        account: &Account,
        role: Role,
        projects: Option<BTreeSet<Id<id::Project>>>,
    ) -> MadeAccessKey {
        self.app.access_key(account, role, projects).await
    }

    pub(crate) fn operator_key(&self) -> String {
        self.app.operator_key.expose().to_owned()
    }

    /// Connects the built-in connector to an account with that stored credential.
    pub(crate) async fn connect(
        &self,
        account: &Account,
        stored: &str,
    ) -> Id<id::ConnectedAccount> {
        self.app.connect(account, stored).await
    }

    /// Listens on a port of this machine until the test ends, and answers where. Clients that
    /// connect there ask for this machine; what stands in front of a program asks for its own name.
    pub(crate) async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let in_front = middleware::map_request(async |mut request: Request| {
            let host = HeaderValue::from_static(PUBLIC_HOST);
            request.headers_mut().insert(header::HOST, host);
            request
        });
        let routes = self.app.routes().layer(in_front);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        format!("http://{address}")
    }

    /// Sends a request with an access key.
    pub(crate) async fn ask(
        &self,
        key: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> TestResponse {
        let request = self.app.request(method.as_str(), path).key(key);
        if body.is_null() {
            request.send().await
        } else {
            request.body(body.to_string()).send().await
        }
    }

    /// Sends a GET as the owner.
    pub(crate) async fn get(&self, path: &str) -> TestResponse {
        self.ask(&self.owner, Method::GET, path, Value::Null).await
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/integrated-account/{}{rest}", self.connected)
    }

    /// Makes an MCP server as the owner: its id and its token.
    pub(crate) async fn server(&self, config: Value) -> (String, String) {
        self.server_of(&self.owner, config).await
    }

    /// Makes an MCP server as whoever holds the key: its id and its token.
    pub(crate) async fn server_of(&self, key: &str, config: Value) -> (String, String) {
        let body = json!({ "name": "Agent", "config": config });
        let made = self.ask(key, Method::POST, &self.path("/mcp"), body).await;
        let made = made.expect(201);
        let text = |member: &str| made[member].as_str().unwrap().to_owned();
        (text("id"), text("token"))
    }

    /// Posts a message to an MCP server.
    pub(crate) async fn post(
        &self,
        token: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> TestResponse {
        self.post_body(token, headers, body.to_string()).await
    }

    /// Posts a body to an MCP server, whatever it is.
    pub(crate) async fn post_body(
        &self,
        token: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> TestResponse {
        let mut request = self
            .app
            .request("POST", &format!("/mcp/{token}"))
            .header("host", PUBLIC_HOST);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(body).send().await
    }

    /// Calls a tool: the envelope, or the error that a model reads.
    pub(crate) async fn call(
        &self,
        token: &str,
        name: &str,
        arguments: Value,
    ) -> Result<Value, Value> {
        let answer = self.post(token, &[], &call_message(name, &arguments)).await;
        outcome(&answer.expect(200))
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
