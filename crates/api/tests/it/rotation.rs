//! Rotation: a successor with everything but the key string.

use claviger_testkit::on_both_engines;
use serde_json::{Value, json};

on_both_engines!(a_rotated_key_is_cloned_and_stops_at_once, async |app| {
    let tenant = app.tenant("Acme").await;
    let old = app
        .api_key(
            &tenant,
            json!({
                "customMetaData": {"a": 1}, "rateLimit": 7, "expiry": "2050-01-01", "scopes": ["s"],
                "allowedDomains": ["example.com"], "quota": {"limit": 3, "period": "day"},
            }),
        )
        .await;
    let ask =
        async |method, path: String| app.request(method, &path).key(tenant.owner()).send().await;
    let old_id = old["id"].as_str().unwrap();
    let new = ask("POST", format!("/api-keys/{old_id}/rotate"))
        .await
        .expect(201);
    assert_ne!((&new["id"], &new["key"]), (&old["id"], &old["key"]));
    for member in [
        "name",
        "customMetaData",
        "rateLimitConfigs",
        "expiresAt",
        "scopes",
        "allowedDomains",
        "quota",
        "projectId",
    ] {
        assert_eq!(new[member], old[member], "{member}");
    }
    assert_eq!(
        (&new["rotatedFrom"], &new["firstUsedAt"]),
        (&old["id"], &Value::Null)
    );
    let check = async |key: &Value| {
        let path = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
        app.request("POST", &path)
            .key(tenant.owner())
            .header("x-origin-domain", "example.com")
            .send()
            .await
    };
    check(&old).await.expect(404);
    check(&new).await.expect(200);
    let shown = ask("GET", format!("/api-keys/{old_id}")).await.expect(200);
    assert_eq!(
        (&shown["rotatedTo"], &shown["isActive"]),
        (&new["id"], &json!(false))
    );
    assert_eq!(
        ask("POST", format!("/api-keys/{old_id}/rotate"))
            .await
            .expect(404)["code"],
        "key_not_found"
    );
    let refused = ask("PATCH", format!("/api-keys/{old_id}/reactivate"))
        .await
        .expect(409);
    assert_eq!(refused["code"], "key_rotated");
});

on_both_engines!(grace_lets_both_pass_until_its_end, async |app| {
    let tenant = app.tenant("Acme").await;
    let old = app.api_key(&tenant, json!({})).await;
    let path = format!("/api-keys/{}/rotate", old["id"].as_str().unwrap());
    let rotate = async || {
        app.request("POST", &path)
            .key(tenant.owner())
            .json(json!({"gracePeriod": 60}))
            .send()
            .await
    };
    let new = rotate().await.expect(201);
    assert_eq!(rotate().await.expect(409)["code"], "key_in_grace");
    let check = async |key: &Value| {
        let path = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
        app.request("POST", &path)
            .key(tenant.owner())
            .send()
            .await
            .status
            .as_u16()
    };
    assert_eq!((check(&old).await, check(&new).await), (200, 200));
    app.advance(60);
    assert_eq!((check(&old).await, check(&new).await), (404, 200));
    let shown = format!("/api-keys/{}", old["id"].as_str().unwrap());
    let shown = app
        .request("GET", &shown)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&shown["isActive"], &shown["status"]),
        (&json!(false), &json!("inactive"))
    );
});

on_both_engines!(revoking_wins_over_grace, async |app| {
    let tenant = app.tenant("Acme").await;
    let old = app.api_key(&tenant, json!({})).await;
    let path = format!("/api-keys/{}", old["id"].as_str().unwrap());
    let rotate = app
        .request("POST", &format!("{path}/rotate"))
        .key(tenant.owner());
    rotate
        .json(json!({"gracePeriod": 600}))
        .send()
        .await
        .expect(201);
    app.request("DELETE", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    let check = format!("/api-keys/auth/{}", old["key"].as_str().unwrap());
    app.request("POST", &check)
        .key(tenant.owner())
        .send()
        .await
        .expect(404);
});

on_both_engines!(grace_never_outlives_the_keys_own_expiry, async |app| {
    let tenant = app.tenant("Acme").await;
    let now = app.core.now();
    let old = app
        .api_key(&tenant, json!({"expiry": now.plus_seconds(30).to_string()}))
        .await;
    let path = format!("/api-keys/{}/rotate", old["id"].as_str().unwrap());
    let rotate = app
        .request("POST", &path)
        .key(tenant.owner())
        .json(json!({"gracePeriod": 600}));
    rotate.send().await.expect(201);
    app.advance(31);
    let check = format!("/api-keys/auth/{}", old["key"].as_str().unwrap());
    app.request("POST", &check)
        .key(tenant.owner())
        .send()
        .await
        .expect(404);
});

on_both_engines!(a_custom_keys_successor_is_a_generated_one, async |app| {
    let tenant = app.tenant("Acme").await;
    let old = app
        .api_key(&tenant, json!({"key": "customers-own-key-1"}))
        .await;
    let path = format!("/api-keys/{}/rotate", old["id"].as_str().unwrap());
    let new = app
        .request("POST", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(201);
    assert_eq!(new["key"].as_str().unwrap().len(), "live_".len() + 64);
});

on_both_engines!(what_a_rotated_key_says_of_its_limit_is_past, async |app| {
    let tenant = app.tenant("Acme").await;
    let old = app
        .api_key(&tenant, json!({"rateLimit": 10, "rateLimitTtl": 60}))
        .await;
    let place = format!("/api-keys/{}", old["id"].as_str().unwrap());
    let rotate = app
        .request("POST", &format!("{place}/rotate"))
        .key(tenant.owner());
    let new = rotate.send().await.expect(201);
    let limit = json!({"rateLimit": 1, "rateLimitTtl": 86_400});
    let path = format!("/api-keys/{}", new["id"].as_str().unwrap());
    app.request("PATCH", &path)
        .key(tenant.owner())
        .json(limit)
        .send()
        .await
        .expect(200);
    let check = format!("/api-keys/auth/{}", new["key"].as_str().unwrap());
    app.request("POST", &check)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    app.advance(120);
    app.request("POST", &check)
        .key(tenant.owner())
        .send()
        .await
        .expect(429);
    app.request("DELETE", &place)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    let rename = app
        .request("PATCH", &place)
        .key(tenant.owner())
        .json(json!({"name": "Old"}));
    rename.send().await.expect(200);
    app.request("POST", &check)
        .key(tenant.owner())
        .send()
        .await
        .expect(429);
});
