//! Every operation of the document, as the coverage tests call it.

use claviger_testkit::{Tenant, TestApp, TestRequest};
use serde_json::{Value, json};

/// One operation: what it needs, what it answers, and how it is asked about a tenant's objects.
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// The row of the published table; none where no credential is needed.
    pub(crate) permission: Option<&'static str>,
    pub(crate) success: u16,
    pub(crate) body: fn(&Objects) -> Value,
    pub(crate) kind: Kind,
}

/// What a foreign tenant's objects come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// There is nothing of a tenant in it.
    Plain,
    /// It answers a list, without them.
    List,
    /// It answers 404.
    Object,
    /// It answers 200 and says `NOT_FOUND`.
    Verification,
}

/// Objects of one tenant, made anew for each call, so that no call meets what another left.
pub(crate) struct Objects {
    pub(crate) account: String,
    pub(crate) project: String,
    pub(crate) child: String,
    pub(crate) key_id: String,
    pub(crate) key: String,
    pub(crate) access_key_id: String,
    pub(crate) grant_id: String,
    pub(crate) webhook: String,
    pub(crate) delivery: String,
}

impl Objects {
    pub(crate) async fn of(app: &TestApp, tenant: &Tenant) -> Self {
        let project = tenant.project.id.to_string();
        let webhook = webhook_of(app, tenant).await;
        let key = app.api_key(tenant, json!({})).await;
        let access_key = app
            .request("POST", "/access-keys")
            .key(tenant.owner())
            .json(json!({"name": "target", "role": "viewer", "projectId": project}))
            .send()
            .await
            .expect(201);
        let child = app
            .request("POST", "/accounts")
            .key(tenant.owner())
            .json(json!({"name": "child"}))
            .send()
            .await
            .expect(201);
        let text = |value: &Value| value.as_str().expect("ids and keys are text").to_owned();
        Self {
            account: tenant.account.id.to_string(),
            child: text(&child["id"]),
            key_id: text(&key["id"]),
            key: text(&key["key"]),
            grant_id: grant_of(app, &project, &text(&access_key["id"])).await,
            project,
            access_key_id: text(&access_key["id"]),
            delivery: delivery_of(app, tenant, &webhook).await,
            webhook,
        }
    }

    /// Ids of the right kind that name nothing.
    pub(crate) fn unknown() -> Self {
        let id = |prefix| format!("{prefix}_zzzzzzzzzzzzzzzzzzzz");
        Self {
            account: id("acc"),
            project: id("prj"),
            child: id("acc"),
            key_id: "key_zzzzzzzzzzzzzzzz".to_owned(),
            key: format!("live_{}", "z".repeat(64)),
            access_key_id: "ack_zzzzzzzzzzzzzzzz".to_owned(),
            grant_id: id("rvg"),
            webhook: id("whk"),
            delivery: id("dlv"),
        }
    }
}

/// Grants an access key the keys of a project, which can be read back from then on.
async fn grant_of(app: &TestApp, project: &str, access_key: &str) -> String {
    let path = format!("/projects/{project}");
    let operator = app.operator_key.expose();
    let storage = app.request("PATCH", &path).key(operator);
    let storage = storage.json(json!({"keyStorage": "recoverable"}));
    storage.send().await.expect(200);
    let until = app.core.now().plus_seconds(60);
    let grant = app.request("POST", &format!("{path}/reveal-grants"));
    let grant = grant
        .key(operator)
        .json(json!({"accessKeyId": access_key, "expiresAt": until}));
    let grant = grant.send().await.expect(201);
    grant["id"].as_str().expect("ids are text").to_owned()
}

/// A webhook of the tenant's project: the one that is left of an earlier call, since an account has
/// a hundred at most.
async fn webhook_of(app: &TestApp, tenant: &Tenant) -> String {
    let list = app.request("GET", "/webhooks").key(tenant.owner());
    let listed = list.send().await.expect(200);
    let mut webhook = listed.get(0).cloned().unwrap_or_default();
    if webhook.is_null() {
        let body = json!({"url": "http://127.0.0.1:9/", "topic": "api-key.created",
            "projectId": tenant.project.id});
        let create = app.request("POST", "/webhooks").key(tenant.owner());
        webhook = create.json(body).send().await.expect(201);
    }
    webhook["id"].as_str().expect("ids are text").to_owned()
}

/// The delivery to it of the key that was made last.
async fn delivery_of(app: &TestApp, tenant: &Tenant, webhook: &str) -> String {
    app.fan_out().await;
    let path = format!("/webhooks/{webhook}/deliveries?limit=1");
    let list = app.request("GET", &path).key(tenant.owner());
    let deliveries = list.send().await.expect(200);
    deliveries[0]["id"]
        .as_str()
        .expect("ids are text")
        .to_owned()
}

impl Operation {
    /// The request about those objects, without a credential.
    pub(crate) fn request(&self, app: &TestApp, objects: &Objects) -> TestRequest {
        let path = self
            .path
            .replace("{account}", &objects.account)
            .replace("{project}", &objects.project)
            .replace("{child}", &objects.child)
            .replace("{key_id}", &objects.key_id)
            .replace("{key}", &objects.key)
            .replace("{access_key}", &objects.access_key_id)
            .replace("{grant}", &objects.grant_id)
            .replace("{webhook}", &objects.webhook)
            .replace("{delivery}", &objects.delivery);
        let request = app.request(self.method, &path);
        match (self.body)(objects) {
            Value::Null => request,
            body => request.json(body),
        }
    }
}

const fn operation(
    id: &'static str,
    method: &'static str,
    path: &'static str,
    permission: &'static str,
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
        body,
        kind,
    }
}

const NOTHING: fn(&Objects) -> Value = |_| Value::Null;

/// All operations of the document; one that is not here fails a test that names it.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "describeService",
        method: "GET",
        path: "/",
        permission: None,
        success: 200,
        body: NOTHING,
        kind: Kind::Plain,
    },
    operation(
        "listApiKeys",
        "GET",
        "/api-keys?projectId={project}",
        "keys:read",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "createApiKey",
        "POST",
        "/api-keys",
        "keys:write",
        201,
        Kind::Object,
        |objects| json!({"name": "made", "projectId": objects.project}),
    ),
    operation(
        "importApiKeys",
        "POST",
        "/api-keys/import",
        "keys:write",
        201,
        Kind::Object,
        |objects| json!({"projectId": objects.project, "keys": [{"name": "moved", "key": "moved-here-1"}]}),
    ),
    operation(
        "showApiKey",
        "GET",
        "/api-keys/{key_id}",
        "keys:read",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "updateApiKey",
        "PATCH",
        "/api-keys/{key_id}",
        "keys:write",
        200,
        Kind::Object,
        |_| json!({"name": "changed"}),
    ),
    operation(
        "revokeApiKey",
        "DELETE",
        "/api-keys/{key_id}",
        "keys:write",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "reactivateApiKey",
        "PATCH",
        "/api-keys/{key_id}/reactivate",
        "keys:write",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "rotateApiKey",
        "POST",
        "/api-keys/{key_id}/rotate",
        "keys:write",
        201,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "explainApiKey",
        "POST",
        "/api-keys/{key_id}/auth",
        "keys:read",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "explainApiKeyByQuery",
        "GET",
        "/api-keys/{key_id}/auth",
        "keys:read",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "authenticateApiKey",
        "POST",
        "/api-keys/auth/{key}",
        "keys:check",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "authenticateApiKeyByPath",
        "GET",
        "/api-keys/auth/{key}",
        "keys:check",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "authenticateApiKeyByQuery",
        "GET",
        "/api-keys/auth?key={key}",
        "keys:check",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "verifyApiKey",
        "POST",
        "/api-keys/verify",
        "keys:check",
        200,
        Kind::Verification,
        |objects| json!({"key": objects.key}),
    ),
    operation(
        "verifyApiKeys",
        "POST",
        "/api-keys/verify/batch",
        "keys:check",
        200,
        Kind::Verification,
        |objects| json!({"keys": [{"key": objects.key}]}),
    ),
    operation(
        "authenticate",
        "POST",
        "/auth/authenticate",
        "keys:check",
        201,
        Kind::Object,
        |objects| json!({"credentials": {"api_key": objects.key}}),
    ),
    operation(
        "listProjects",
        "GET",
        "/projects?accountId={account}",
        "projects:read",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "createProject",
        "POST",
        "/projects",
        "projects:write",
        201,
        Kind::Object,
        |objects| json!({"name": "made", "accountId": objects.account}),
    ),
    operation(
        "showProject",
        "GET",
        "/projects/{project}",
        "projects:read",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "updateProject",
        "PATCH",
        "/projects/{project}",
        "projects:write",
        200,
        Kind::Object,
        |_| json!({"name": "changed"}),
    ),
    operation(
        "deleteProject",
        "DELETE",
        "/projects/{project}",
        "projects:delete",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "listRevealGrants",
        "GET",
        "/projects/{project}/reveal-grants",
        "audit:read",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "createRevealGrant",
        "POST",
        "/projects/{project}/reveal-grants",
        "keys:reveal grant",
        201,
        Kind::Object,
        |objects| json!({"accessKeyId": objects.access_key_id, "expiresAt": "2030-01-20"}),
    ),
    operation(
        "deleteRevealGrant",
        "DELETE",
        "/projects/{project}/reveal-grants/{grant}",
        "projects:write",
        204,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "listAccounts",
        "GET",
        "/accounts",
        "accounts:read",
        200,
        Kind::List,
        NOTHING,
    ),
    operation(
        "createAccount",
        "POST",
        "/accounts",
        "accounts:create",
        201,
        Kind::Plain,
        |_| json!({"name": "made"}),
    ),
    operation(
        "showAccount",
        "GET",
        "/accounts/{account}",
        "accounts:read",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "updateAccount",
        "PATCH",
        "/accounts/{account}",
        "accounts:write",
        200,
        Kind::Object,
        |_| json!({"name": "changed"}),
    ),
    operation(
        "deleteAccount",
        "DELETE",
        "/accounts/{child}",
        "accounts:delete",
        204,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "listAccessKeys",
        "GET",
        "/access-keys?accountId={account}",
        "access-keys:read",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "createAccessKey",
        "POST",
        "/access-keys",
        "access-keys:write",
        201,
        Kind::Object,
        |objects| json!({"name": "made", "role": "viewer", "projectId": objects.project}),
    ),
    operation(
        "updateAccessKey",
        "PATCH",
        "/access-keys/{access_key}",
        "access-keys:write",
        200,
        Kind::Object,
        |_| json!({"name": "changed"}),
    ),
    operation(
        "deleteAccessKey",
        "DELETE",
        "/access-keys/{access_key}",
        "access-keys:write",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "reactivateAccessKey",
        "PATCH",
        "/access-keys/{access_key}/reactivate",
        "access-keys:write",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "rotateAccessKey",
        "POST",
        "/access-keys/{access_key}/rotate",
        "access-keys:write",
        201,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "listWebhooks",
        "GET",
        "/webhooks?accountId={account}&projectId={project}",
        "webhooks:read",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "createWebhook",
        "POST",
        "/webhooks",
        "webhooks:write",
        201,
        Kind::Object,
        |objects| {
            json!({"url": "http://127.0.0.1:9/", "topic": "api-key.created",
            "projectId": objects.project})
        },
    ),
    operation(
        "listWebhookTopics",
        "GET",
        "/webhooks/topics",
        "webhooks:read",
        200,
        Kind::Plain,
        NOTHING,
    ),
    operation(
        "pingWebhook",
        "POST",
        "/webhooks/ping",
        "webhooks:write",
        200,
        Kind::Object,
        |objects| json!({"id": objects.webhook}),
    ),
    operation(
        "showWebhook",
        "GET",
        "/webhooks/{webhook}",
        "webhooks:read",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "updateWebhook",
        "PATCH",
        "/webhooks/{webhook}",
        "webhooks:write",
        200,
        Kind::Object,
        |_| json!({"status": "paused"}),
    ),
    operation(
        "deleteWebhook",
        "DELETE",
        "/webhooks/{webhook}",
        "webhooks:write",
        204,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "rotateWebhookSecret",
        "POST",
        "/webhooks/{webhook}/rotate-secret",
        "webhooks:write",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "listWebhookDeliveries",
        "GET",
        "/webhooks/{webhook}/deliveries",
        "webhooks:read",
        200,
        Kind::Object,
        NOTHING,
    ),
    operation(
        "replayWebhookDeliveries",
        "POST",
        "/webhooks/{webhook}/deliveries/replay",
        "webhooks:write",
        200,
        Kind::Object,
        |_| json!({"from": "2020-01-01"}),
    ),
    operation(
        "replayWebhookDelivery",
        "POST",
        "/webhooks/{webhook}/deliveries/{delivery}/replay",
        "webhooks:write",
        200,
        Kind::Object,
        NOTHING,
    ),
];
