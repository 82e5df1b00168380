//! `Idempotency-Key`: a change is done once, and its secret is shown for ten minutes at most.

use std::fmt::Write;

use axum::BoxError;
use axum::body::{Body, Bytes};
use claviger_store::idempotency::{self, Answer, Claim, SealedAnswer};
use claviger_testkit::{Tenant, TestApp, on_both_engines};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

on_both_engines!(
    a_repeat_gets_the_first_answer_whole_for_ten_minutes,
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
        app.advance(599);
        let again = send("one", "x", tenant.owner()).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.header("cache-control"), "no-store");
        assert_eq!(again.header("referrer-policy"), "no-referrer");
        assert_eq!(again.expect(201), first);
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
        app.advance(1);
        let masked = send("one", "x", tenant.owner()).await;
        assert_eq!(masked.header("cache-control"), "");
        let mut expected = first.clone();
        expected["key"] = json!(reference(&first));
        assert_eq!(masked.expect(201), expected);
        app.advance(86_401);
        assert_ne!(
            send("one", "x", tenant.owner()).await.expect(201)["id"],
            first["id"]
        );
    }
);

/// How a key is shown whose full string an answer has.
fn reference(answer: &Value) -> String {
    let full = answer["key"].as_str().expect("keys are text");
    let public = full.len() - 48;
    format!("{}*********", &full[..public])
}

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
    let access_key = access_key(&app, &tenant).await;
    let rotate =
        |kind: &str, key: &Value| format!("/{kind}/{}/rotate", key["id"].as_str().unwrap());
    for (path, body) in [
        (&*rotate("api-keys", &key), json!({"gracePeriod": 60})),
        (
            &*rotate("access-keys", &access_key),
            json!({"gracePeriod": 60}),
        ),
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
        let first = send().await;
        assert_eq!(send().await, first, "{path}");
        app.advance(600);
        let later = send().await;
        assert_eq!(later["id"], first["id"], "{path}");
        if first["key"].is_string() {
            assert_eq!(later["key"], reference(&first), "{path}");
        }
    }
});

async fn access_key(app: &TestApp, tenant: &Tenant) -> Value {
    let request = app.request("POST", "/access-keys").key(tenant.owner());
    request.json(json!({"name": "x"})).send().await.expect(201)
}

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
    let custom = json!({"name": "x", "key": "customers-own-key-1"});
    let plain = json!({"name": "x"});
    let endings = [
        ("DELETE", "/api-keys/{id}", json!(null)),
        ("DELETE", "/api-keys/{id}?purge=true", json!(null)),
        ("PATCH", "/api-keys/{id}", json!({"status": "suspended"})),
        ("POST", "/api-keys/{id}/rotate", json!({"gracePeriod": 60})),
        (
            "PATCH",
            "/api-keys/{id}",
            json!({"key": "customers-own-key-2"}),
        ),
        ("DELETE", "/access-keys/{id}", json!(null)),
        (
            "POST",
            "/access-keys/{id}/rotate",
            json!({"gracePeriod": 60}),
        ),
        ("DELETE", "/projects/{project}", json!(null)),
    ];
    for (index, (method, path, body)) in endings.into_iter().enumerate() {
        let kind = if path.starts_with("/access") {
            "/access-keys"
        } else {
            "/api-keys"
        };
        let made = if body["key"].is_string() {
            &custom
        } else {
            &plain
        };
        let send = async || {
            let request = app.request("POST", kind).key(tenant.owner());
            let request = request.header("idempotency-key", &format!("key-{index}"));
            request.json(made.clone()).send().await.expect(201)
        };
        let first = send().await;
        assert_eq!(send().await, first, "{method} {path}");
        let ended = path
            .replace("{id}", first["id"].as_str().unwrap())
            .replace("{project}", tenant.project.id.as_str());
        let request = app.request(method, &ended).key(tenant.owner());
        let ended = if body.is_null() {
            request
        } else {
            request.json(body)
        };
        assert!(ended.send().await.status.is_success(), "{method} {path}");
        let masked = send().await;
        assert_eq!(masked["id"], first["id"]);
        assert!(
            masked["key"].as_str().unwrap().ends_with("*********"),
            "{method} {path}"
        );
    }
});

on_both_engines!(a_reactivated_key_gets_no_secret_back, async |app| {
    let tenant = app.tenant("Acme").await;
    let send = async || {
        let request = app.request("POST", "/api-keys").key(tenant.owner());
        let request = request.header("idempotency-key", "one");
        request.json(json!({"name": "x"})).send().await.expect(201)
    };
    let first = send().await;
    let path = format!("/api-keys/{}", first["id"].as_str().unwrap());
    for (method, path) in [("DELETE", &path), ("PATCH", &format!("{path}/reactivate"))] {
        app.request(method, path)
            .key(tenant.owner())
            .send()
            .await
            .expect(200);
    }
    assert_eq!(send().await["key"], reference(&first));
});

#[tokio::test]
async fn a_sealed_answer_of_another_request_is_not_given() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let body = json!({"name": "x"});
    let send = async |key: &str| {
        let request = app.request("POST", "/api-keys").key(tenant.owner());
        let request = request.header("idempotency-key", key).json(body.clone());
        request.send().await.expect(201)
    };
    let (first, other) = (send("one").await, send("two").await);
    let [one, two] = [&b"one"[..], b"two"].map(|key| digests(&app, &tenant, key, &body));
    let (one, two) = (one.await, two.await);
    let now = app.core.now();
    let claimed = idempotency::claim(&app.core.db, two.0, two.1, now).await;
    let Ok(Claim::Replay { sealed, .. }) = claimed else {
        panic!("{claimed:?}");
    };
    let sealed = sealed.unwrap();
    let full = other["key"].as_str().unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains(&full[full.len() - 48..]));
    // Whoever writes to the database puts one answer into the row of another.
    let answer = Answer {
        status: 201,
        body: "{}".to_owned(),
        sealed: Some(SealedAnswer {
            key: first["id"].as_str().unwrap().to_owned(),
            body: sealed,
        }),
    };
    idempotency::finish(&app.core.db, one.0, answer, now)
        .await
        .unwrap();
    assert_eq!(send("one").await, json!({}));
}

/// What is remembered of a request of a tenant's owner to make a key, under the pepper: of the request,
/// and of its body.
async fn digests(app: &TestApp, tenant: &Tenant, key: &[u8], body: &Value) -> ([u8; 32], [u8; 32]) {
    let presenter = app.core.verifier.presenter(tenant.owner(), None).await;
    let caller = presenter
        .expect("the database answers")
        .expect("the key is there")
        .actor()
        .describe();
    let id = plain(&[caller.as_bytes(), b"POST", b"/api-keys", key]);
    let body = plain(&[body.to_string().as_bytes()]);
    (peppered(app, id), peppered(app, body))
}

fn plain(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn peppered(app: &TestApp, digest: [u8; 32]) -> [u8; 32] {
    let hexadecimal = digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("texts take what is written");
        text
    });
    *app.core.verifier.digest(&hexadecimal).as_bytes()
}

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
    let (id, body_digest) = digests(&app, &tenant, b"one", &body).await;
    let plain_body = plain(&[body.to_string().as_bytes()]);
    let presenter = app.core.verifier.presenter(tenant.owner(), None).await;
    let caller = presenter
        .expect("the database answers")
        .expect("the key is there")
        .actor()
        .describe();
    let plain_id = plain(&[caller.as_bytes(), b"POST", b"/api-keys", b"one"]);
    let claim = async |id, body| {
        let claimed = idempotency::claim(&app.core.db, id, body, app.core.now()).await;
        claimed.unwrap()
    };
    assert!(matches!(
        claim(id, body_digest).await,
        Claim::Replay { status: 201, .. }
    ));
    // By what anybody can work out, neither the request nor its body is there.
    assert_eq!(claim(id, plain_body).await, Claim::OtherBody);
    assert_eq!(claim(plain_id, plain_body).await, Claim::First);
}
