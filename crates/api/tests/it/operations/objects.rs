//! The objects of a tenant that operations are asked about.

use claviger_domain::email::Email;
use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::role::Role;
use claviger_store::StoreError;
use claviger_store::notifications::{self, News};
use claviger_store::one_time_codes::{self, CodePurpose, NewCode};
use claviger_testkit::{IdentityProvider, Person, Tenant, TestApp};
use serde_json::{Value, json};

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
    pub(crate) notification: String,
    pub(crate) invitation: String,
    /// Somebody who holds a role on the account.
    pub(crate) user: Person,
    /// A code that was mailed to them.
    pub(crate) sign_in_code: String,
    /// A token of the Firebase project that is theirs.
    pub(crate) id_token: String,
    /// An address that nobody has yet.
    pub(crate) new_email: String,
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
        let user = app.person(&tenant.account, Role::Developer).await;
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
            notification: notification_of(app, tenant).await,
            invitation: invitation_of(app, tenant).await,
            sign_in_code: sign_in_code(app, &user).await,
            id_token: IdentityProvider::token(&IdentityProvider::claims(
                app.core.now(),
                user.id.as_str(),
                &user.email,
            )),
            user,
            new_email: new_email(app),
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
            notification: id("ntf"),
            invitation: id("inv"),
            user: Person {
                id: Id::from_trusted(id("usr")),
                email: "nobody@example.com".to_owned(),
                access: String::new(),
                refresh: String::new(),
            },
            sign_in_code: "signin_no".to_owned(),
            id_token: "a.b.c".to_owned(),
            new_email: "nobody@example.com".to_owned(),
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

/// Something that the people of the tenant's project are told.
async fn notification_of(app: &TestApp, tenant: &Tenant) -> String {
    let news = News {
        account: tenant.account.reference(),
        project: Some(tenant.project.id.clone()),
        kind: "webhook.disabled",
        title: "Look here".to_owned(),
        body: "Something happened.".to_owned(),
        once: None,
    };
    let change = app.core.change(&Actor::System);
    let told = app.core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move { notifications::tell(tx, &change, news).await })
    });
    assert!(told.await.expect("the tests' own database takes rows"));
    let list = app.request("GET", "/notifications").key(tenant.owner());
    let told = list.send().await.expect(200);
    told[0]["id"].as_str().expect("ids are text").to_owned()
}

/// An invitation into the tenant's account: one that is left of an earlier call, since an account makes
/// a hundred a day at most.
async fn invitation_of(app: &TestApp, tenant: &Tenant) -> String {
    let list = app.request("GET", "/invitations?status=pending");
    let listed = list.key(tenant.owner()).send().await.expect(200);
    let mut invitation = listed.get(0).cloned().unwrap_or_default();
    if invitation.is_null() {
        let body = json!({"email": new_email(app), "role": "viewer"});
        let create = app.request("POST", "/invitations").key(tenant.owner());
        invitation = create.json(body).send().await.expect(201);
    }
    invitation["id"].as_str().expect("ids are text").to_owned()
}

fn new_email(app: &TestApp) -> String {
    let id = Id::<id::User>::draw(&*app.core.random);
    format!("{}@example.com", id.as_str().replace('_', "-"))
}

/// Stores a code as asking for one does, without the mail.
async fn sign_in_code(app: &TestApp, user: &Person) -> String {
    let token = format!("signin_{}", user.id.as_str().trim_start_matches("usr_"));
    let new = NewCode {
        email: Email::parse(&user.email).expect("theirs is one"),
        purpose: CodePurpose::SignIn,
        code: None,
        token: app.core.verifier.digest(&token),
    };
    let change = app.core.change(&Actor::System);
    let made = app.core.db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move { one_time_codes::create(tx, &change, &new).await })
    });
    made.await.expect("the tests' own database takes rows");
    token
}
