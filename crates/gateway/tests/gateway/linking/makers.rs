//! A link is good as long as whoever made it may still have somebody connect.

use claviger_domain::role::Role;
use claviger_store::{StoreError, access_keys};
use http::Method;
use serde_json::{Value, json};

use super::{connected, filled, keyed, link, link_of};
use crate::browser::Browser;
use crate::shop::in_both_shops;

// Abuse case: a link token that is over.
in_both_shops!(a_link_ends_after_an_hour_or_when_it_says, async |shop| {
    let app = &shop.world.app;
    let now = app.core.now();
    let body = json!({ "tenant_id": "t" });
    let made = shop
        .owner(Method::POST, "/link-token", body)
        .await
        .expect(201);
    assert_eq!(made["expires_at"], json!(now.plus_seconds(3_600)));
    assert_eq!(made.as_object().unwrap().len(), 3, "{made}");
    let usual = made["link_token"].as_str().unwrap().to_owned();
    let brief = json!({ "tenant_id": "t", "expires_at": now.plus_seconds(60) });
    let brief = link(&shop, brief).await;
    for seconds in [59, 86_401] {
        let body = json!({ "tenant_id": "t", "expires_at": now.plus_seconds(seconds) });
        let refused = shop.owner(Method::POST, "/link-token", body).await;
        assert!(
            refused.expect(400)["message"]
                .as_str()
                .unwrap()
                .starts_with("expires_at")
        );
    }
    let mut browser = Browser::default();
    let shown = keyed(&shop, &mut browser, &brief).await.expect(200);
    shop.world.advance(60);
    keyed(&shop, &mut Browser::default(), &brief)
        .await
        .expect(401);
    let late = browser
        .send(app, &filled(&shop, &shown, "key"))
        .await
        .expect(401);
    assert_eq!(late.told().0["error_type"], "invalid_token");
    keyed(&shop, &mut Browser::default(), &usual)
        .await
        .expect(200);
    shop.world.advance(3_540);
    keyed(&shop, &mut Browser::default(), &usual)
        .await
        .expect(401);
    assert!(connected(&shop, "t").await.is_empty());
});

// Abuse case: the maker of a link token demoted or removed.
in_both_shops!(
    maker_of_a_link_token_demoted_or_removed_the_link_is_dead_at_once,
    async |shop| {
        let world = &shop.world;
        for role in [Some(Role::Viewer), Some(Role::Developer), None] {
            let before = world.access_key(&world.account, Role::Admin, None).await;
            let token = link_of(world, &before.plain, json!({ "tenant_id": "t" })).await;
            let mut browser = Browser::default();
            let shown = keyed(&shop, &mut browser, &token).await.expect(200);
            if let Some(role) = role {
                // No operation changes a role: the row gets a maker that holds something else.
                let now = world.access_key(&world.account, role, None).await;
                let changed = world.app.core.db.write::<_, StoreError, _>(move |tx| {
                    Box::pin(async move { access_keys::hand_over(tx, &before.id, &now.id).await })
                });
                changed.await.unwrap();
            } else {
                let path = format!("/access-keys/{}", before.id);
                let removed = world
                    .ask(&world.owner, Method::DELETE, &path, Value::Null)
                    .await;
                assert!(removed.status.is_success(), "{:?}", removed.status);
            }
            let late = browser
                .send(&world.app, &filled(&shop, &shown, "key"))
                .await
                .expect(401);
            assert_eq!(late.told().0["error_type"], "invalid_token", "{role:?}");
            keyed(&shop, &mut Browser::default(), &token)
                .await
                .expect(401);
        }
        assert!(connected(&shop, "t").await.is_empty() && shop.upstream.received().is_empty());
    }
);

in_both_shops!(
    a_successor_of_an_access_key_answers_for_its_links,
    async |shop| {
        let world = &shop.world;
        let maker = world
            .access_key(&world.account, Role::Developer, None)
            .await;
        let token = link_of(world, &maker.plain, json!({ "tenant_id": "t" })).await;
        let path = format!("/access-keys/{}/rotate", maker.id);
        let rotated = world
            .ask(&world.owner, Method::POST, &path, json!({}))
            .await;
        assert!(rotated.status.is_success(), "{:#}", rotated.body);
        let mut browser = Browser::default();
        let shown = keyed(&shop, &mut browser, &token).await.expect(200);
        browser
            .send(&world.app, &filled(&shop, &shown, "key"))
            .await
            .expect(200);
    }
);

in_both_shops!(a_link_does_not_outlive_its_maker, async |shop| {
    let world = &shop.world;
    let now = world.app.core.now();
    let maker = world
        .access_key(&world.account, Role::Developer, None)
        .await;
    let path = format!("/access-keys/{}", maker.id);
    let expiry = json!({ "expiry": now.plus_seconds(600) });
    world
        .ask(&world.owner, Method::PATCH, &path, expiry)
        .await
        .expect(200);
    let body = json!({ "tenant_id": "t", "expires_at": now.plus_seconds(601) });
    let refused = world
        .ask(&maker.plain, Method::POST, "/link-token", body)
        .await;
    assert_eq!(refused.expect(403)["code"], "exceeds_maker");
    let body = json!({ "tenant_id": "t" });
    let made = world
        .ask(&maker.plain, Method::POST, "/link-token", body)
        .await;
    assert_eq!(made.expect(201)["expires_at"], json!(now.plus_seconds(600)));
});

in_both_shops!(who_may_make_links_and_for_what, async |shop| {
    let world = &shop.world;
    let of_project = || Some([world.project.id.clone()].into());
    for (role, projects, expected) in [
        (Role::Owner, None, 201),
        (Role::Admin, None, 201),
        (Role::Developer, None, 201),
        (Role::Developer, of_project(), 201),
        (Role::Viewer, None, 403),
        (Role::Viewer, of_project(), 403),
        (Role::Analyst, None, 403),
        (Role::Verifier, None, 404),
    ] {
        let key = world.access_key(&world.account, role, projects).await.plain;
        let body = json!({ "tenant_id": "t" });
        let made = world.ask(&key, Method::POST, "/link-token", body).await;
        assert_eq!(made.status, expected, "{role:?}");
    }
    let body = json!({ "tenant_id": "t" });
    world
        .ask("", Method::POST, "/link-token", body)
        .await
        .expect(401);
    // What a project's link connects is the project's.
    let key = world
        .access_key(&world.account, Role::Developer, of_project())
        .await
        .plain;
    let of_account = json!({ "integrated_account_id": shop.keyed().await });
    world
        .ask(&key, Method::POST, "/link-token", of_account)
        .await
        .expect(404);
    let token = link_of(world, &key, json!({ "tenant_id": "own" })).await;
    let mut browser = Browser::default();
    let shown = keyed(&shop, &mut browser, &token).await.expect(200);
    browser
        .send(&world.app, &filled(&shop, &shown, "key"))
        .await
        .expect(200);
    let made = connected(&shop, "own").await.remove(0);
    assert_eq!(made["project_id"], json!(world.project.id));
});

// Abuse case: a link that leaked.
in_both_shops!(a_link_is_listed_and_ended_by_who_may, async |shop| {
    let (world, app) = (&shop.world, &shop.world.app);
    let body = json!({ "tenant_id": "t" });
    let made = shop
        .owner(Method::POST, "/link-token", body)
        .await
        .expect(201);
    let token = made["link_token"].as_str().unwrap();
    let path = format!("/link-token/{}", made["id"].as_str().unwrap());
    let mut browser = Browser::default();
    let shown = keyed(&shop, &mut browser, token).await.expect(200);

    let (other, _) = world.account("Other").await;
    let foreign = world.access_key(&other, Role::Owner, None).await.plain;
    let listed = world.ask(&foreign, Method::GET, "/link-token", Value::Null);
    assert_eq!(listed.await.expect(200)["result"], json!([]));
    let ended = world.ask(&foreign, Method::DELETE, &path, Value::Null);
    ended.await.expect(404);
    let own = [world.project.id.clone()].into();
    let of_project = world.access_key(&world.account, Role::Developer, Some(own));
    let of_project = of_project.await.plain;
    let ended = world.ask(&of_project, Method::DELETE, &path, Value::Null);
    ended.await.expect(404);
    for (role, read) in [
        (Role::Viewer, 200),
        (Role::Analyst, 403),
        (Role::Verifier, 404),
    ] {
        let key = world.access_key(&world.account, role, None).await.plain;
        let listed = world.ask(&key, Method::GET, "/link-token", Value::Null);
        assert_eq!(listed.await.status, read, "{role:?}");
        let refused = world.ask(&key, Method::DELETE, &path, Value::Null);
        assert_eq!(refused.await.status, read.max(403), "{role:?}");
    }
    for made_up in ["/link-token/x", "/link-token/lnk_00000000000000000000"] {
        let absent = shop.owner(Method::DELETE, made_up, Value::Null).await;
        absent.expect(404);
    }

    let listed = world.get("/link-token").await.expect(200);
    assert_eq!(listed["result"].as_array().unwrap().len(), 1);
    let link = &listed["result"][0];
    assert_eq!(
        (&link["id"], &link["tenant_id"]),
        (&made["id"], &json!("t"))
    );
    assert!(!listed.to_string().contains(token));
    let ended = shop.owner(Method::DELETE, &path, Value::Null).await;
    assert_eq!(ended.status, 204);
    let late = filled(&shop, &shown, "key");
    let late = browser.send(app, &late).await.expect(401);
    assert_eq!(late.told().0["error_type"], "invalid_token");
    keyed(&shop, &mut Browser::default(), token)
        .await
        .expect(401);
    let again = shop.owner(Method::DELETE, &path, Value::Null).await;
    again.expect(404);
    let listed = world.get("/link-token").await.expect(200);
    assert_eq!(listed["result"], json!([]));
    assert!(connected(&shop, "t").await.is_empty() && shop.upstream.received().is_empty());
});

in_both_shops!(
    a_repeat_of_a_request_for_a_link_has_no_token,
    async |shop| {
        let ask = async || {
            let request = shop
                .world
                .app
                .request("POST", "/link-token")
                .key(&shop.world.owner);
            let request = request.header("idempotency-key", "once");
            request
                .json(json!({ "tenant_id": "t" }))
                .send()
                .await
                .expect(201)
        };
        let (first, second) = (ask().await, ask().await);
        assert_eq!(first["expires_at"], second["expires_at"]);
        let whole = first["link_token"].as_str().unwrap();
        let masked = second["link_token"].as_str().unwrap();
        assert!(whole.len() > 40 && masked.starts_with("clvlink_***"));
        assert!(!second.to_string().contains(whole), "{second}");
    }
);

// Abuse case: a customer's doing that passes for that of whoever made the link.
in_both_shops!(
    what_a_customer_does_by_a_link_is_told_apart_from_its_makers_doing,
    async |shop| {
        let world = &shop.world;
        let trail = async |query: &str| {
            let found = world.get(&format!("/audit-events?{query}")).await;
            found.expect(200).as_array().unwrap().clone()
        };
        let maker = world.access_key(&world.account, Role::Admin, None).await;
        let token = link_of(world, &maker.plain, json!({ "tenant_id": "Customer 7" })).await;
        let mut browser = Browser::default();
        let shown = keyed(&shop, &mut browser, &token).await.expect(200);
        let form = filled(&shop, &shown, "key");
        browser.send(&world.app, &form).await.expect(200);
        let id = connected(&shop, "Customer%207").await.remove(0)["id"].clone();
        let id = id.as_str().unwrap();

        let body = json!({ "integrated_account_id": id });
        let again = link_of(world, &maker.plain, body).await;
        let mut browser = Browser::default();
        let query = "&auth_format=api_key";
        let shown = browser.follow(&world.app, &again, query).await.expect(200);
        let form = shown.form().with("credentials.key", "anew");
        let form = form.with("action", "connect");
        browser.send(&world.app, &form).await.expect(200);

        let maker = maker.id.to_string();
        let made = trail("action=link-token.created").await;
        assert_eq!(made.len(), 2);
        for (link, done) in made.iter().zip(["created", "credentialsChanged"]) {
            assert_eq!(
                (&link["actor"], &link["via"]),
                (&json!(maker), &Value::Null)
            );
            let link = link["target"].as_str().unwrap();
            let by_link = trail(&format!("actor={link}")).await;
            let done = format!("connected-account.{done}");
            let did = |action: &str| by_link.iter().find(|event| event["action"] == action);
            let of_customer = [did(&done).unwrap(), did("link-token.used").unwrap()];
            for event in of_customer {
                assert_eq!(
                    (&event["actor"], &event["actorType"], &event["via"]),
                    (&json!(maker), &json!("ACCESS_KEY"), &json!(link))
                );
                assert_eq!(event["data"]["tenantId"], "Customer 7");
            }
            assert_eq!(of_customer[0]["target"], id);
        }
        // Of what the maker did itself, nothing is about the connected account.
        let own = trail(&format!("actor={maker}&target={id}")).await;
        assert!(own.iter().all(|event| event["via"].is_string()), "{own:?}");
    }
);
