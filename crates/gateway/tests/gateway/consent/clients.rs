//! As whom an account asks: the client's secret goes to where its connector's tokens are from, and is shown
//! to nobody.

use claviger_domain::role::Role;
use claviger_testkit::Receiver;
use http::Method;
use serde_json::{Value, json};

use super::{CLIENT, Provider, bring_mail, consented, mail, register_client, tokens};
use crate::browser::Browser;
use crate::shop::{CANARY, has_canary, in_both_shops};

const PATH: &str = "/integration/mail/oauth-client";

in_both_shops!(
    a_client_is_set_and_removed_by_who_may_and_never_shown,
    async |shop| {
        shop.bring("mail", mail(&shop.upstream.url)).await;
        let world = &shop.world;
        let none = shop.owner(Method::GET, PATH, Value::Null).await.expect(200);
        assert_eq!(
            (&none["client_id"], &none["client_secret"]),
            (&Value::Null, &Value::Null)
        );
        let own = &world.account.id;
        assert_eq!(
            none["redirect_uri"],
            format!("https://keys.example.com/connect-account/callback/{own}/mail")
        );
        let client = json!({ "client_id": CLIENT, "client_secret": CANARY });
        for (role, read, write) in [
            (Role::Owner, 200, 200),
            (Role::Admin, 200, 200),
            (Role::Developer, 200, 403),
            (Role::Viewer, 200, 403),
            (Role::Analyst, 403, 403),
            (Role::Verifier, 404, 404),
        ] {
            let key = world.access_key(&world.account, role, None).await.plain;
            let set = world.ask(&key, Method::PUT, PATH, client.clone()).await;
            assert_eq!(set.status, write, "{role:?}");
            let shown = world.ask(&key, Method::GET, PATH, Value::Null).await;
            assert_eq!(shown.status, read, "{role:?}");
            assert!(!has_canary(&shown.body.to_string()));
        }
        let (other, _) = world.account("Other").await;
        let foreign = world.access_key(&other, Role::Owner, None).await.plain;
        for (method, body) in [
            (Method::GET, Value::Null),
            (Method::PUT, client),
            (Method::DELETE, Value::Null),
        ] {
            world.ask(&foreign, method, PATH, body).await.expect(404);
        }
        for (body, word) in [
            (json!({ "client_secret": "x" }), "client_id"),
            (json!({ "client_id": "" }), "client_id"),
            (json!({ "client_id": "x", "secret": "y" }), "client_secret"),
            (
                json!({ "client_id": "x", "client_secret": "\n" }),
                "client_secret",
            ),
        ] {
            let refused = shop.owner(Method::PUT, PATH, body).await.expect(400);
            assert!(
                refused["message"].as_str().unwrap().contains(word),
                "{refused}"
            );
        }
        let tea = json!({ "client_id": "x" });
        shop.owner(Method::PUT, "/integration/tea/oauth-client", tea)
            .await
            .expect(400);
        let removed = shop.owner(Method::DELETE, PATH, Value::Null).await;
        assert_eq!(removed.status, 204);
        shop.owner(Method::DELETE, PATH, Value::Null)
            .await
            .expect(404);
        let db = &world.app.core.db;
        let trail = claviger_store::events::of_account(db, &world.account.id, 99)
            .await
            .unwrap();
        assert!(
            trail
                .iter()
                .any(|event| event.kind == "oauth-client.updated")
        );
        assert!(
            trail
                .iter()
                .any(|event| event.kind == "oauth-client.deleted")
        );
        assert!(trail.iter().all(|event| !has_canary(&event.data)));
    }
);

in_both_shops!(without_a_client_nobody_is_sent_on, async |shop| {
    shop.bring("mail", mail(&shop.upstream.url)).await;
    let body = json!({ "tenant_id": "t" });
    let made = shop
        .owner(Method::POST, "/link-token", body)
        .await
        .expect(201);
    let token = made["link_token"].as_str().unwrap();
    let mut browser = Browser::default();
    let app = &shop.world.app;
    let shown = browser
        .follow(app, token, "&integration=mail")
        .await
        .expect(200);
    let form = shown.form().with("action", "connect");
    let refused = browser.send(app, &form).await.expect(404);
    assert_eq!(refused.told().0["error_type"], "invalid_integration");
});

// Abuse case: a connector's token_url changed to a second receiver.
in_both_shops!(
    a_connectors_token_url_changed_to_a_second_receiver,
    async |shop| {
        bring_mail(&shop, "mail").await;
        let provider = Provider::of(&shop);
        let id = consented(&shop, &provider, "mail").await;
        let second = Receiver::start().await;
        let mut credentials = mail(&shop.upstream.url)["credentials"].clone();
        credentials["oauth2"]["token_url"] = json!(format!("{}/oauth/token", second.url));
        let changed = json!({ "credentials": credentials });
        shop.owner(Method::PATCH, "/integration/mail", changed)
            .await
            .expect(200);
        shop.world.advance(4_000);
        let refused = shop.get(&id, "orders").await.expect(401);
        assert_eq!(refused["code"], "needs_reauth");
        let body = json!({ "tenant_id": "t" });
        let made = shop
            .owner(Method::POST, "/link-token", body)
            .await
            .expect(201);
        let token = made["link_token"].as_str().unwrap();
        let mut browser = Browser::default();
        let app = &shop.world.app;
        let shown = browser
            .follow(app, token, "&integration=mail")
            .await
            .expect(200);
        let form = shown.form().with("action", "connect");
        browser.send(app, &form).await.expect(404);
        assert!(second.received().is_empty(), "it gets no stored credential");
        register_client(&shop, "mail").await;
        browser.send(app, &form).await.expect(200);
    }
);

// Abuse case: a connector of the same name that has users consent as before, and uses their tokens elsewhere.
in_both_shops!(
    a_client_does_not_ask_for_a_connector_whose_tokens_go_elsewhere,
    async |shop| {
        bring_mail(&shop, "mail").await;
        let body = json!({ "tenant_id": "t" });
        let made = shop
            .owner(Method::POST, "/link-token", body)
            .await
            .expect(201);
        let token = made["link_token"].as_str().unwrap();
        let mut browser = Browser::default();
        let app = &shop.world.app;
        let shown = browser
            .follow(app, token, "&integration=mail")
            .await
            .expect(200);
        let form = shown.form().with("action", "connect");
        let own = mail(&shop.upstream.url);
        let mut others = own["credentials"].clone();
        others["oauth2"]["issuer"] = json!("https://evil.test/");
        for changed in [
            json!({ "base_url": "http://127.0.0.1:1/api" }),
            json!({ "credentials": others }),
        ] {
            let put = shop.owner(Method::PATCH, "/integration/mail", changed);
            put.await.expect(200);
            let refused = browser.send(app, &form).await.expect(404);
            assert_eq!(refused.told().0["error_type"], "invalid_integration");
            let as_before =
                json!({ "base_url": own["base_url"], "credentials": own["credentials"] });
            let put = shop.owner(Method::PATCH, "/integration/mail", as_before);
            put.await.expect(200);
            browser.send(app, &form).await.expect(200);
        }
    }
);

// Abuse case: whoever connects says which host gets the secret of the account's client.
in_both_shops!(
    no_client_has_a_secret_where_its_users_say_which_host_gets_it,
    async |shop| {
        let open = json!({ "credentials": { "oauth2": {
        "authorization_url": "http://{{context.host}}/authorize",
        "token_url": "http://{{context.host}}/oauth/token",
    } } });
        shop.bring("mail", open).await;
        let client = json!({ "client_id": CLIENT, "client_secret": CANARY });
        let refused = shop.owner(Method::PUT, PATH, client).await.expect(400);
        assert!(
            refused["message"]
                .as_str()
                .unwrap()
                .starts_with("client_secret")
        );
        let client = json!({ "client_id": CLIENT });
        let put = shop.owner(Method::PUT, PATH, client).await.expect(200);
        assert_eq!(put["client_secret"], Value::Null);
        let provider = Provider::of(&shop);
        let body = json!({ "tenant_id": "t" });
        let made = shop
            .owner(Method::POST, "/link-token", body)
            .await
            .expect(201);
        let mut browser = Browser::default();
        let app = &shop.world.app;
        let token = made["link_token"].as_str().unwrap();
        let shown = browser
            .follow(app, token, "&integration=mail")
            .await
            .expect(200);
        let form = shown.form().with("context.host", shop.host());
        let page = browser
            .send(app, &form.with("action", "connect"))
            .await
            .expect(200);
        let back = provider.consent(&page.onward().unwrap());
        // Its file names no issuer, and neither may the answer.
        let (back, _) = back.split_once("&iss=").unwrap();
        browser.open(app, back).await.expect(200);
        let asked = tokens(&shop).remove(0);
        assert_eq!(asked["client_id"], CLIENT);
        assert!(!asked.contains_key("client_secret"));
    }
);
