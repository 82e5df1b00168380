//! The test kit itself: what it promises to the tests that stand on it.

mod testbed;
mod webhooks;

use claviger_domain::role::Role;
use claviger_testkit::{TestApp, on_both_engines};
use serde_json::json;

on_both_engines!(a_key_that_was_made_is_valid_until_it_expires, async |app| {
    let tenant = app.tenant("Acme").await;
    let expiry = json!({"expiry": "2030-01-01T00:01:00Z"});
    let made = app.api_key(&tenant, expiry).await;
    let checked = async || {
        let request = app.request("POST", "/api-keys/verify");
        let request = request.key(tenant.project_key(Role::Verifier));
        let answer = request.json(json!({"key": made["key"]})).send().await;
        answer.expect(200)["code"].clone()
    };
    assert_eq!(checked().await, "VALID");
    app.advance(60);
    assert_eq!(checked().await, "EXPIRED");
    app.flush().await;
});

on_both_engines!(tenants_are_foreign_to_each_other, async |app| {
    let acme = app.tenant("Acme").await;
    let other = app.tenant("Other").await;
    let child = app.child_of(&acme, "Acme's child").await;
    for (tenant, key, status) in [
        (&acme, acme.owner(), 200),
        (&acme, other.owner(), 404),
        (&child, acme.owner(), 200),
        (&acme, child.owner(), 404),
    ] {
        let path = format!("/projects/{}", tenant.project.id);
        let request = app.request("GET", &path).key(key);
        request.send().await.expect(status);
    }
});

on_both_engines!(every_role_has_a_key, async |app| {
    let tenant = app.tenant("Acme").await;
    for role in Role::ALL {
        let request = app.request("GET", "/projects").key(tenant.key(role));
        let expected = if role == Role::Verifier { 404 } else { 200 };
        request.send().await.expect(expected);
    }
});

#[tokio::test]
async fn the_same_ids_come_out_of_every_run() {
    let one = TestApp::start().await.tenant("Acme").await;
    let other = TestApp::start().await.tenant("Acme").await;
    assert_eq!(one.account.id, other.account.id);
    assert_eq!(one.owner(), other.owner());
    assert_ne!(one.owner(), one.key(Role::Admin));
}
