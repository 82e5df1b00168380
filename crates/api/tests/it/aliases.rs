//! Old spellings, and objects that are sent back as they were read.

use claviger_testkit::{TestApp, on_both_engines};
use serde_json::json;

on_both_engines!(read_a_key_patch_it_back_whole, async |app| {
    let tenant = app.tenant("Acme").await;
    let made = app
        .api_key(&tenant, json!({
            "customMetaData": {"a": [1, {"b": null}]}, "rateLimit": 7, "rateLimitTtl": 11,
            "expiry": "2050-01-01T10:00:00.123456Z", "scopes": ["s"], "allowedIps": ["10.0.0.0/8"],
            "quota": {"limit": 3, "period": "day"}, "clientIP": "192.0.2.1",
        }))
        .await;
    let path = format!("/api-keys/{}", made["id"].as_str().unwrap());
    let read = app
        .request("GET", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    app.advance(5);
    let back = app
        .request("PATCH", &path)
        .key(tenant.owner())
        .json(read.clone())
        .send()
        .await
        .expect(200);
    assert_eq!(back, read);
    let reference = format!("/api-keys/auth/{}", read["key"].as_str().unwrap());
    app.request("POST", &reference)
        .key(tenant.owner())
        .send()
        .await
        .expect(404);
    let full = format!("/api-keys/auth/{}", made["key"].as_str().unwrap());
    app.request("POST", &full)
        .key(tenant.owner())
        .header("x-client-ip", "10.1.2.3")
        .send()
        .await
        .expect(200);
});

#[tokio::test]
async fn of_two_spellings_the_new_one_wins_and_two_new_ones_contradict() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let made = app
        .api_key(&tenant, json!({"expiry": "2050-01-01", "rateLimit": 5}))
        .await;
    let place = format!("/api-keys/{}", made["id"].as_str().unwrap());
    let patch = async |body| {
        app.request("PATCH", &place)
            .key(tenant.owner())
            .json(body)
            .send()
            .await
    };
    let mut whole = made.clone();
    whole["expiresAt"] = json!("2051-01-01");
    assert_eq!(
        patch(whole.clone()).await.expect(200)["expiry"],
        "2051-01-01T00:00:00.000Z"
    );
    let both = json!({"expiry": "2052-01-01", "expiresAt": "2053-01-01"});
    assert_eq!(
        patch(both).await.expect(400)["details"][0]["field"],
        "expiry"
    );
    let limits = json!({"rateLimitConfigs": {"rateLimit": 5, "rateLimitTtl": 60}, "rateLimit": 9});
    assert_eq!(
        patch(limits).await.expect(200)["rateLimitConfigs"]["rateLimit"],
        9
    );
    let metadata = json!({"customMetadata": {"old": "spelling"}});
    assert_eq!(
        patch(metadata).await.expect(200)["customMetaData"],
        json!({"old": "spelling"})
    );
}

#[tokio::test]
async fn old_spellings_of_the_project_are_taken() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    for spelling in ["projectId", "projectID", "ProjectId"] {
        let body =
            json!({"name": "x", spelling: tenant.project.id, "isActive": true, "unknown": {}});
        app.request("POST", "/api-keys")
            .key(tenant.owner())
            .json(body)
            .send()
            .await
            .expect(201);
    }
}
