//! API keys: made, listed, shown, changed, revoked.

use claviger_testkit::{TestApp, on_both_engines};
use serde_json::json;

on_both_engines!(a_made_key_is_shown_in_full_once, async |app| {
    let tenant = app.tenant("Acme").await;
    let made = app
        .request("POST", "/api-keys")
        .key(tenant.owner())
        .json(json!({
            "name": "First", "projectId": tenant.project.id, "customMetaData": {"plan": ["pro"]},
            "customAccountId": "customer-1", "customUserId": "user-1",
            "rateLimitConfigs": {"rateLimit": 5, "rateLimitTtl": 10},
            "expiry": "2050-01-01", "clientIP": "192.0.2.1", "clientUserAgent": "curl",
            "allowedDomains": ["*.Example.com"], "allowedIps": ["192.0.2.9/24"],
            "scopes": ["read"], "quota": {"limit": 9, "period": "day"},
        }))
        .send()
        .await;
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.expect(201);
    let full = made["key"].as_str().unwrap();
    assert_eq!(full.len(), "live_".len() + 64);
    let path = format!("/api-keys/{}", made["id"].as_str().unwrap());
    let shown = app
        .request("GET", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    assert_eq!(
        shown["key"],
        format!("{}*********", &full[.."live_".len() + 16])
    );
    assert_eq!(shown["customMetaData"], json!({"plan": ["pro"]}));
    assert_eq!(
        shown["rateLimitConfigs"],
        json!({"rateLimit": 5, "rateLimitTtl": 10})
    );
    assert_eq!(shown["expiresAt"], "2050-01-01T00:00:00.000Z");
    assert_eq!(shown["expiry"], shown["expiresAt"]);
    assert_eq!(shown["allowedDomains"], json!(["*.example.com"]));
    assert_eq!(shown["allowedIps"], json!(["192.0.2.0/24"]));
    let context = json!({"clientIP": "192.0.2.1", "clientUserAgent": "curl"});
    assert_eq!(shown["creationContext"], context);
    assert_eq!(shown["quota"]["used"], 0);
    let first_members: Vec<_> = shown
        .as_object()
        .unwrap()
        .keys()
        .take(12)
        .cloned()
        .collect();
    let published = [
        "key",
        "name",
        "customMetaData",
        "customAccountId",
        "customUserId",
        "env",
        "createdAt",
        "updatedAt",
        "isActive",
        "expiresAt",
        "rateLimitConfigs",
        "creationContext",
    ];
    assert_eq!(first_members, published);
});

on_both_engines!(lists_filter_page_and_count, async |app| {
    let tenant = app.tenant("Acme").await;
    for index in 0..5 {
        let customer = if index < 2 {
            json!(null)
        } else {
            json!(format!("customer-{index}"))
        };
        app.api_key(
            &tenant,
            json!({"name": format!("Key {index}"), "customAccountId": customer}),
        )
        .await;
        app.advance(1);
    }
    let list = async |query: &str| {
        let path = format!("/api-keys/?{query}");
        let answer = app.request("GET", &path).key(tenant.owner()).send().await;
        let total = answer.header("x-total-count").to_owned();
        let keys = answer.expect(200);
        let names: Vec<_> = keys
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["name"].as_str().unwrap().to_owned())
            .collect();
        (names.join(","), total)
    };
    let all = "Key 0,Key 1,Key 2,Key 3,Key 4";
    assert_eq!(list("").await, (all.into(), "5".into()));
    assert_eq!(list("name=kEY%203").await, ("Key 3".into(), "1".into()));
    assert_eq!(
        list("customAccountId=null").await,
        ("Key 0,Key 1".into(), "2".into())
    );
    assert_eq!(
        list("customAccountId=customer-4").await,
        ("Key 4".into(), "1".into())
    );
    assert_eq!(
        list("limit=2&offset=1").await,
        ("Key 1,Key 2".into(), "5".into())
    );
    assert_eq!(list("limit=0").await, (String::new(), "5".into()));
    assert_eq!(list("isActive=maybe").await.0, all);
    assert_eq!(list("isActive=FALSE").await.0, "");
    assert_eq!(
        list(&format!("accountId={}&unknown=1", tenant.account.id))
            .await
            .0,
        all
    );
    let refused = app
        .request("GET", "/api-keys?limit=-1")
        .key(tenant.owner())
        .send()
        .await;
    assert_eq!(refused.expect(400)["details"][0]["field"], "limit");
});

#[tokio::test]
async fn a_list_longer_than_a_page_is_whole_and_in_order() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    for index in 0..1_203 {
        app.api_key(&tenant, json!({"name": format!("{index}")}))
            .await;
    }
    let answer = app
        .request("GET", "/api-keys")
        .key(tenant.owner())
        .send()
        .await;
    assert_eq!(answer.header("x-total-count"), "1203");
    let keys = answer.expect(200);
    let mut ids: Vec<_> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1_203);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 1_203);
    let part = app
        .request("GET", "/api-keys?limit=700&offset=600")
        .key(tenant.owner())
        .send()
        .await;
    assert_eq!(part.expect(200).as_array().unwrap().len(), 603);
}

on_both_engines!(
    an_update_changes_what_is_given_and_null_clears,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let key = app
        .api_key(&tenant, json!({"customUserId": "u", "rateLimit": 5, "expiry": "2050-01-01", "scopes": ["a"]}))
        .await;
        let path = format!("/api-keys/{}", key["id"].as_str().unwrap());
        let patch = async |body| {
            app.request("PATCH", &path)
                .key(tenant.owner())
                .json(body)
                .send()
                .await
        };
        let renamed = patch(json!({"name": "Renamed"})).await.expect(200);
        assert_eq!(
            (&renamed["name"], &renamed["customUserId"]),
            (&json!("Renamed"), &json!("u"))
        );
        let cleared = patch(json!({
            "customUserId": null, "rateLimitConfigs": null, "expiry": null, "scopes": null,
            "customMetaData": null,
        }));
        let cleared = cleared.await.expect(200);
        for member in ["customUserId", "rateLimitConfigs", "expiry", "expiresAt"] {
            assert_eq!(cleared[member], json!(null), "{member}");
        }
        assert_eq!(
            (&cleared["scopes"], &cleared["customMetaData"]),
            (&json!([]), &json!({}))
        );
        assert_eq!(
            patch(json!({"name": null})).await.expect(400)["details"][0]["field"],
            "name"
        );
        let limited = patch(json!({"rateLimitConfigs": {"rateLimit": 7, "rateLimitTtl": 9}}));
        limited.await.expect(200);
        for misspelt in [
            json!({"rate_limit": 3}),
            json!({}),
            json!({"rateLimitTtl": 9}),
        ] {
            let kept = patch(json!({"rateLimitConfigs": misspelt}))
                .await
                .expect(200);
            assert_eq!(
                kept["rateLimitConfigs"],
                json!({"rateLimit": 7, "rateLimitTtl": 9})
            );
        }
        let moved = patch(json!({"projectId": "prj_0123456789abcdef"}))
            .await
            .expect(400);
        assert_eq!(moved["details"][0]["field"], "projectId");
    }
);

on_both_engines!(revoked_and_reactivated, async |app| {
    let tenant = app.tenant("Acme").await;
    let key = app.api_key(&tenant, json!({})).await;
    let path = format!("/api-keys/{}", key["id"].as_str().unwrap());
    let check = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
    let ask = async |method, path: &str| app.request(method, path).key(tenant.owner()).send().await;
    ask("POST", &check).await.expect(200);
    assert_eq!(
        ask("DELETE", &format!("{path}?reason=unused"))
            .await
            .expect(200),
        json!(true)
    );
    assert_eq!(
        ask("POST", &check).await.expect(404)["message"],
        "Invalid client key"
    );
    let revoked = ask("GET", &path).await.expect(200);
    assert_eq!(
        (&revoked["isActive"], &revoked["reason"]),
        (&json!(false), &json!("unused"))
    );
    assert_ne!(revoked["revokedAt"], json!(null));
    let back = ask("PATCH", &format!("{path}/reactivate"))
        .await
        .expect(200);
    assert_eq!(
        (&back["isActive"], &back["revokedAt"]),
        (&json!(true), &json!(null))
    );
    ask("POST", &check).await.expect(200);
    ask("DELETE", &format!("{path}?reason=compromised"))
        .await
        .expect(200);
    let refused = ask("PATCH", &format!("{path}/reactivate"))
        .await
        .expect(409);
    assert_eq!(refused["code"], "key_compromised");
    // Nor by a detour: another reason, then reactivating.
    ask("DELETE", &format!("{path}?reason=other"))
        .await
        .expect(200);
    ask("PATCH", &format!("{path}/reactivate"))
        .await
        .expect(409);
    let switched = app
        .request("PATCH", &path)
        .key(tenant.owner())
        .json(json!({"isActive": true}));
    assert_eq!(switched.send().await.expect(409)["code"], "key_compromised");
    assert_eq!(
        ask("DELETE", &format!("{path}?reason=whim"))
            .await
            .expect(400)["details"][0]["field"],
        "reason"
    );
});

on_both_engines!(suspending_answers_like_revoking, async |app| {
    let tenant = app.tenant("Acme").await;
    let key = app.api_key(&tenant, json!({})).await;
    let path = format!("/api-keys/{}", key["id"].as_str().unwrap());
    let patch = async |body| {
        app.request("PATCH", &path)
            .key(tenant.owner())
            .json(body)
            .send()
            .await
    };
    let suspended = patch(json!({"status": "suspended"})).await.expect(200);
    assert_eq!(
        (&suspended["isActive"], &suspended["status"]),
        (&json!(false), &json!("suspended"))
    );
    let verify = app.request("POST", "/api-keys/verify").key(tenant.owner());
    let verified = verify
        .json(json!({"key": key["key"]}))
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&verified["valid"], &verified["code"]),
        (&json!(false), &json!("REVOKED"))
    );
    assert_eq!(verified.get("key"), None);
    let contradiction = patch(json!({"isActive": true, "status": "inactive"}))
        .await
        .expect(400);
    assert_eq!(contradiction["details"][0]["field"], "isActive");
    assert_eq!(
        patch(json!({"isActive": true})).await.expect(200)["status"],
        "active"
    );
    let log = claviger_store::events::of_account(&app.core.db, &tenant.account.id, 100)
        .await
        .unwrap();
    let kinds: Vec<_> = log
        .iter()
        .filter(|event| event.target == key["id"])
        .map(|event| &*event.kind)
        .collect();
    assert_eq!(
        kinds,
        ["api-key.created", "api-key.deleted", "api-key.reactivated"]
    );
});

on_both_engines!(a_purged_key_is_gone_and_only_an_owner_purges, async |app| {
    let tenant = app.tenant("Acme").await;
    let key = app.api_key(&tenant, json!({})).await;
    let path = format!("/api-keys/{}", key["id"].as_str().unwrap());
    let purge = format!("{path}?purge=true");
    let admin = tenant.key(claviger_domain::role::Role::Admin);
    app.request("DELETE", &purge)
        .key(admin)
        .send()
        .await
        .expect(403);
    app.request("GET", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    app.request("DELETE", &purge)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    app.request("GET", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(404);
    let check = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
    app.request("POST", &check)
        .key(tenant.owner())
        .send()
        .await
        .expect(404);
});

on_both_engines!(a_custom_key_is_used_as_it_is, async |app| {
    let tenant = app.tenant("Acme").await;
    let key = app
        .api_key(&tenant, json!({"key": "customers-own-key-1"}))
        .await;
    assert_eq!(key["key"], "customers-own-key-1");
    let path = format!("/api-keys/{}", key["id"].as_str().unwrap());
    let reference = format!("{}*********", key["id"].as_str().unwrap());
    let ask = async |method, path: &str| app.request(method, path).key(tenant.owner()).send().await;
    assert_eq!(ask("GET", &path).await.expect(200)["key"], reference);
    assert_eq!(
        ask("GET", "/api-keys/customers-own-key-1")
            .await
            .expect(200)["id"],
        key["id"]
    );
    ask("POST", "/api-keys/auth/customers-own-key-1")
        .await
        .expect(200);
    let again = app.request("POST", "/api-keys").key(tenant.owner());
    let again = again
        .json(json!({"name": "x", "projectId": tenant.project.id, "key": "customers-own-key-1"}));
    assert_eq!(again.send().await.expect(409)["code"], "duplicate_key");
    // Another family of accounts may have the same one.
    let other = app.tenant("Other").await;
    app.api_key(&other, json!({"key": "customers-own-key-1"}))
        .await;
    let checked = ask("POST", "/api-keys/auth/customers-own-key-1")
        .await
        .expect(200);
    assert_eq!(checked["id"], key["id"]);

    let patch = async |body| {
        app.request("PATCH", &path)
            .key(tenant.owner())
            .json(body)
            .send()
            .await
    };
    patch(json!({"key": "customers-own-key-2"}))
        .await
        .expect(200);
    ask("POST", "/api-keys/auth/customers-own-key-1")
        .await
        .expect(404);
    ask("POST", "/api-keys/auth/customers-own-key-2")
        .await
        .expect(200);
    patch(json!({"key": reference})).await.expect(200);
    ask("POST", "/api-keys/auth/customers-own-key-2")
        .await
        .expect(200);
    let generated = app.api_key(&tenant, json!({})).await;
    let path = format!("/api-keys/{}", generated["id"].as_str().unwrap());
    let rekey = app
        .request("PATCH", &path)
        .key(tenant.owner())
        .json(json!({"key": "customers-own-key-3"}));
    assert_eq!(rekey.send().await.expect(400)["code"], "invalid_key");
});

#[tokio::test]
async fn the_project_is_needed_unless_there_is_exactly_one() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let create = async |key: &str| {
        app.request("POST", "/api-keys")
            .key(key)
            .json(json!({"name": "x"}))
            .send()
            .await
    };
    assert_eq!(
        create(tenant.owner()).await.expect(201)["projectId"],
        json!(tenant.project.id)
    );
    let second = app.request("POST", "/projects").key(tenant.owner());
    let second = second
        .json(json!({"name": "Second", "env": "test"}))
        .send()
        .await
        .expect(201);
    assert_eq!(
        create(tenant.owner()).await.expect(400)["code"],
        "project_needed"
    );
    let developer = tenant.project_key(claviger_domain::role::Role::Developer);
    assert_eq!(
        create(developer).await.expect(201)["projectId"],
        json!(tenant.project.id)
    );
    let test_key = app
        .api_key(&tenant, json!({"projectId": second["id"]}))
        .await;
    assert!(test_key["key"].as_str().unwrap().starts_with("test_"));
    let operator = app.operator_key.expose();
    assert_eq!(create(operator).await.expect(400)["code"], "account_needed");
    // What was in memory of its projects is told of each change to them.
    let delete = async |id: &serde_json::Value| {
        let path = format!("/projects/{}", id.as_str().unwrap());
        let deleted = app.request("DELETE", &path).key(tenant.owner()).send();
        deleted.await
    };
    assert!(delete(&second["id"]).await.status.is_success());
    assert_eq!(
        create(tenant.owner()).await.expect(201)["projectId"],
        json!(tenant.project.id)
    );
    let named = json!({"name": "x", "projectId": tenant.project.id});
    let create_named = async |key: &str| {
        let asked = app.request("POST", "/api-keys").key(key);
        asked.json(named.clone()).send().await
    };
    create_named(tenant.owner()).await.expect(201);
    let stranger = app.tenant("Stranger").await;
    create_named(stranger.owner()).await.expect(404);
    assert!(delete(&json!(tenant.project.id)).await.status.is_success());
    create_named(tenant.owner()).await.expect(404);
    assert_eq!(
        create(tenant.owner()).await.expect(400)["code"],
        "project_needed"
    );
}

#[tokio::test]
async fn malformed_members_are_named() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let cases = [
        (json!({}), "name"),
        (json!({"name": " "}), "name"),
        (json!({"name": 1}), "name"),
        (json!({"name": "x".repeat(256)}), "name"),
        (json!({"name": "x", "expiry": "soon"}), "expiry"),
        (
            json!({"name": "x", "rateLimitConfigs": {"rateLimit": 0}}),
            "rateLimitConfigs",
        ),
        (
            json!({"name": "x", "rateLimitConfigs": {"rateLimit": 1.5}}),
            "rateLimitConfigs.rateLimit",
        ),
        (
            json!({"name": "x", "rateLimit": 1, "rateLimitTtl": 2_678_401}),
            "rateLimitConfigs",
        ),
        (
            json!({"name": "x", "allowedDomains": ["a", "https://b"]}),
            "allowedDomains[1]",
        ),
        (
            json!({"name": "x", "allowedIps": ["10.0.0.0/33"]}),
            "allowedIps[0]",
        ),
        (
            json!({"name": "x", "quota": {"limit": 0, "period": "day"}}),
            "quota.limit",
        ),
        (
            json!({"name": "x", "quota": {"limit": 1, "period": "year"}}),
            "quota.period",
        ),
        (
            json!({"name": "x", "customMetaData": "x".repeat(17_000)}),
            "customMetaData",
        ),
        (json!({"name": "x", "key": "short"}), "key"),
        (json!({"name": "x", "scopes": ["a b"]}), "scopes[0]"),
    ];
    for (body, field) in cases {
        let request = app
            .request("POST", "/api-keys")
            .key(tenant.owner())
            .json(body.clone());
        let answer = request.send().await.expect(400);
        assert_eq!(answer["details"][0]["field"], field, "{body}: {answer}");
    }
}

#[tokio::test]
async fn a_deleted_project_takes_its_keys_with_it() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let key = app
        .api_key(&tenant, json!({"key": "customers-own-key-1"}))
        .await;
    app.request("POST", "/api-keys/auth/customers-own-key-1")
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    let path = format!("/projects/{}", tenant.project.id);
    app.request("DELETE", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    app.request("POST", "/api-keys/auth/customers-own-key-1")
        .key(tenant.owner())
        .send()
        .await
        .expect(404);
    let shown = format!("/api-keys/{}", key["id"].as_str().unwrap());
    app.request("GET", &shown)
        .key(tenant.owner())
        .send()
        .await
        .expect(404);
    app.request("GET", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(404);
}

on_both_engines!(
    a_key_that_is_off_can_still_be_said_to_be_compromised,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let key = app.api_key(&tenant, json!({})).await;
        let path = format!("/api-keys/{}", key["id"].as_str().unwrap());
        let patch = async |body| {
            app.request("PATCH", &path)
                .key(tenant.owner())
                .json(body)
                .send()
                .await
        };
        patch(json!({"status": "inactive", "reason": "billing"}))
            .await
            .expect(200);
        let suspended = patch(json!({"status": "suspended"})).await.expect(200);
        assert_eq!(suspended["reason"], "billing");
        let noted = patch(json!({"status": "suspended", "reason": "compromised"}))
            .await
            .expect(200);
        assert_eq!(noted["reason"], "compromised");
        assert_eq!(
            patch(json!({"isActive": true})).await.expect(409)["code"],
            "key_compromised"
        );
        patch(json!({"reason": "whim"})).await.expect(400);
    }
);
