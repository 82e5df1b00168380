//! Abuse cases, named like their rows in the threat table.

use claviger_domain::role::Role;
use claviger_testkit::{TestApp, on_both_engines};
use serde_json::{Value, json};

#[tokio::test]
async fn dot_segments_as_an_end_users_key_sent_raw_with_any_key_are_404() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let key = app.api_key(&tenant, json!({})).await;
    let id = key["id"].as_str().unwrap();
    let typed = [
        "..".to_owned(),
        "%2e%2e/x".to_owned(),
        "..%5cx".to_owned(),
        "../verify".to_owned(),
        format!("../{id}/rotate"),
        format!("%2e%2e%2f{id}%2frotate"),
        format!("..%2f{id}"),
    ];
    for credential in [
        tenant.owner(),
        tenant.project_key(Role::Verifier),
        app.operator_key.expose(),
    ] {
        for text in &typed {
            for method in ["GET", "POST", "PATCH", "DELETE"] {
                let path = format!("/api-keys/auth/{text}");
                app.request(method, &path)
                    .key(credential)
                    .send()
                    .await
                    .expect(404);
            }
        }
    }
    let path = format!("/api-keys/{id}");
    let shown = app
        .request("GET", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&shown["rotatedTo"], &shown["isActive"]),
        (&json!(null), &json!(true))
    );
}

on_both_engines!(
    an_id_a_reference_another_tenants_revoked_or_expired_key_authenticates_nowhere,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let other = app.tenant("Other").await;
        let key = app.api_key(&tenant, json!({})).await;
        let reference = format!(
            "{}*********",
            &key["key"].as_str().unwrap()[.."live_".len() + 16]
        );
        let revoked = app.api_key(&tenant, json!({})).await;
        let path = format!("/api-keys/{}", revoked["id"].as_str().unwrap());
        app.request("DELETE", &path)
            .key(tenant.owner())
            .send()
            .await
            .expect(200);
        let expired = app.api_key(&tenant, json!({"expiry": "2001-01-01"})).await;
        let foreign = app.api_key(&other, json!({})).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let offered = [
            text(&key["id"]),
            reference,
            text(&foreign["key"]),
            text(&revoked["key"]),
            text(&expired["key"]),
            tenant.owner().to_owned(),
            "live_short".to_owned(),
        ];
        for text in offered {
            let by_path = app
                .request("POST", &format!("/api-keys/auth/{text}"))
                .key(tenant.owner());
            let refused = by_path.send().await.expect(404);
            assert_eq!(refused["message"], "Invalid client key", "{text}");
            let legacy = app
                .request("POST", "/auth/authenticate")
                .key(tenant.owner());
            legacy
                .json(json!({"credentials": {"api_key": text}}))
                .send()
                .await
                .expect(404);
        }
    }
);

on_both_engines!(
    an_object_of_another_account_by_id_reference_full_key_or_filter,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let other = app.tenant("Other").await;
        let theirs = app.api_key(&other, json!({"customAccountId": "c"})).await;
        let full = theirs["key"].as_str().unwrap();
        let reference = format!("{}*********", &full[.."live_".len() + 16]);
        for name in [theirs["id"].as_str().unwrap(), &reference, full] {
            let path = format!("/api-keys/{name}");
            let refused = app
                .request("GET", &path)
                .key(tenant.owner())
                .send()
                .await
                .expect(404);
            assert_eq!(refused["message"], "API key not found");
            app.request("PATCH", &path)
                .key(tenant.owner())
                .json(json!({"name": "x"}))
                .send()
                .await
                .expect(404);
            app.request("DELETE", &path)
                .key(tenant.owner())
                .send()
                .await
                .expect(404);
            let filter = format!("/api-keys?key={name}");
            let list = app.request("GET", &filter).key(tenant.owner()).send().await;
            assert_eq!(
                (list.header("x-total-count"), &list.body),
                ("0", &json!([]))
            );
        }
        for path in [
            format!("/api-keys?projectId={}", other.project.id),
            format!("/api-keys?accountId={}", other.account.id),
            format!("/projects?accountId={}", other.account.id),
            format!("/access-keys?accountId={}", other.account.id),
            format!("/access-keys?projectId={}", other.project.id),
        ] {
            app.request("GET", &path)
                .key(tenant.owner())
                .send()
                .await
                .expect(404);
        }
        let path = "/api-keys?customAccountId=c";
        let list = app
            .request("GET", path)
            .key(tenant.owner())
            .send()
            .await
            .expect(200);
        assert_eq!(list, json!([]));
    }
);

#[tokio::test]
async fn custom_key_shaped_as_an_id_a_reference_an_access_key_or_shorter_than_12() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let existing = app.api_key(&tenant, json!({})).await;
    let reference = format!(
        "{}*********",
        &existing["key"].as_str().unwrap()[.."live_".len() + 16]
    );
    let offered = [
        "key_0123456789abcdef",
        &reference,
        tenant.owner(),
        "elevenchars",
        "clvmcp_0123456789",
    ];
    for text in offered {
        let request = app.request("POST", "/api-keys").key(tenant.owner());
        let request = request.json(json!({"name": "x", "key": text}));
        assert_eq!(
            request.send().await.expect(400)["code"],
            "invalid_key",
            "{text}"
        );
    }
}

on_both_engines!(
    rotate_or_re_create_at_the_limit_and_odd_costs,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let key = app
            .api_key(
                &tenant,
                json!({"rateLimit": 2, "quota": {"limit": 5, "period": "month"}}),
            )
            .await;
        let check = async |key: &Value| {
            let path = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
            app.request("POST", &path)
                .key(tenant.owner())
                .send()
                .await
                .status
                .as_u16()
        };
        assert_eq!(
            [check(&key).await, check(&key).await, check(&key).await],
            [200, 200, 429]
        );
        let path = format!("/api-keys/{}", key["id"].as_str().unwrap());
        let rotate = app
            .request("POST", &format!("{path}/rotate"))
            .key(tenant.owner());
        let new = rotate
            .json(json!({"gracePeriod": 60}))
            .send()
            .await
            .expect(201);
        assert_eq!([check(&new).await, check(&key).await], [429, 429]);
        // Switching it off and on, and changing it, start no new window either.
        let path = format!("/api-keys/{}", new["id"].as_str().unwrap());
        app.request("DELETE", &path)
            .key(tenant.owner())
            .send()
            .await
            .expect(200);
        app.request("PATCH", &format!("{path}/reactivate"))
            .key(tenant.owner())
            .send()
            .await
            .expect(200);
        app.request("PATCH", &path)
            .key(tenant.owner())
            .json(json!({"name": "y"}))
            .send()
            .await
            .expect(200);
        assert_eq!(check(&new).await, 429);
        for cost in [json!(-1), json!(0.5), json!(1e300), json!(3), json!("1")] {
            let verify = app.request("POST", "/api-keys/verify").key(tenant.owner());
            let refused = verify
                .json(json!({"key": new["key"], "cost": cost}))
                .send()
                .await
                .expect(400);
            assert_eq!(refused["details"][0]["field"], "cost", "{cost}");
        }
    }
);

#[tokio::test]
async fn random_well_formed_keys_push_no_real_key_out() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let other = app.tenant("Other").await;
    let key = app.api_key(&other, json!({})).await;
    let real = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
    app.request("POST", &real)
        .key(other.owner())
        .send()
        .await
        .expect(200);
    for drawn in 0..2_000 {
        if drawn % 400 == 0 {
            // Within the budget of a second, which would stop them sooner.
            app.advance(1);
        }
        let random = claviger_domain::key_string::KeyPurpose::ApiKey(
            claviger_domain::key_string::Environment::Live,
        );
        let drawn = random.draw(&*app.core.random);
        let path = format!("/api-keys/auth/{}", drawn.plain.expose());
        app.request("POST", &path)
            .key(tenant.owner())
            .send()
            .await
            .expect(404);
    }
    // The real one is answered without the database, and so is whoever asks.
    app.core.db.close().await;
    app.request("POST", &real)
        .key(other.owner())
        .send()
        .await
        .expect(200);
}
