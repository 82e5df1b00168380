//! `Idempotency-Key`: a change is done once, and its secret is shown once.

use claviger_testkit::on_both_engines;
use serde_json::json;

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
