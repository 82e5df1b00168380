//! What a reverse proxy is told of a request that it has in hand.

use std::net::SocketAddr;

use claviger_domain::role::Role;
use claviger_testkit::{PROXY, TestApp, TestRequest, on_both_engines};
use serde_json::{Value, json};

fn asked(app: &TestApp, verifier: &str, key: &Value) -> TestRequest {
    asked_by(app, "/forward-auth", verifier, key)
}

fn asked_by(app: &TestApp, path: &str, verifier: &str, key: &Value) -> TestRequest {
    app.request("GET", path)
        .header("x-claviger-access-key", verifier)
        .header("authorization", &format!("Bearer {}", text(key)))
        .from(SocketAddr::new(PROXY, 50_000))
}

fn text(key: &Value) -> &str {
    key["key"].as_str().expect("a key has its text")
}

on_both_engines!(a_key_that_may_pass_is_told_by_headers, async |app| {
    let tenant = app.tenant("Acme").await;
    let verifier = tenant.project_key(Role::Verifier);
    let key = app
        .api_key(
            &tenant,
            json!({"customAccountId": "Zoë & 100% Ltd", "rateLimit": 2}),
        )
        .await;
    let answer = asked(&app, verifier, &key).send().await;
    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("x-claviger-key-id", key["id"].as_str().unwrap()),
        ("x-claviger-project-id", tenant.project.id.as_str()),
        ("x-claviger-account-id", "Zo%C3%AB%20&%20100%25%20Ltd"),
        ("ratelimit-remaining", "1"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    // There although it is empty: a proxy that copies it overwrites what the end user sent.
    assert_eq!(answer.headers["x-claviger-user-id"], "");
    assert_eq!(answer.body, Value::Null);
});

on_both_engines!(it_counts_as_authenticating_does, async |app| {
    let tenant = app.tenant("Acme").await;
    let verifier = tenant.project_key(Role::Verifier);
    let key = app.api_key(&tenant, json!({"rateLimit": 3})).await;
    let path = format!("/api-keys/auth/{}", text(&key));
    for method in ["GET", "POST"] {
        let request = app.request(method, "/forward-auth").key(text(&key));
        let answer = request.header("x-claviger-access-key", verifier).send();
        answer.await.expect(200);
    }
    let authenticated = app.request("POST", &path).key(verifier).send().await;
    assert_eq!(authenticated.header("ratelimit-consumed"), "3");
    let refused = asked(&app, verifier, &key).send().await;
    assert_eq!(refused.header("retry-after"), "60");
    assert_eq!(refused.header("x-claviger-code"), "rate_limited");
    assert_eq!(refused.expect(429), Value::Null);
    app.flush().await;
    let show = app.request("GET", &format!("/api-keys/{}", key["id"].as_str().unwrap()));
    let shown = show.key(tenant.owner()).send().await.expect(200);
    assert!(shown["lastUsedAt"].is_string(), "{shown}");
});

#[tokio::test]
async fn a_key_that_is_none_is_one_401_without_a_word_why() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let foreign = app.tenant("Foreign").await;
    let verifier = tenant.key(Role::Verifier);
    let revoked = app.api_key(&tenant, json!({})).await;
    let path = format!("/api-keys/{}", revoked["id"].as_str().unwrap());
    let delete = app.request("DELETE", &path).key(tenant.owner());
    assert!(delete.send().await.status.is_success());
    let expired = app.api_key(&tenant, json!({"expiry": "2001-01-01"})).await;
    let theirs = app.api_key(&foreign, json!({})).await;
    let live = app.api_key(&tenant, json!({})).await;
    let id = json!({"key": live["id"]});
    for key in [revoked, expired, theirs, id, json!({"key": ""})] {
        let refused = asked(&app, verifier, &key).send().await;
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        assert_eq!(refused.header("x-claviger-code"), "unauthorized");
        assert!(refused.headers.get("x-claviger-key-id").is_none());
        assert_eq!(refused.expect(401), Value::Null, "{key}");
    }
    let none = app.request("GET", "/forward-auth");
    let none = none.header("x-claviger-access-key", verifier).send().await;
    none.expect(401);
}

#[tokio::test]
async fn only_a_verifier_key_in_its_own_header_asks() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let verifier = tenant.project_key(Role::Verifier);
    let key = app.api_key(&tenant, json!({})).await;
    let operator = app.operator_key.expose();
    for other in ["", text(&key), tenant.owner(), operator, "rubbish"] {
        let refused = asked(&app, other, &key).send().await;
        assert!(refused.headers.get("x-claviger-key-id").is_none());
        assert_eq!(refused.expect(403), Value::Null, "{other}");
    }
    // What the end user sent beside the proxy's, and the end user's own headers, choose nobody.
    let twice = asked(&app, verifier, &key).header("x-claviger-access-key", verifier);
    twice.send().await.expect(403);
    let elsewhere = app.request("GET", "/forward-auth").key(verifier);
    elsewhere.send().await.expect(403);
    asked(&app, verifier, &key).send().await.expect(200);
}

#[tokio::test]
async fn a_locked_key_passes_from_where_the_proxy_says() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let verifier = tenant.project_key(Role::Verifier);
    let by_address = app
        .api_key(&tenant, json!({"allowedIps": ["203.0.113.0/24"]}))
        .await;
    let from = |client: &str| {
        let request = asked(&app, verifier, &by_address);
        let request = request.header("x-forwarded-for", client);
        // Where a caller of The Auth API tells it, the end user could here.
        request.header("x-client-ip", "203.0.113.7")
    };
    from("203.0.113.7").send().await.expect(200);
    for client in ["192.0.2.1", "203.0.113.7, 192.0.2.1", "rubbish"] {
        let refused = from(client).send().await;
        assert_eq!(refused.header("x-claviger-code"), "ip_not_allowed");
        refused.expect(403);
    }
    let untrusted = from("203.0.113.7").from(SocketAddr::from(([203, 0, 113, 1], 50_000)));
    untrusted.send().await.expect(403);

    let by_origin = app
        .api_key(&tenant, json!({"allowedDomains": ["app.example.com"]}))
        .await;
    for (origin, status) in [
        ("https://app.example.com", 200),
        ("https://evil.example", 403),
    ] {
        let request = asked(&app, verifier, &by_origin).header("origin", origin);
        // As above.
        let request = request.header("x-origin-domain", "https://app.example.com");
        request.send().await.expect(status);
    }
}

#[tokio::test]
async fn the_url_that_the_proxy_is_configured_with_may_ask_for_scopes() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let verifier = tenant.project_key(Role::Verifier);
    let key = app.api_key(&tenant, json!({"scopes": ["read"]})).await;
    for (query, status) in [
        ("scopes=read", 200),
        ("scopes=", 200),
        ("scopes=read,write", 403),
        // A misspelt name asks for nothing, so it is not let through.
        ("scope=read", 400),
    ] {
        let path = format!("/forward-auth?{query}");
        let answer = asked_by(&app, &path, verifier, &key).send().await;
        assert_eq!(answer.status, status, "{query}");
    }
}
