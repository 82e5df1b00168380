//! Every operation of the gateway's document, as the tests that go through all of them call it.

mod objects;

use claviger_domain::permission::Permission;
use claviger_testkit::{PUBLIC_HOST, TestApp, TestRequest};
use serde_json::{Value, json};

pub(crate) use self::objects::{Kind, Objects};

/// One operation: what it needs, what it answers, and how it is asked about a tenant's objects.
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) method: &'static str,
    /// As the document has it.
    pub(crate) path: &'static str,
    /// None where it is no role that opens it.
    pub(crate) permission: Option<Permission>,
    pub(crate) success: u16,
    pub(crate) kind: Kind,
    pub(crate) body: fn(&Objects) -> Value,
}

impl Operation {
    /// The request about those objects, without the credential of an account.
    pub(crate) fn request(&self, app: &TestApp, objects: &Objects) -> TestRequest {
        self.request_with(app, objects, None)
    }

    /// The same with one more parameter of the query.
    pub(crate) fn request_with(
        &self,
        app: &TestApp,
        objects: &Objects,
        parameter: Option<(&str, &str)>,
    ) -> TestRequest {
        let id = match self.id {
            "deleteLink" => &objects.link,
            "callCustom" => "refund",
            id if id.starts_with("call") => "o1",
            _ => &objects.connected,
        };
        let connector = match self.id {
            "deleteConnector" => &objects.unused,
            _ => &objects.connector,
        };
        let path = self
            .path
            .replace("{id}", id)
            .replace("{server}", &objects.server)
            .replace("{slug}", connector)
            .replace("{token}", &objects.token)
            .replace("{resource}", "orders")
            .replace("{path}", "orders");
        let is_call = self.id.starts_with("call");
        let over = is_call.then_some(("integrated_account_id", objects.connected.as_str()));
        let query = over.or(parameter);
        let query = query.map(|(name, value)| format!("?{name}={value}"));
        let mut request = app.request(self.method, &(path + &query.unwrap_or_default()));
        if self.path.starts_with("/mcp") {
            request = request.header("host", PUBLIC_HOST);
        }
        if self.id == "speakMcpByBearer" {
            request = request.bearer(&objects.token);
        }
        match (self.body)(objects) {
            Value::Null => request,
            body => request.json(body),
        }
    }
}

const fn operation(
    id: &'static str,
    (method, path): (&'static str, &'static str),
    permission: Permission,
    success: u16,
    kind: Kind,
    body: fn(&Objects) -> Value,
) -> Operation {
    Operation {
        id,
        method,
        path,
        permission: Some(permission),
        success,
        kind,
        body,
    }
}

/// An operation that the secret of an MCP server opens.
const fn protocol(id: &'static str, path: &'static str) -> Operation {
    Operation {
        id,
        method: "POST",
        path,
        permission: None,
        success: 200,
        kind: Kind::Plain,
        body: |_| json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }),
    }
}

const NOTHING: fn(&Objects) -> Value = |_| Value::Null;
const ORDER: fn(&Objects) -> Value = |_| json!({ "sku": "cup" });

const ACCOUNTS: &str = "/integrated-account";
const ACCOUNT: &str = "/integrated-account/{id}";
const SERVERS: &str = "/integrated-account/{id}/mcp";
const SERVER: &str = "/integrated-account/{id}/mcp/{server}";
const CONNECTOR: &str = "/integration/{slug}";
const CLIENT: &str = "/integration/{slug}/oauth-client";
const ONE: &str = "/proxy/{resource}/{id}";
const RAW: &str = "/custom/{path}";

use Kind::{List, Object, Placed};
use Permission::{
    AccountsRead, AccountsWrite, ConnectedAccountsRead, ConnectedAccountsWrite, ConnectorsRead,
    ConnectorsWrite, CustomCall, LogsRead, McpRead, McpWrite, ProxyRead, ProxyWrite,
};

/// All operations of the document; one that is not here fails a test that names it.
pub(crate) const OPERATIONS: &[Operation] = &[
    operation(
        "listConnectedAccounts",
        ("GET", ACCOUNTS),
        ConnectedAccountsRead,
        200,
        List,
        NOTHING,
    ),
    operation(
        "createConnectedAccount",
        ("POST", ACCOUNTS),
        ConnectedAccountsWrite,
        201,
        Placed,
        |objects| {
            json!({
                "integration": objects.connector, "tenant_id": "t", "authentication_method": "api_key",
                "context": { "host": objects.host }, "credentials": { "key": "of-cups" },
            })
        },
    ),
    operation(
        "refreshCredentials",
        ("POST", "/integrated-account/refresh-credentials"),
        ConnectedAccountsWrite,
        200,
        Object,
        |objects| json!({ "id": objects.connected }),
    ),
    operation(
        "showConnectedAccount",
        ("GET", ACCOUNT),
        ConnectedAccountsRead,
        200,
        Object,
        NOTHING,
    ),
    operation(
        "updateConnectedAccount",
        ("PATCH", ACCOUNT),
        ConnectedAccountsWrite,
        200,
        Object,
        |_| json!({ "tenant_id": "of another name" }),
    ),
    operation(
        "deleteConnectedAccount",
        ("DELETE", ACCOUNT),
        ConnectedAccountsWrite,
        204,
        Object,
        NOTHING,
    ),
    operation(
        "changeCredentials",
        ("PATCH", "/integrated-account/{id}/credentials"),
        ConnectedAccountsWrite,
        200,
        Object,
        |_| json!({ "credentials": { "key": "of-later" } }),
    ),
    operation(
        "listTools",
        ("GET", "/integrated-account/{id}/tools"),
        ConnectedAccountsRead,
        200,
        Object,
        NOTHING,
    ),
    operation(
        "showConnectedAccountCapabilities",
        ("GET", "/integrated-account/{id}/capabilities"),
        ConnectedAccountsRead,
        200,
        Object,
        NOTHING,
    ),
    operation(
        "listConnectors",
        ("GET", "/integration"),
        ConnectorsRead,
        200,
        List,
        NOTHING,
    ),
    operation(
        "createConnector",
        ("POST", "/integration"),
        ConnectorsWrite,
        201,
        Placed,
        |objects| objects.another_connector.clone(),
    ),
    operation(
        "showConnector",
        ("GET", CONNECTOR),
        ConnectorsRead,
        200,
        Object,
        NOTHING,
    ),
    operation(
        "updateConnector",
        ("PATCH", CONNECTOR),
        ConnectorsWrite,
        200,
        Object,
        |_| json!({ "label": "Cups and more" }),
    ),
    operation(
        "deleteConnector",
        ("DELETE", CONNECTOR),
        ConnectorsWrite,
        204,
        Object,
        NOTHING,
    ),
    operation(
        "showConnectorCapabilities",
        ("GET", "/integration/{slug}/capabilities"),
        ConnectorsRead,
        200,
        Object,
        NOTHING,
    ),
    operation(
        "listMcpServers",
        ("GET", SERVERS),
        McpRead,
        200,
        Object,
        NOTHING,
    ),
    operation(
        "createMcpServer",
        ("POST", SERVERS),
        McpWrite,
        201,
        Object,
        |_| json!({ "name": "Agent" }),
    ),
    operation(
        "showMcpServer",
        ("GET", SERVER),
        McpRead,
        200,
        Object,
        NOTHING,
    ),
    operation(
        "updateMcpServer",
        ("PATCH", SERVER),
        McpWrite,
        200,
        Object,
        |_| json!({ "config": { "methods": ["read"], "secrets": "seal" } }),
    ),
    operation(
        "deleteMcpServer",
        ("DELETE", SERVER),
        McpWrite,
        204,
        Object,
        NOTHING,
    ),
    operation(
        "rotateMcpServer",
        ("POST", "/integrated-account/{id}/mcp/{server}/rotate-token"),
        McpWrite,
        200,
        Object,
        NOTHING,
    ),
    operation(
        "showClientConfig",
        ("GET", "/integrated-account/{id}/mcp/{server}/client-config"),
        McpRead,
        200,
        Object,
        NOTHING,
    ),
    operation(
        "showOAuthClient",
        ("GET", CLIENT),
        ConnectorsRead,
        200,
        Object,
        NOTHING,
    ),
    operation(
        "setOAuthClient",
        ("PUT", CLIENT),
        ConnectorsWrite,
        200,
        Object,
        |_| json!({ "client_id": "cups-1", "client_secret": "of-cups" }),
    ),
    operation(
        "deleteOAuthClient",
        ("DELETE", CLIENT),
        ConnectorsWrite,
        204,
        Object,
        NOTHING,
    ),
    operation(
        "listLinks",
        ("GET", "/link-token"),
        ConnectedAccountsRead,
        200,
        List,
        NOTHING,
    ),
    operation(
        "createLink",
        ("POST", "/link-token"),
        ConnectedAccountsWrite,
        201,
        Placed,
        |_| json!({ "tenant_id": "customer" }),
    ),
    operation(
        "deleteLink",
        ("DELETE", "/link-token/{id}"),
        ConnectedAccountsWrite,
        204,
        Object,
        NOTHING,
    ),
    operation(
        "showLinkSettings",
        ("GET", "/link-settings"),
        AccountsRead,
        200,
        Placed,
        NOTHING,
    ),
    operation(
        "setLinkSettings",
        ("PUT", "/link-settings"),
        AccountsWrite,
        200,
        Placed,
        |_| json!({ "origins": ["https://app.example.com"] }),
    ),
    operation("listCalls", ("GET", "/log"), LogsRead, 200, List, NOTHING),
    operation(
        "callList",
        ("GET", "/proxy/{resource}"),
        ProxyRead,
        200,
        Object,
        NOTHING,
    ),
    operation(
        "callCreate",
        ("POST", "/proxy/{resource}"),
        ProxyWrite,
        200,
        Object,
        ORDER,
    ),
    operation("callGet", ("GET", ONE), ProxyRead, 200, Object, NOTHING),
    operation(
        "callUpdate",
        ("PATCH", ONE),
        ProxyWrite,
        200,
        Object,
        |_| json!({}),
    ),
    operation(
        "callDelete",
        ("DELETE", ONE),
        ProxyWrite,
        200,
        Object,
        NOTHING,
    ),
    operation(
        "callCustom",
        ("POST", ONE),
        ProxyWrite,
        200,
        Object,
        |_| json!({ "id": "o1" }),
    ),
    operation(
        "callUpstreamGet",
        ("GET", RAW),
        CustomCall,
        200,
        Object,
        NOTHING,
    ),
    operation(
        "callUpstreamPost",
        ("POST", RAW),
        CustomCall,
        200,
        Object,
        ORDER,
    ),
    operation(
        "callUpstreamPut",
        ("PUT", RAW),
        CustomCall,
        200,
        Object,
        ORDER,
    ),
    operation(
        "callUpstreamPatch",
        ("PATCH", RAW),
        CustomCall,
        200,
        Object,
        ORDER,
    ),
    operation(
        "callUpstreamDelete",
        ("DELETE", RAW),
        CustomCall,
        200,
        Object,
        NOTHING,
    ),
    protocol("speakMcp", "/mcp/{token}"),
    protocol("speakMcpByBearer", "/mcp"),
];
