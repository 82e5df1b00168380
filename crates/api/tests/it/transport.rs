//! What holds for every request: credentials, paths, bodies, browsers, errors.

use std::net::SocketAddr;
use std::time::Duration;

use claviger_domain::role::Role;
use claviger_testkit::{Engine, TestApp};
use serde_json::json;
use tokio::time::timeout;

#[tokio::test]
async fn the_first_spelling_of_a_credential_decides() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let key = tenant.owner();
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = app.request("GET", "/api-keys");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send().await.status.as_u16()
    };
    for name in [
        "x-api-key",
        "api-key",
        "access_key",
        "api_key",
        "authorization",
    ] {
        assert_eq!(ask(&[(name, key)]).await, 200, "{name}");
    }
    assert_eq!(
        ask(&[("authorization", &format!("Bearer {key}"))]).await,
        200
    );
    assert_eq!(
        ask(&[("x-api-key", key), ("authorization", "Bearer stray")]).await,
        200
    );
    assert_eq!(ask(&[("x-api-key", "wrong"), ("api-key", key)]).await, 401);
}

#[tokio::test]
async fn a_web_page_gets_a_verifier_key_only() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let api_key = app.api_key(&tenant, json!({})).await;
    let path = format!("/api-keys/auth/{}", api_key["key"].as_str().unwrap());
    let ask = async |key: &str| {
        app.request("POST", &path)
            .key(key)
            .header("origin", "https://example.com")
            .send()
            .await
    };
    assert_eq!(
        ask(tenant.owner()).await.expect(403)["code"],
        "origin_not_accepted"
    );
    assert_eq!(
        ask(app.operator_key.expose()).await.expect(403)["code"],
        "origin_not_accepted"
    );
    let allowed = ask(tenant.project_key(Role::Verifier)).await;
    assert_eq!(allowed.header("access-control-allow-origin"), "*");
    allowed.expect(200);
    let preflight = app
        .request("OPTIONS", &path)
        .header("origin", "https://example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-api-key")
        .send()
        .await;
    assert_eq!(preflight.status, 200);
    assert!(
        preflight
            .header("access-control-allow-headers")
            .contains("x-api-key")
    );
    assert_eq!(preflight.header("access-control-allow-credentials"), "");
}

#[tokio::test]
async fn the_operator_key_is_for_this_machine() {
    let app = TestApp::start().await;
    let operator = app.operator_key.expose();
    app.request("GET", "/accounts")
        .key(operator)
        .send()
        .await
        .expect(200);
    let remote: SocketAddr = "192.0.2.1:999".parse().unwrap();
    let refused = app
        .request("GET", "/accounts")
        .key(operator)
        .from(remote)
        .send()
        .await;
    assert_eq!(refused.expect(403)["code"], "operator_not_local");
    for name in ["forwarded", "x-forwarded-for"] {
        let proxied = app
            .request("GET", "/accounts")
            .key(operator)
            .header(name, "127.0.0.1");
        proxied.send().await.expect(403);
    }
}

#[tokio::test]
async fn slashes_do_not_matter_and_methods_do() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let ask = async |method, path: &str| app.request(method, path).key(tenant.owner()).send().await;
    for path in ["/api-keys", "/api-keys/", "//api-keys//"] {
        ask("GET", path).await.expect(200);
    }
    let refused = ask("PUT", "/api-keys").await;
    assert!(refused.header("allow").contains("POST"));
    assert_eq!(refused.expect(405)["code"], "method_not_allowed");
    assert_eq!(
        ask("GET", "/nowhere").await.expect(404)["code"],
        "not_found"
    );
    assert_eq!(
        ask("POST", "/api-keys/auth/").await.expect(404)["message"],
        "Invalid client key"
    );
}

#[tokio::test]
async fn bodies_are_json_whatever_they_are_called() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let send = async |content_type: &str, body: String| {
        let request = app.request("POST", "/api-keys").key(tenant.owner());
        request
            .header("content-type", content_type)
            .body(body)
            .send()
            .await
    };
    let name = json!({"name": "x"}).to_string();
    for content_type in [
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "image/png",
    ] {
        send(content_type, name.clone()).await.expect(201);
    }
    assert_eq!(
        send("application/x-www-form-urlencoded", String::new())
            .await
            .expect(400)["details"][0]["field"],
        "name"
    );
    assert_eq!(
        send("application/x-www-form-urlencoded", "name=x".into())
            .await
            .expect(400)["code"],
        "invalid_input"
    );
    let large = json!({"name": "x".repeat(1024 * 1024)}).to_string();
    assert_eq!(
        send("application/json", large).await.expect(413)["code"],
        "body_too_large"
    );
    let deep = format!(
        "{{\"name\":\"x\",\"customMetaData\":{}{}}}",
        "[".repeat(500),
        "]".repeat(500)
    );
    send("application/json", deep).await.expect(400);
    send("application/json", "{\"name\":".into())
        .await
        .expect(400);
    send("application/json", "null".into()).await.expect(400);
}

#[tokio::test]
async fn errors_have_one_shape_and_another_on_request() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let answer = app
        .request("GET", "/api-keys/key_zzzzzzzzzzzzzzzz")
        .key(tenant.owner())
        .send()
        .await;
    let id = answer.header("x-request-id").to_owned();
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    let body = answer.expect(404);
    assert_eq!(
        body,
        json!({
            "statusCode": 404, "error": "Not Found", "message": "API key not found",
            "code": "key_not_found", "requestId": id,
        })
    );
    let problem = app.request("GET", "/api-keys?limit=x").key(tenant.owner());
    let problem = problem
        .header("accept", "application/problem+json")
        .send()
        .await;
    assert_eq!(problem.header("content-type"), "application/problem+json");
    let problem = problem.expect(400);
    assert_eq!(
        (&problem["status"], &problem["title"]),
        (&json!(400), &json!("Bad Request"))
    );
    assert_eq!(problem["details"][0]["field"], "limit");
}

#[tokio::test]
async fn health_needs_no_credential_and_knows_the_database() {
    let app = TestApp::start().await;
    app.request("GET", "/healthz").send().await.expect(200);
    app.request("GET", "/readyz").send().await.expect(200);
    app.core.db.close().await;
    app.request("GET", "/healthz").send().await.expect(200);
    let away = app.request("GET", "/readyz").send().await;
    assert_eq!(away.header("retry-after"), "1");
    assert_eq!(away.expect(503)["code"], "database_unavailable");
}

/// Reads that the database is asked for at once.
const READS: usize = 8;

#[tokio::test]
async fn a_database_that_hangs_is_told_within_two_seconds() {
    let app = TestApp::with(Engine::Postgres).await;
    let tenant = app.tenant("Acme").await;
    let path = format!("/projects/{}", tenant.project.id.as_str());
    let show = || app.request("GET", &path).key(tenant.owner()).send();
    show().await.expect(200);
    // As many reads that do not end as are taken at once: who comes next waits.
    let held = app.hold_table("projects").await;
    let hanging: Vec<_> = (0..READS).map(|_| tokio::spawn(show())).collect();
    while app.core.db.queries().in_use < READS {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    let asking = app.request("GET", "/readyz").send();
    let answer = timeout(Duration::from_millis(2_001), asking).await;
    tokio::time::resume();
    assert_eq!(answer.unwrap().expect(503)["code"], "database_unavailable");
    drop(held);
    for answer in hanging {
        answer.await.unwrap().expect(200);
    }
}

#[tokio::test]
async fn cached_keys_are_checked_while_the_database_is_away() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let key = app.api_key(&tenant, json!({})).await;
    let path = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
    app.request("POST", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    app.core.db.close().await;
    app.request("POST", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    let refused = app
        .request("POST", "/api-keys")
        .key(tenant.owner())
        .json(json!({"name": "x"}));
    refused.send().await.expect(503);
}

#[tokio::test]
async fn a_list_is_no_body() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let path = format!("/projects/{}", tenant.project.id);
    let changed = app.request("PATCH", &path).key(tenant.owner());
    let refusal = changed.json(json!(["Other"])).send().await.expect(400);
    assert_eq!(refusal["message"], "The body must be a JSON object");
    let shown = app.request("GET", &path).key(tenant.owner()).send().await;
    assert_eq!(shown.expect(200)["name"], tenant.project.name);
}
