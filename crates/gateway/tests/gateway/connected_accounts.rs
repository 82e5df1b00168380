//! Connected accounts of other APIs: made, tried, changed and removed.

use claviger_domain::role::Role;
use claviger_store::events;
use claviger_testkit::Receiver;
use http::Method;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::shop::{CANARY, answer, has_canary, in_both_shops};

in_both_shops!(credentials_are_tried_and_never_shown, async |shop| {
    let made = shop.orders().await;
    assert_eq!(
        (&made["status"], &made["validation_error"]),
        (&json!("active"), &Value::Null)
    );
    assert_eq!(made["authentication_method"], "oauth2_client_credentials");
    assert_eq!(made["context"], json!({ "host": shop.host() }));
    let tried = shop.upstream.received();
    assert_eq!(tried.len(), 2, "a token, and the cheap call");
    assert_eq!(
        tried[0].body,
        "grant_type=client_credentials&scope=orders.read%20orders.write"
    );
    assert_eq!(tried[1].header("authorization"), "Bearer token-canary-1");
    assert_eq!(tried[1].path, "/v1/orders?per_page=1");

    shop.says(|_| answer(403, &json!({ "message": format!("you sent {CANARY}") })));
    let body = json!({
        "integration": "tea", "tenant_id": "two", "authentication_method": "api_key",
        "context": { "host": shop.host() }, "credentials": { "key": CANARY },
    });
    let refused = shop.connect(body).await.expect(201);
    assert_eq!(refused["status"], "validation_error");
    assert_eq!(refused["validation_error"]["statusCode"], 403);
    let id = refused["id"].as_str().unwrap();
    shop.says_as_usual();
    let path = format!("/integrated-account/{id}/credentials");
    let entered = json!({ "credentials": { "key": format!("{CANARY}2") } });
    let changed = shop.owner(Method::PATCH, &path, entered).await.expect(200);
    assert_eq!(changed["status"], "active");
    let listed = shop
        .world
        .get("/integrated-account?integration=tea&tenant_id=two&status=active")
        .await;
    let listed = listed.expect(200);
    assert_eq!(listed["result_count"], 1);
    let none = shop
        .world
        .get("/integrated-account?integration=tea&status=needs_reauth")
        .await;
    assert_eq!(none.expect(200)["result_count"], 0);
    for unfilled in [
        "/integrated-account?tenant_id=",
        "/integrated-account?integration=%20",
        "/integrated-account?status=actif",
        "/log?mcp_server_id=",
    ] {
        let refused = shop.world.get(unfilled).await.expect(400);
        assert_eq!(refused["code"], "invalid_input", "{unfilled}");
    }

    let db = &shop.world.app.core.db;
    let trail = events::of_account(db, &shop.world.account.id, 99)
        .await
        .unwrap();
    let kinds: Vec<_> = trail
        .iter()
        .filter(|it| it.target == id)
        .map(|it| it.kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "connected-account.created",
            "connected-account.statusChanged",
            "connected-account.credentialsChanged",
            "connected-account.statusChanged",
        ]
    );
    let told = [made, refused, changed, listed]
        .map(|body| body.to_string())
        .concat();
    let trail: String = trail.into_iter().map(|event| event.data).collect();
    assert!(!has_canary(&told) && !has_canary(&trail), "{told}");
});

in_both_shops!(what_is_entered_must_be_asked_for, async |shop| {
    let host = shop.host().to_owned();
    let whole = json!({
        "integration": "tea", "tenant_id": "t", "authentication_method": "api_key",
        "context": { "host": host }, "credentials": { "key": CANARY },
    });
    let changed = |member: &str, value: Value| {
        let mut body = whole.clone();
        body[member] = value;
        body
    };
    for (body, word) in [
        (changed("integration", json!("coffee")), "connector"),
        (changed("tenant_id", json!(" ")), "tenant_id"),
        (
            changed("authentication_method", json!("bearer_token")),
            "api_key",
        ),
        (changed("authentication_method", Value::Null), "api_key"),
        (changed("context", json!({})), "host"),
        (changed("context", json!({ "host": "evil.com/x" })), "host"),
        (changed("context", json!({ "host": "a@evil.com" })), "host"),
        (changed("credentials", json!({ "kee": CANARY })), "`key`"),
        (
            changed("credentials", json!({ "key": "with space" })),
            "key",
        ),
        (changed("credentials", json!({ "key": 7 })), "key"),
        (changed("credentiels", json!({})), "credentials"),
    ] {
        let refused = shop.connect(body.clone()).await.expect(400);
        let message = refused.to_string();
        assert!(
            message.contains(word) && !has_canary(&message),
            "{body}: {message}"
        );
    }
    assert!(shop.upstream.received().is_empty());
});

in_both_shops!(
    they_are_of_their_account_and_for_those_who_may_change_them,
    async |shop| {
        let id = shop.keyed().await;
        let path = format!("/integrated-account/{id}");
        let (other, _) = shop.world.account("Other").await;
        let foreign = shop.world.access_key(&other, Role::Owner, None).await.plain;
        let viewer = shop
            .world
            .access_key(&shop.world.account, Role::Viewer, None)
            .await
            .plain;
        let entered = json!({ "credentials": { "key": "other" } });
        let of_id = json!({ "id": id });
        for (method, path, body) in [
            (Method::GET, path.clone(), Value::Null),
            (Method::PATCH, path.clone(), json!({ "tenant_id": "x" })),
            (Method::PATCH, format!("{path}/credentials"), entered),
            (
                Method::POST,
                "/integrated-account/refresh-credentials".to_owned(),
                of_id,
            ),
            (Method::DELETE, path.clone(), Value::Null),
        ] {
            let absent = shop
                .world
                .ask(&foreign, method.clone(), &path, body.clone())
                .await;
            let unknown = path.replace(&id, "cac_00000000000000000000");
            let body_of_unknown = json!({ "id": "cac_00000000000000000000" });
            let body_of_unknown = if path.ends_with("refresh-credentials") {
                body_of_unknown
            } else {
                body.clone()
            };
            let unknown = shop.owner(method.clone(), &unknown, body_of_unknown).await;
            let (absent, unknown) = (absent.expect(404), unknown.expect(404));
            assert_eq!(absent["message"], unknown["message"]);
            if method != Method::GET {
                shop.world
                    .ask(&viewer, method, &path, body)
                    .await
                    .expect(403);
            }
        }
        let of_project = Some([shop.world.project.id.clone()].into());
        let developer = shop
            .world
            .access_key(&shop.world.account, Role::Developer, of_project)
            .await;
        let body = json!({
            "integration": "tea", "tenant_id": "t", "authentication_method": "api_key",
            "context": { "host": shop.host() }, "credentials": { "key": "of-a-project" },
        });
        let made = shop
            .world
            .ask(&developer.plain, Method::POST, "/integrated-account", body)
            .await;
        assert_eq!(made.expect(201)["project_id"], json!(shop.world.project.id));
    }
);

in_both_shops!(
    a_connected_accounts_host_changed_to_a_second_receiver,
    async |shop| {
        let id = shop.keyed().await;
        let second = Receiver::start().await;
        let host = second.url.strip_prefix("http://").unwrap();
        let path = format!("/integrated-account/{id}");
        let moved = json!({ "context": { "host": host } });
        let moved = shop.owner(Method::PATCH, &path, moved).await.expect(200);
        assert_eq!(moved["status"], "needs_reauth");
        let refused = shop.get(&id, "orders").await.expect(401);
        assert_eq!(refused["code"], "needs_reauth");
        shop.owner(
            Method::GET,
            &format!("/custom/orders?integrated_account_id={id}"),
            Value::Null,
        )
        .await
        .expect(401);
        let again = json!({ "id": id });
        let again = shop
            .owner(
                Method::POST,
                "/integrated-account/refresh-credentials",
                again,
            )
            .await;
        assert_eq!(again.expect(200)["status"], "needs_reauth");
        assert!(second.received().is_empty(), "it gets no stored credential");

        let entered = json!({ "credentials": { "key": "entered-anew" } });
        let changed = shop
            .owner(Method::PATCH, &format!("{path}/credentials"), entered)
            .await;
        assert_eq!(changed.expect(200)["status"], "active");
        let received = second.received();
        assert_eq!(received.last().unwrap().header("x-tea-key"), "entered-anew");
        // Back to where the first were entered: those are gone.
        let back = json!({ "context": { "host": shop.host() } });
        let back = shop.owner(Method::PATCH, &path, back).await.expect(200);
        assert_eq!(back["status"], "needs_reauth");
    }
);

in_both_shops!(
    a_connectors_base_url_changed_to_a_second_receiver,
    async |shop| {
        let id = shop.keyed().await;
        let second = Receiver::start().await;
        let moved = json!({ "base_url": format!("{}/api", second.url) });
        let moved = shop.owner(Method::PATCH, "/integration/tea", moved).await;
        moved.expect(200);
        let refused = shop.get(&id, "orders").await.expect(401);
        assert_eq!(refused["code"], "needs_reauth");
        assert_eq!(shop.status(&id).await, "needs_reauth");
        assert!(second.received().is_empty(), "it gets no stored credential");
    }
);

in_both_shops!(removing_one_ends_its_servers_at_once, async |shop| {
    let id = shop.keyed().await;
    let made = shop
        .owner(
            Method::POST,
            &format!("/integrated-account/{id}/mcp"),
            json!({}),
        )
        .await;
    let token = made.expect(201)["token"].as_str().unwrap().to_owned();
    shop.world
        .call(&token, "list_all_tea_orders", json!({}))
        .await
        .unwrap();
    let path = format!("/integrated-account/{id}");
    shop.owner(Method::DELETE, &path, Value::Null)
        .await
        .expect(204);
    let asked = crate::world::call_message("list_all_tea_orders", &json!({}));
    let before = shop.upstream.received().len();
    shop.world.post(&token, &[], &asked).await.expect(401);
    shop.owner(Method::GET, &path, Value::Null)
        .await
        .expect(404);
    shop.owner(Method::DELETE, &path, Value::Null)
        .await
        .expect(404);
    assert_eq!(shop.upstream.received().len(), before);
});

in_both_shops!(
    an_upstream_that_refuses_marks_it_and_a_later_success_clears_it,
    async |shop| {
        let id = shop.keyed().await;
        shop.says(|_| answer(401, &json!({ "message": "no" })));
        let refused = shop.get(&id, "orders").await.expect(401);
        assert_eq!(
            (&refused["is_remote_error"], &refused["message"]),
            (&json!(true), &json!("no"))
        );
        assert_eq!(shop.status(&id).await, "needs_reauth");
        shop.says_as_usual();
        shop.get(&id, "orders").await.expect(200);
        assert_eq!(shop.status(&id).await, "active");
    }
);

in_both_shops!(
    what_the_connector_calls_a_failure_takes_no_credentials,
    async |shop| {
        shop.says(|_| answer(200, &json!({ "ok": false, "message": "no such key" })));
        let body = json!({
            "integration": "tea", "tenant_id": "t", "authentication_method": "api_key",
            "context": { "host": shop.host() }, "credentials": { "key": CANARY },
        });
        let refused = shop.connect(body).await.expect(201);
        assert_eq!(refused["status"], "validation_error");
        assert_eq!(refused["validation_error"]["message"], "no such key");
    }
);

in_both_shops!(
    an_api_that_takes_a_credential_in_turns_fills_no_trail,
    async |shop| {
        let id = shop.keyed().await;
        let changes = async || {
            let db = &shop.world.app.core.db;
            let trail = events::of_account(db, &shop.world.account.id, 99).await;
            let trail = trail.unwrap().into_iter();
            trail
                .filter(|event| event.kind == "connected-account.statusChanged")
                .count()
        };
        let before = changes().await;
        let mut is_refused = false;
        shop.says(move |_| {
            is_refused = !is_refused;
            answer(if is_refused { 401 } else { 200 }, &json!({ "id": "o1" }))
        });
        for _ in 0..20 {
            shop.get(&id, "orders/o1").await;
        }
        assert_eq!(changes().await, before + 4);
        // What it says in the end is noted by whatever comes after the minute.
        shop.says(|_| answer(401, &json!({})));
        shop.get(&id, "orders/o1").await.expect(401);
        assert_eq!(shop.status(&id).await, "active");
        shop.world.advance(60);
        shop.get(&id, "orders/o1").await.expect(401);
        assert_eq!(shop.status(&id).await, "needs_reauth");
    }
);

// Abuse case: credentials without end, by a connector that asks for any number of them.
in_both_shops!(
    what_is_entered_has_64_kib_in_all_fields_together,
    async |shop| {
        let field = |number: usize| json!({ "name": format!("f{number}"), "required": false });
        let optional: Vec<_> = (0..9).map(field).collect();
        let with = |first: Value| Value::from([vec![first], optional.clone()].concat());
        let members = json!({
            "context": with(json!({ "name": "host", "type": "host" })),
            "credentials": { "api_key": {
                "fields": with(json!({ "name": "key" })),
                "authorization": { "header": { "name": "x-tea-key", "value": "{{credentials.key}}" } },
            } },
        });
        shop.bring("many", members).await;
        let long = "x".repeat(8_192);
        let values = |name: &str, value: &str, count: usize| {
            let mut values = json!({ name: value });
            for number in 0..count {
                values[format!("f{number}")] = long.as_str().into();
            }
            values
        };
        let context = |count: usize| values("host", shop.host(), count);
        let credentials = |count: usize| values("key", "k", count);
        let connect = async |of_context: usize, of_credentials: usize| {
            let body = json!({
                "integration": "many", "tenant_id": "t",
                "context": context(of_context), "credentials": credentials(of_credentials),
            });
            shop.connect(body).await
        };
        let must = "must have at most 64 KiB in all fields together";
        for (counts, member) in [((8, 0), "context"), ((0, 8), "credentials")] {
            let refused = connect(counts.0, counts.1).await.expect(400);
            assert_eq!(refused["message"], format!("{member}: {must}"));
        }
        let made = connect(7, 7).await.expect(201);
        let path = format!("/integrated-account/{}", made["id"].as_str().unwrap());
        let more = json!({ "context": context(8) });
        let refused = shop.owner(Method::PATCH, &path, more).await.expect(400);
        assert_eq!(refused["message"], format!("context: {must}"));
        let path = format!("{path}/credentials");
        let more = json!({ "credentials": credentials(8) });
        let refused = shop.owner(Method::PATCH, &path, more).await.expect(400);
        assert_eq!(refused["message"], format!("credentials: {must}"));

        let link = json!({ "tenant_id": "by-link", "integration": "many" });
        let link = shop.owner(Method::POST, "/link-token", link).await;
        let link = link.expect(201)["link_token"].as_str().unwrap().to_owned();
        let mut browser = Browser::default();
        let app = &shop.world.app;
        let shown = browser.follow(app, &link, "").await.expect(200);
        let mut form = shown.form().with("context.host", shop.host());
        form = form.with("credentials.key", "k").with("action", "connect");
        for number in 0..8 {
            form = form.with(&format!("credentials.f{number}"), &long);
        }
        let refused = browser.send(app, &form).await.expect(400);
        assert!(refused.text.contains(must), "{}", refused.text);
    }
);
