//! `Idempotency-Key`: a change is done once, and its secret is shown once.

use std::fmt::Write;

use axum::BoxError;
use axum::body::{Body, Bytes};
use claviger_store::idempotency::{self, Claim};
use claviger_testkit::{TestApp, on_both_engines};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

on_both_engines!(
    a_repeat_gets_the_first_answer_with_its_secret_masked,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let send = async |key: &str, name: &str, credential: &str| {
            let request = app
                .request("POST", "/api-keys")
                .key(credential)
                .header("idempotency-key", key);
            request
                .json(json!({"name": name, "projectId": tenant.project.id}))
                .send()
                .await
        };
        let first = send("one", "x", tenant.owner()).await.expect(201);
        let again = send("one", "x", tenant.owner()).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.header("cache-control"), "");
        let again = again.expect(201);
        assert_eq!(again["id"], first["id"]);
        let full = first["key"].as_str().unwrap();
        assert_eq!(
            again["key"],
            format!("{}*********", &full[.."live_".len() + 16])
        );
        assert_eq!(
            send("one", "y", tenant.owner()).await.expect(422)["code"],
            "idempotency_key_reused"
        );
        let other_caller = tenant.key(claviger_domain::role::Role::Admin);
        let other = send("one", "x", other_caller).await.expect(201);
        assert_ne!(other["id"], first["id"]);
        let list = app
            .request("GET", "/api-keys")
            .key(tenant.owner())
            .send()
            .await;
        assert_eq!(list.header("x-total-count"), "2");
        app.advance(86_401);
        assert_ne!(
            send("one", "x", tenant.owner()).await.expect(201)["id"],
            first["id"]
        );
    }
);

on_both_engines!(
    a_refusal_changed_nothing_and_can_be_tried_again,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let send = async |body| {
            let request = app.request("POST", "/api-keys").key(tenant.owner());
            request
                .header("idempotency-key", "one")
                .json(body)
                .send()
                .await
        };
        send(json!({"name": ""})).await.expect(400);
        send(json!({"name": "x"})).await.expect(201);
    }
);

on_both_engines!(parallel_repeats_make_one_key, async |app| {
    let tenant = app.tenant("Acme").await;
    let send = async || {
        let request = app.request("POST", "/api-keys").key(tenant.owner());
        request
            .header("idempotency-key", "one")
            .json(json!({"name": "x"}))
            .send()
            .await
            .status
            .as_u16()
    };
    let (a, b, c, d) = tokio::join!(send(), send(), send(), send());
    let mut statuses = [a, b, c, d];
    statuses.sort_unstable();
    assert!(
        statuses.iter().all(|status| [201, 409].contains(status)),
        "{statuses:?}"
    );
    let list = app
        .request("GET", "/api-keys")
        .key(tenant.owner())
        .send()
        .await;
    assert_eq!(list.header("x-total-count"), "1");
});

on_both_engines!(rotating_and_the_other_creates_honour_it, async |app| {
    let tenant = app.tenant("Acme").await;
    let key = app.api_key(&tenant, json!({})).await;
    let rotate = format!("/api-keys/{}/rotate", key["id"].as_str().unwrap());
    for (path, body) in [
        (&*rotate, json!({"gracePeriod": 60})),
        ("/projects", json!({"name": "x"})),
        ("/accounts", json!({"name": "x"})),
        ("/access-keys", json!({"name": "x"})),
    ] {
        let send = async || {
            let request = app.request("POST", path).key(tenant.owner());
            request
                .header("idempotency-key", "same")
                .json(body.clone())
                .send()
                .await
                .expect(201)
        };
        assert_eq!(send().await["id"], send().await["id"], "{path}");
    }
});

on_both_engines!(whoever_may_change_nothing_leaves_no_row, async |app| {
    let tenant = app.tenant("Acme").await;
    let verifier = tenant.project_key(claviger_domain::role::Role::Verifier);
    for (key, status) in [("nobody", 401), (verifier, 404)] {
        for body in [json!({"name": "x"}), json!({"name": "y"})] {
            let request = app
                .request("POST", "/api-keys")
                .key(key)
                .header("idempotency-key", "one");
            request.json(body).send().await.expect(status);
        }
    }
});

on_both_engines!(a_repeat_after_revocation_has_no_secret, async |app| {
    let tenant = app.tenant("Acme").await;
    let send = async || {
        let request = app.request("POST", "/api-keys").key(tenant.owner());
        let body = json!({"name": "x", "key": "customers-own-key-1"});
        request
            .header("idempotency-key", "one")
            .json(body)
            .send()
            .await
            .expect(201)
    };
    let first = send().await;
    let path = format!("/api-keys/{}", first["id"].as_str().unwrap());
    app.request("DELETE", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    assert_eq!(
        send().await["key"],
        format!("{}*********", first["id"].as_str().unwrap())
    );
});

/// A body that begins with so many bytes, and never ends.
fn stalled(begun: usize) -> Body {
    let begun = stream::iter([Ok::<_, BoxError>(Bytes::from(vec![b'x'; begun]))]);
    Body::from_stream(begun.chain(stream::once(async {
        // From here on nothing but the timer can go on, and the database is not asked.
        tokio::time::pause();
        std::future::pending().await
    })))
}

#[tokio::test]
async fn a_body_that_is_late_or_too_large_is_refused_as_without_a_key() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    for (body, status) in [
        ((|| stalled(9)) as fn() -> Body, 400),
        (|| stalled(1024 * 1024 + 1), 413),
        (|| Body::from(vec![b' '; 1024 * 1024 + 1]), 413),
    ] {
        let mut answers = Vec::new();
        for with_key in [false, true] {
            let mut request = app.request("POST", "/api-keys").key(tenant.owner());
            if with_key {
                request = request.header("idempotency-key", "one");
            }
            let mut answer = request.body(body()).send().await.expect(status);
            if status == 400 {
                tokio::time::resume();
            }
            answer["requestId"] = Value::Null;
            answers.push(answer);
        }
        assert_eq!(answers[0], answers[1]);
    }
}

#[tokio::test]
async fn what_is_remembered_of_a_request_is_digested_under_the_pepper() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let body = json!({"name": "x", "projectId": tenant.project.id});
    let request = app.request("POST", "/api-keys").key(tenant.owner());
    let request = request.header("idempotency-key", "one").json(body.clone());
    request.send().await.expect(201);
    let plain = |parts: &[&[u8]]| {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        <[u8; 32]>::from(hasher.finalize())
    };
    let peppered = |digest: [u8; 32]| {
        let hexadecimal = digest.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        *app.core.verifier.digest(&hexadecimal).as_bytes()
    };
    let presenter = app
        .core
        .verifier
        .presenter(tenant.owner(), None)
        .await
        .unwrap();
    let caller = presenter.unwrap().actor().describe();
    let id = plain(&[caller.as_bytes(), b"POST", b"/api-keys", b"one"]);
    let body = plain(&[body.to_string().as_bytes()]);
    let claim = async |id, body| {
        let claimed = idempotency::claim(&app.core.db, id, body, app.core.now()).await;
        claimed.unwrap()
    };
    assert!(matches!(
        claim(peppered(id), peppered(body)).await,
        Claim::Replay { status: 201, .. }
    ));
    // By what anybody can work out, neither the request nor its body is there.
    assert_eq!(claim(peppered(id), body).await, Claim::OtherBody);
    assert_eq!(claim(id, body).await, Claim::First);
}
