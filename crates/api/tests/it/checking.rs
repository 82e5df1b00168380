//! May this key pass now: the answers, the headers, what is counted.

use claviger_domain::role::Role;
use claviger_testkit::{TestApp, on_both_engines};
use serde_json::json;

on_both_engines!(a_limit_is_told_and_kept, async |app| {
    let tenant = app.tenant("Acme").await;
    let key = app
        .api_key(&tenant, json!({"rateLimit": 2, "rateLimitTtl": 10}))
        .await;
    let path = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
    let check = async || app.request("POST", &path).key(tenant.owner()).send().await;
    let first = check().await;
    assert_eq!(first.status, 200);
    let told: Vec<_> = [
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-consumed",
    ]
    .map(|name| first.header(name).to_owned())
    .into();
    assert_eq!(told, ["2", "1", "1"]);
    let reset = first.header("ratelimit-reset").to_owned();
    assert!(reset.ends_with('Z'), "{reset}");
    app.advance(4);
    check().await.expect(200);
    let refused = check().await;
    assert_eq!(refused.header("ratelimit-reset"), reset);
    assert_eq!(refused.header("retry-after"), "6");
    assert_eq!(refused.header("retry-after-seconds"), "6.000");
    let refused = refused.expect(429);
    assert_eq!(
        (&refused["statusCode"], &refused["message"]),
        (&json!(429), &json!("Too many requests"))
    );
    app.advance(6);
    check().await.expect(200);
});

on_both_engines!(a_quota_is_told_and_kept, async |app| {
    let tenant = app.tenant("Acme").await;
    let key = app
        .api_key(&tenant, json!({"quota": {"limit": 1, "period": "month"}}))
        .await;
    let path = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
    let first = app
        .request("POST", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    assert_eq!(first["quota"]["used"], 1);
    let refused = app
        .request("POST", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(429);
    assert_eq!(refused["message"], "Monthly request quota exceeded");
    assert_eq!(refused["code"], "quota_exceeded");
    let daily = app
        .api_key(&tenant, json!({"quota": {"limit": 1, "period": "day"}}))
        .await;
    let path = format!("/api-keys/auth/{}", daily["key"].as_str().unwrap());
    app.request("POST", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    let refused = app
        .request("POST", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(429);
    assert_eq!(refused["message"], "Daily request quota exceeded");
});

#[tokio::test]
async fn locks_are_kept() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let key = app
        .api_key(
            &tenant,
            json!({"allowedDomains": ["*.example.com"], "allowedIps": ["192.0.2.0/24"]}),
        )
        .await;
    let path = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
    let check = async |origin: &str, ip: &str| {
        let request = app.request("POST", &path).key(tenant.owner());
        request
            .header("x-origin-domain", origin)
            .header("x-client-ip", ip)
            .send()
            .await
    };
    check("https://app.example.com/page", "192.0.2.7")
        .await
        .expect(200);
    let refused = check("https://example.org", "192.0.2.7").await.expect(403);
    assert_eq!(
        refused["message"],
        "Origin domain is not allowed for this API key"
    );
    assert_eq!(
        check("app.example.com", "198.51.100.1").await.expect(403)["code"],
        "ip_not_allowed"
    );
    let without = app.request("POST", &path).key(tenant.owner()).send().await;
    assert_eq!(without.expect(403)["code"], "origin_not_allowed");
}

on_both_engines!(verify_says_why, async |app| {
    let tenant = app.tenant("Acme").await;
    let other = app.tenant("Other").await;
    let live = app
        .api_key(&tenant, json!({"rateLimit": 3, "scopes": ["read"]}))
        .await;
    let expired = app.api_key(&tenant, json!({"expiry": "2001-01-01"})).await;
    let foreign = app.api_key(&other, json!({})).await;
    let verify = async |body| {
        app.request("POST", "/api-keys/verify")
            .key(tenant.owner())
            .json(body)
            .send()
            .await
            .expect(200)
    };
    let valid = verify(json!({"key": live["key"], "scopes": ["read"]})).await;
    assert_eq!(
        (&valid["valid"], &valid["code"]),
        (&json!(true), &json!("VALID"))
    );
    assert_eq!(valid["key"]["id"], live["id"]);
    assert_eq!(valid["rateLimit"]["remaining"], 2);
    let code = async |body| verify(body).await["code"].as_str().unwrap().to_owned();
    assert_eq!(code(json!({"key": expired["key"]})).await, "EXPIRED");
    assert_eq!(code(json!({"key": foreign["key"]})).await, "NOT_FOUND");
    assert_eq!(code(json!({"key": live["id"]})).await, "NOT_FOUND");
    assert_eq!(
        code(json!({"key": live["key"], "scopes": ["write"]})).await,
        "SCOPE_MISSING"
    );
    assert_eq!(
        code(json!({"key": live["key"], "projectId": "prj_x"})).await,
        "WRONG_PROJECT"
    );
    let dry = verify(json!({"key": live["key"], "dryRun": true})).await;
    assert_eq!(
        (&dry["code"], &dry["rateLimit"]["remaining"]),
        (&json!("VALID"), &json!(1))
    );
    assert_eq!(
        verify(json!({"key": live["key"]})).await["rateLimit"]["remaining"],
        1
    );
    assert_eq!(
        code(json!({"key": live["key"], "cost": 2})).await,
        "RATE_LIMITED"
    );
    assert_eq!(code(json!({"key": live["key"], "cost": 0})).await, "VALID");
    let rules = verify(json!({"key": expired["key"]})).await["checks"].clone();
    let failed = rules
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["passed"] == false)
        .unwrap();
    assert_eq!(failed["check"], "expiry");
});

#[tokio::test]
async fn a_batch_answers_in_order_and_has_a_bound() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let key = app.api_key(&tenant, json!({"rateLimit": 2})).await;
    let keys = json!([{"key": key["key"]}, {"key": "unknown-key-text"}, {"key": key["key"]}, {"key": key["key"]}]);
    let batch = app
        .request("POST", "/api-keys/verify/batch")
        .key(tenant.owner());
    let answers = batch.json(json!({"keys": keys})).send().await.expect(200);
    let codes: Vec<_> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["VALID", "NOT_FOUND", "VALID", "RATE_LIMITED"]);
    let many: Vec<_> = (0..101)
        .map(|_| json!({"key": "unknown-key-text"}))
        .collect();
    let batch = app
        .request("POST", "/api-keys/verify/batch")
        .key(tenant.owner());
    batch.json(json!({"keys": many})).send().await.expect(400);
}

on_both_engines!(explaining_counts_nothing_and_needs_no_key, async |app| {
    let tenant = app.tenant("Acme").await;
    let key = app
        .api_key(
            &tenant,
            json!({"rateLimit": 1, "allowedDomains": ["example.com"]}),
        )
        .await;
    let path = format!("/api-keys/{}/auth", key["id"].as_str().unwrap());
    let viewer = tenant.key(Role::Viewer);
    for _ in 0..3 {
        let request = app
            .request("POST", &path)
            .key(viewer)
            .json(json!({"origin": "example.com"}));
        let told = request.send().await.expect(200);
        assert_eq!(
            (&told["wouldAnswer"], &told["code"]),
            (&json!(200), &json!("VALID"))
        );
        assert_eq!(told.get("key"), None);
    }
    let told = app
        .request("GET", &path)
        .key(viewer)
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&told["wouldAnswer"], &told["code"]),
        (&json!(403), &json!("ORIGIN_NOT_ALLOWED"))
    );
    let path = format!(
        "/api-keys/auth?key={}&explain=true",
        key["key"].as_str().unwrap()
    );
    for _ in 0..3 {
        let request = app
            .request("GET", &path)
            .key(tenant.owner())
            .header("x-origin-domain", "example.com");
        request.send().await.expect(200);
    }
    app.flush().await;
    let shown = format!("/api-keys/{}", key["id"].as_str().unwrap());
    let shown = app
        .request("GET", &shown)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    assert_eq!(shown["firstUsedAt"], json!(null));
});

on_both_engines!(use_is_noted_and_does_not_move_updated_at, async |app| {
    let tenant = app.tenant("Acme").await;
    let key = app.api_key(&tenant, json!({})).await;
    app.advance(60);
    let path = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
    for _ in 0..3 {
        app.request("POST", &path)
            .key(tenant.owner())
            .send()
            .await
            .expect(200);
    }
    app.flush().await;
    app.flush().await;
    let shown = format!("/api-keys/{}", key["id"].as_str().unwrap());
    let shown = app
        .request("GET", &shown)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    assert_eq!(shown["updatedAt"], key["updatedAt"]);
    assert_ne!(shown["firstUsedAt"], json!(null));
    assert_eq!(shown["firstUsedAt"], shown["lastUsedAt"]);
    let log = claviger_store::events::of_account(&app.core.db, &tenant.account.id, 100)
        .await
        .unwrap();
    assert_eq!(
        log.iter()
            .filter(|event| event.kind == "api-key.firstUsed")
            .count(),
        1
    );
});

#[tokio::test]
async fn a_key_that_names_projects_passes_no_other() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let second = app
        .request("POST", "/projects")
        .key(tenant.owner())
        .json(json!({"name": "Second"}));
    let second = second.send().await.expect(201);
    let elsewhere = app
        .api_key(&tenant, json!({"projectId": second["id"]}))
        .await;
    let path = format!("/api-keys/auth/{}", elsewhere["key"].as_str().unwrap());
    app.request("POST", &path)
        .key(tenant.project_key(Role::Verifier))
        .send()
        .await
        .expect(404);
    app.request("POST", &path)
        .key(tenant.key(Role::Verifier))
        .send()
        .await
        .expect(200);
    let request = app.request("POST", &path).key(tenant.owner());
    request
        .header("x-project-id", tenant.project.id.as_str())
        .send()
        .await
        .expect(404);
}

#[tokio::test]
async fn older_spellings_count_and_say_that_they_are_old() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let key = app
        .api_key(&tenant, json!({"rateLimit": 4, "customMetaData": {"a": 1}}))
        .await;
    let full = key["key"].as_str().unwrap();
    let by_path = app
        .request("GET", &format!("/api-keys/auth/{full}"))
        .key(tenant.owner())
        .send()
        .await;
    assert_eq!(by_path.header("deprecation"), "true");
    assert_eq!(by_path.header("ratelimit-remaining"), "3");
    by_path.expect(200);
    let head = app
        .request("HEAD", &format!("/api-keys/auth/{full}"))
        .key(tenant.owner())
        .send()
        .await;
    assert_eq!(head.status, 405);
    let head = app
        .request("HEAD", &format!("/api-keys/auth?key={full}"))
        .key(tenant.owner())
        .send()
        .await;
    assert_eq!(head.status, 405);
    let legacy = app
        .request("POST", "/auth/authenticate")
        .key(tenant.owner());
    let legacy = legacy
        .json(json!({"credentials": {"api_key": full}, "timestamp": 1}))
        .send()
        .await;
    let legacy = legacy.expect(201);
    assert_eq!(legacy["authenticated"], true);
    assert_eq!(legacy["customMetadata"], json!({"a": 1}));
    let again = app
        .request("POST", &format!("/api-keys/auth/{full}"))
        .key(tenant.owner())
        .send()
        .await;
    assert_eq!(again.header("ratelimit-remaining"), "1");
    let bad = app
        .request("POST", "/auth/authenticate")
        .key(tenant.owner())
        .json(json!({}));
    bad.send().await.expect(404);
}

#[tokio::test]
async fn a_callers_own_limit_covers_all_its_calls() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let limited = app.request("POST", "/access-keys").key(tenant.owner());
    let limited = limited.json(json!({"name": "limited", "rateLimit": 2, "rateLimitTtl": 30}));
    let limited = limited.send().await.expect(201);
    let key = limited["key"].as_str().unwrap();
    app.request("GET", "/api-keys")
        .key(key)
        .send()
        .await
        .expect(200);
    app.request("GET", "/nowhere")
        .key(key)
        .send()
        .await
        .expect(404);
    let refused = app.request("GET", "/api-keys").key(key).send().await;
    assert_eq!(refused.header("retry-after"), "30");
    assert_eq!(refused.expect(429)["code"], "caller_rate_limited");
    app.advance(30);
    app.request("GET", "/api-keys")
        .key(key)
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn what_an_end_user_typed_does_not_choose_not_to_be_counted() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let key = app.api_key(&tenant, json!({"rateLimit": 1})).await;
    let path = format!(
        "/api-keys/auth/{}?explain=true",
        key["key"].as_str().unwrap()
    );
    let verifier = tenant.project_key(Role::Verifier);
    app.request("GET", &path)
        .key(verifier)
        .send()
        .await
        .expect(200);
    app.request("GET", &path)
        .key(verifier)
        .send()
        .await
        .expect(429);
}

#[tokio::test]
async fn a_batch_with_a_cost_that_can_never_be_paid_counts_nothing() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let key = app.api_key(&tenant, json!({"rateLimit": 3})).await;
    let keys = json!([{"key": key["key"]}, {"key": key["key"], "cost": 4}]);
    let batch = app
        .request("POST", "/api-keys/verify/batch")
        .key(tenant.owner());
    let refused = batch.json(json!({"keys": keys})).send().await.expect(400);
    assert_eq!(refused["details"][0]["field"], "keys[1].cost");
    let verify = app.request("POST", "/api-keys/verify").key(tenant.owner());
    let verified = verify
        .json(json!({"key": key["key"], "cost": 0}))
        .send()
        .await
        .expect(200);
    assert_eq!(verified["rateLimit"]["consumed"], 0);
}

on_both_engines!(
    a_key_that_does_not_pass_says_why_whatever_the_cost,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let key = app
            .api_key(&tenant, json!({"rateLimit": 3, "expiry": "2001-01-01"}))
            .await;
        let verify = app.request("POST", "/api-keys/verify").key(tenant.owner());
        let verified = verify
            .json(json!({"key": key["key"], "cost": 5}))
            .send()
            .await
            .expect(200);
        assert_eq!(verified["code"], "EXPIRED");
    }
);
