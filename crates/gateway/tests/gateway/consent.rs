//! Connecting by consent: the authorization server is a stand-in on this machine, and a browser goes there
//! and comes back.

mod answers;
mod clients;
mod mixing;
mod renewing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_testkit::{Engine, Logs};
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::browser::{Browser, Shown, own_origin, query_of};
use crate::shop::{CANARY, Shop, answer, has_canary, in_both_shops};

/// What the account's client is called, and its secret.
const CLIENT: &str = "acme-app";
/// What answers have to say that they are from.
const ISSUER: &str = "https://login.example.com/";

/// What the stand-in was asked for at its consent page, and what it gave.
#[derive(Clone, Default)]
struct Provider(Arc<Mutex<Given>>);

#[derive(Default)]
struct Given {
    /// Challenges by code.
    codes: BTreeMap<String, String>,
    /// The refresh token that is taken, once.
    refresh: Option<String>,
    count: usize,
}

impl Provider {
    /// A provider in the place of the other API, which takes the tokens that it gave.
    fn of(shop: &Shop) -> Self {
        let provider = Self::default();
        let own = provider.clone();
        shop.says(move |received| {
            if received.path != "/oauth/token" {
                return answer(200, &json!([]));
            }
            let body = String::from_utf8_lossy(&received.body).into_owned();
            let (status, said) = own.token(&query_of(&format!("?{body}")));
            answer(status, &said)
        });
        provider
    }

    fn token(&self, asked: &BTreeMap<String, String>) -> (u16, Value) {
        let mut given = self.0.lock().unwrap();
        let refused = (
            400,
            json!({ "error": "invalid_grant", "error_description": CANARY }),
        );
        let is_good = match asked["grant_type"].as_str() {
            "authorization_code" => {
                let digest = Sha256::digest(&asked["code_verifier"]);
                let challenge = given.codes.remove(&asked["code"]);
                challenge.is_some_and(|it| it == URL_SAFE_NO_PAD.encode(digest))
            }
            _ => given.refresh.take().as_ref() == asked.get("refresh_token"),
        };
        if !is_good {
            return refused;
        }
        given.count += 1;
        let number = given.count;
        given.refresh = Some(format!("refresh-canary-{number}"));
        let token = json!({
            "access_token": format!("access-canary-{number}"), "token_type": "Bearer",
            "expires_in": 3600, "refresh_token": given.refresh,
        });
        (200, token)
    }

    /// Its user says yes: the answer, as the browser is sent back with it.
    fn consent(&self, onward: &str) -> String {
        let asked = query_of(onward);
        let mut given = self.0.lock().unwrap();
        let code = format!("code canary/{}", given.codes.len());
        given
            .codes
            .insert(code.clone(), asked["code_challenge"].clone());
        let code = code.replace(' ', "%20").replace('/', "%2F");
        let (state, iss) = (&asked["state"], "https%3A%2F%2Flogin.example.com%2F");
        let back = back(onward);
        format!("{back}?code={code}&state={state}&iss={iss}")
    }
}

/// The path to which whoever is asked sends the browser back.
fn back(onward: &str) -> String {
    let uri = &query_of(onward)["redirect_uri"];
    uri.strip_prefix(&own_origin()).unwrap().to_owned()
}

/// Brings a connector whose users consent, and registers the account's client there.
async fn bring_mail(shop: &Shop, slug: &str) {
    shop.bring(slug, mail(&shop.upstream.url)).await;
    register_client(shop, slug).await;
}

async fn register_client(shop: &Shop, slug: &str) {
    let client = json!({ "client_id": CLIENT, "client_secret": CANARY });
    let path = format!("/integration/{slug}/oauth-client");
    let put = shop.owner(Method::PUT, &path, client).await.expect(200);
    assert_eq!(put["client_secret"], "***");
}

/// The members of a connector whose users consent at that place.
fn mail(url: &str) -> Value {
    json!({
        "label": "Mail", "context": [], "base_url": format!("{url}/api"),
        "credentials": { "oauth2": {
            "authorization_url": format!("{url}/authorize"),
            "token_url": format!("{url}/oauth/token"),
            "scopes": ["orders.read", "orders.write"],
            "authorization_query": { "access_type": "offline" },
            "issuer": ISSUER,
            "validate": "orders.list",
        } },
    })
}

/// Makes a link and opens it on a connector: the page that sends the browser onward.
async fn sent_on(shop: &Shop, browser: &mut Browser, slug: &str, body: Value) -> (String, Shown) {
    let made = shop
        .owner(Method::POST, "/link-token", body)
        .await
        .expect(201);
    let token = made["link_token"].as_str().unwrap().to_owned();
    let query = format!("&integration={slug}");
    let shown = browser
        .follow(&shop.world.app, &token, &query)
        .await
        .expect(200);
    let form = shown.form().with("action", "connect");
    (
        token,
        browser.send(&shop.world.app, &form).await.expect(200),
    )
}

/// Connects a tenant: the id of the connected account.
async fn consented(shop: &Shop, provider: &Provider, slug: &str) -> String {
    let mut browser = Browser::default();
    let body = json!({ "tenant_id": "t" });
    let (_, onward) = sent_on(shop, &mut browser, slug, body).await;
    let back = provider.consent(&onward.onward().unwrap());
    let done = browser.open(&shop.world.app, &back).await.expect(200);
    let (told, _) = done.told();
    told["integrated_account_id"].as_str().unwrap().to_owned()
}

/// The requests for tokens, as the members of their bodies.
fn tokens(shop: &Shop) -> Vec<BTreeMap<String, String>> {
    let received = shop.upstream.received().into_iter();
    let asked = received.filter(|one| one.path == "/oauth/token");
    asked
        .map(|one| query_of(&format!("?{}", String::from_utf8_lossy(&one.body))))
        .collect()
}

async fn connected(shop: &Shop) -> Value {
    shop.world
        .get("/integrated-account?tenant_id=t")
        .await
        .expect(200)["result"]
        .clone()
}

in_both_shops!(a_customer_connects_by_consent, async |shop| {
    bring_mail(&shop, "mail").await;
    let provider = Provider::of(&shop);
    let app = &shop.world.app;
    let mut browser = Browser::default();
    let (_, page) = sent_on(&shop, &mut browser, "mail", json!({ "tenant_id": "t" })).await;
    let onward = page.onward().unwrap();
    assert!(
        onward.starts_with(&format!("{}/authorize?", shop.upstream.url)),
        "{onward}"
    );
    let asked = query_of(&onward);
    let path = "/integration/mail/oauth-client";
    let told = shop.owner(Method::GET, path, Value::Null).await.expect(200);
    let back_here = told["redirect_uri"].as_str().unwrap();
    assert!(back_here.ends_with("/mail"), "{back_here}");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", back_here),
        ("scope", "orders.read orders.write"),
        ("code_challenge_method", "S256"),
        ("access_type", "offline"),
    ] {
        assert_eq!(asked[name], value, "{onward}");
    }
    assert!(asked["state"].len() >= 43 && asked["code_challenge"].len() == 43);
    assert!(!has_canary(&page.text) && connected(&shop).await == json!([]));

    let back = provider.consent(&onward);
    let done = browser.open(app, &back).await.expect(200);
    assert_eq!(done.answer.header("referrer-policy"), "no-referrer");
    let made = connected(&shop).await;
    assert_eq!(done.told().0["integrated_account_id"], made[0]["id"]);
    assert_eq!(made[0]["status"], "active");
    let received = shop.upstream.received();
    let token = received
        .iter()
        .find(|one| one.path == "/oauth/token")
        .unwrap();
    assert!(token.header("authorization").starts_with("Basic "));
    let body = tokens(&shop).remove(0);
    assert_eq!(body["redirect_uri"], asked["redirect_uri"]);
    assert!(!body.contains_key("client_secret"));
    assert_eq!(
        received.last().unwrap().header("authorization"),
        "Bearer access-canary-1"
    );

    let id = made[0]["id"].as_str().unwrap();
    shop.get(id, "orders").await.expect(200);
    let path = format!("/proxy/orders?dry_run=true&integrated_account_id={id}");
    let masked = shop
        .owner(Method::GET, &path, Value::Null)
        .await
        .expect(200);
    let db = &app.core.db;
    let trail = claviger_store::events::of_account(db, &shop.world.account.id, 99)
        .await
        .unwrap();
    let trail: String = trail.into_iter().map(|event| event.data).collect();
    for told in [&done.text, &made.to_string(), &masked.to_string(), &trail] {
        assert!(
            !has_canary(told) && !told.contains(&asked["state"]),
            "{told}"
        );
    }
    // What an upstream tells of it is taken out.
    shop.says(|_| {
        answer(
            400,
            &json!({ "message": "access-canary-1 refresh-canary-1" }),
        )
    });
    let told = shop.get(id, "orders").await.expect(400).to_string();
    assert!(!has_canary(&told), "{told}");
});

// Abuse case: a consent that is not enough, in the place of one that is.
in_both_shops!(
    a_consent_that_is_not_enough_changes_nothing_where_one_is,
    async |shop| {
        bring_mail(&shop, "mail").await;
        let provider = Provider::of(&shop);
        let id = consented(&shop, &provider, "mail").await;
        let mut browser = Browser::default();
        let again = json!({ "integrated_account_id": id });
        let (_, onward) = sent_on(&shop, &mut browser, "mail", again).await;
        let back = provider.consent(&onward.onward().unwrap());
        let own = provider.clone();
        shop.says(move |received| {
            if received.path == "/oauth/token" {
                let body = String::from_utf8_lossy(&received.body).into_owned();
                let (status, said) = own.token(&query_of(&format!("?{body}")));
                return answer(status, &said);
            }
            match received.header("authorization") {
                "Bearer access-canary-1" => answer(200, &json!([])),
                _ => answer(403, &json!({})),
            }
        });
        let refused = browser.open(&shop.world.app, &back).await.expect(400);
        assert_eq!(refused.told().0["error_type"], "validation_error");
        assert_eq!(shop.status(&id).await, "active");
        shop.get(&id, "orders").await.expect(200);
    }
);

in_both_shops!(a_connected_account_gets_another_consent, async |shop| {
    bring_mail(&shop, "mail").await;
    let provider = Provider::of(&shop);
    let id = consented(&shop, &provider, "mail").await;
    let mut browser = Browser::default();
    let scopes = json!({ "integrated_account_id": id, "scopes": ["orders.less"] });
    let (_, onward) = sent_on(&shop, &mut browser, "mail", scopes).await;
    let onward = onward.onward().unwrap();
    assert_eq!(query_of(&onward)["scope"], "orders.less");
    let back = provider.consent(&onward);
    let done = browser.open(&shop.world.app, &back).await.expect(200);
    assert_eq!(done.told().0["integrated_account_id"], json!(id));
    assert_eq!(connected(&shop).await.as_array().unwrap().len(), 1);
    shop.get(&id, "orders").await.expect(200);
    let received = shop.upstream.received();
    assert_eq!(
        received.last().unwrap().header("authorization"),
        "Bearer access-canary-2"
    );
});

#[tokio::test]
async fn no_log_has_what_opens_a_link_or_came_of_a_consent() {
    let shop = Shop::open(Engine::Sqlite).await;
    let logs = Logs::of_this_thread();
    bring_mail(&shop, "mail").await;
    let provider = Provider::of(&shop);
    let app = &shop.world.app;
    let mut browser = Browser::default();
    let body = json!({ "tenant_id": "t" });
    let (token, page) = sent_on(&shop, &mut browser, "mail", body).await;
    let onward = page.onward().unwrap();
    let back = provider.consent(&onward);
    // An answer that is not from whom was asked is told of, and one that is.
    browser
        .open(app, &back.replace("iss=", "iss=x"))
        .await
        .expect(400);
    let again = browser
        .follow(app, &token, "&integration=mail")
        .await
        .expect(200);
    let page = browser
        .send(app, &again.form().with("action", "connect"))
        .await;
    let asked = query_of(&page.expect(200).onward().unwrap());
    let back = provider.consent(&format!("?{}", encoded(&asked)));
    browser.open(app, &back).await.expect(200);
    let id = connected(&shop).await[0]["id"].as_str().unwrap().to_owned();
    shop.world.advance(4_000);
    shop.get(&id, "orders").await.expect(200);
    browser.open(app, &back).await.expect(401);

    let text = logs.text();
    assert!(
        text.contains("/connect-account/callback"),
        "requests are logged"
    );
    assert!(!has_canary(&text), "{text}");
    let ticket = browser.cookies.values().next().unwrap();
    let secrets = [&token, ticket, &asked["state"], &asked["code_challenge"]];
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{secret}: {text}");
    }
}

/// Members as a query has them.
fn encoded(members: &BTreeMap<String, String>) -> String {
    let pairs = members
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}
