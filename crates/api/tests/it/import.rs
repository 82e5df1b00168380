//! Keys that are moved here from elsewhere.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::BoxError;
use axum::body::{Body, Bytes};
use claviger_store::events;
use claviger_testkit::{Tenant, TestApp, on_both_engines};
use futures::stream;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::unbounded_channel;

async fn import(app: &TestApp, tenant: &Tenant, keys: Value) -> Value {
    send(
        app,
        tenant,
        json!({"projectId": tenant.project.id, "keys": keys}),
    )
    .await
    .expect(201)
}

async fn send(app: &TestApp, tenant: &Tenant, body: Value) -> claviger_testkit::TestResponse {
    let request = app.request("POST", "/api-keys/import").key(tenant.owner());
    request.json(body).send().await
}

async fn authenticate(app: &TestApp, tenant: &Tenant, key: &str) -> claviger_testkit::TestResponse {
    let path = format!("/api-keys/auth/{key}");
    app.request("POST", &path).key(tenant.owner()).send().await
}

async fn show(app: &TestApp, tenant: &Tenant, id: &Value) -> Value {
    let path = format!("/api-keys/{}", id.as_str().expect("ids are text"));
    let shown = app.request("GET", &path).key(tenant.owner()).send().await;
    shown.expect(200)
}

fn hash(key: &str) -> Value {
    let digest = Sha256::digest(key.as_bytes());
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let value: String = digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect();
    json!({"algorithm": "sha256", "value": value})
}

on_both_engines!(of_no_row_that_can_be_stored_is_told_too, async |app| {
    let tenant = app.tenant("Acme").await;
    assert_eq!(import(&app, &tenant, json!([])).await, json!([]));
    let rows = json!([{"name": "a", "key": "short"}, {"name": "b", "key": "brief"}]);
    let results = import(&app, &tenant, rows).await;
    for row in [0, 1] {
        assert_eq!(results[row]["status"], "refused", "{results}");
    }
});

#[tokio::test]
async fn who_imports_much_at_once_waits_before_the_body_is_read() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let other = app.tenant("Other").await;
    let import = |tenant: &Tenant, body: Body| {
        let request = app.request("POST", "/api-keys/import");
        request.key(tenant.owner()).body(body)
    };
    // Of bodies that do not say how long they are, and do not end, there is room for two; also where they
    // are read to be remembered.
    let (reads, mut read_from) = unbounded_channel();
    let stalled = || {
        let reads = reads.clone();
        Body::from_stream(stream::once(async move {
            reads.send(()).unwrap();
            pending::<Result<Bytes, BoxError>>().await
        }))
    };
    let mut first = Box::pin(import(&tenant, stalled()).send());
    let second = import(&tenant, stalled()).header("idempotency-key", "one");
    let mut second = Box::pin(second.send());
    // Both have their room before a third one comes.
    tokio::select! {
        biased;
        _ = &mut first => panic!("it does not end"),
        _ = &mut second => panic!("it does not end"),
        _ = async { (read_from.recv().await, read_from.recv().await) } => {}
    }
    let is_read = Arc::new(AtomicBool::new(false));
    let read = Arc::clone(&is_read);
    let third = Body::from_stream(stream::once(async move {
        read.store(true, Ordering::SeqCst);
        Ok::<_, BoxError>(Bytes::from("{}"))
    }));
    let mut third = Box::pin(import(&tenant, third).send());
    // Others have their own room, and get it back: it is for two, too. Who has none waits for ten seconds.
    let others = async {
        for _ in 0..3 {
            let body = json!({"projectId": other.project.id, "keys": []});
            import(&other, Body::from(body.to_string()))
                .send()
                .await
                .expect(201);
        }
    };
    tokio::select! {
        biased;
        _ = &mut first => panic!("it does not end"),
        _ = &mut second => panic!("it does not end"),
        _ = &mut third => panic!("there is no room for it"),
        () = others => {}
    }
    assert!(!is_read.load(Ordering::SeqCst));
    // It is there once somebody goes away.
    drop(first);
    third.await.expect(400);
    assert!(is_read.load(Ordering::SeqCst));
}

on_both_engines!(
    imported_keys_are_listed_in_the_order_of_their_rows,
    async |app| {
        let tenant = app.tenant("Acme").await;
        // Ids follow from key strings, and so are in no order.
        let names: Vec<_> = (10..30).map(|number| format!("row {number}")).collect();
        let rows = names.iter().map(
            |name| json!({"name": name, "key": format!("moved-{}", name.replace(' ', "-key-"))}),
        );
        import(&app, &tenant, rows.collect()).await;
        let path = format!("/api-keys?projectId={}", tenant.project.id);
        let listed = app.request("GET", &path).key(tenant.owner()).send().await;
        let listed = listed.expect(200);
        let listed = listed.as_array().unwrap().iter();
        let listed: Vec<_> = listed.map(|key| key["name"].as_str().unwrap()).collect();
        assert_eq!(listed, names);
    }
);

on_both_engines!(imported_keys_have_what_their_rows_say, async |app| {
    let tenant = app.tenant("Acme").await;
    // Looked for before it is there: its absence must not be remembered.
    authenticate(&app, &tenant, "moved-key-0001")
        .await
        .expect(404);
    let results = import(&app, &tenant, json!([
        {"name": "Größe \"x\"", "key": "moved-key-0001", "customMetaData": {"plan": ["pro", null]},
         "customAccountId": "customer", "customUserId": "user", "expiry": "2050-01-01",
         "rateLimitConfigs": {"rateLimit": 5, "rateLimitTtl": 10}, "clientIP": "192.0.2.1",
         "clientUserAgent": "curl", "allowedDomains": ["*.example.com"],
         "allowedIps": ["192.0.2.0/24"], "scopes": ["read"], "quota": {"limit": 9, "period": "day"}},
        {"name": "off", "key": "moved-key-0002", "isActive": false, "reason": "unused"},
    ]))
    .await;
    assert_eq!(results[0]["status"], "created");
    let shown = show(&app, &tenant, &results[0]["id"]).await;
    let expected = json!({
        "name": "Größe \"x\"", "customMetaData": {"plan": ["pro", null]},
        "customAccountId": "customer", "customUserId": "user",
        "expiresAt": "2050-01-01T00:00:00.000Z", "isActive": true,
        "rateLimitConfigs": {"rateLimit": 5, "rateLimitTtl": 10},
        "creationContext": {"clientIP": "192.0.2.1", "clientUserAgent": "curl"},
        "allowedDomains": ["*.example.com"], "allowedIps": ["192.0.2.0/24"], "scopes": ["read"],
        "projectId": tenant.project.id, "env": "live",
        "key": format!("{}*********", results[0]["id"].as_str().unwrap()),
    });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[member], value, "{member}");
    }
    assert_eq!(shown["quota"]["limit"], 9);
    let passed = app
        .request("POST", "/api-keys/verify")
        .key(tenant.owner())
        .json(json!({"key": "moved-key-0001", "origin": "https://app.example.com", "ip": "192.0.2.7"}))
        .send()
        .await
        .expect(200);
    assert_eq!(passed["code"], "VALID");
    assert_eq!(passed["rateLimit"]["remaining"], 4);
    let off = show(&app, &tenant, &results[1]["id"]).await;
    assert_eq!(off["isActive"], false);
    assert_eq!(off["reason"], "unused");
    authenticate(&app, &tenant, "moved-key-0002")
        .await
        .expect(404);
    let trail = events::of_account(&app.core.db, &tenant.account.id, 1_000)
        .await
        .unwrap();
    for result in results.as_array().unwrap() {
        let told: Vec<_> = trail
            .iter()
            .filter(|one| result["id"] == one.target)
            .collect();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].kind, "api-key.created");
        assert!(!told[0].data.contains("moved-key"), "{}", told[0].data);
    }
});

on_both_engines!(a_refused_row_holds_up_no_other, async |app| {
    let tenant = app.tenant("Acme").await;
    let other = app
        .request("POST", "/projects")
        .key(tenant.owner())
        .json(json!({"name": "other"}))
        .send()
        .await
        .expect(201);
    app.api_key(
        &tenant,
        json!({"key": "taken-elsewhere", "projectId": other["id"]}),
    )
    .await;
    let results = import(
        &app,
        &tenant,
        json!([
            {"name": "good", "key": "moved-key-0001"},
            {"key": "moved-key-0002"},
            {"name": "short", "key": "short"},
            {"name": "again", "key": "moved-key-0001"},
            {"name": "elsewhere", "key": "taken-elsewhere"},
            {"name": "late", "key": "moved-key-0003", "expiry": "soon"},
            {"name": "neither"},
            {"name": "both", "key": "moved-key-0004", "keyHash": hash("moved-key-0004")},
            {"name": "hash", "keyHash": {"algorithm": "sha256", "value": "abc"}},
            {"name": "same by hash", "keyHash": hash("moved-key-0001")},
            "no object",
            {"name": "good too", "keyHash": hash("moved-key-0005")},
        ]),
    )
    .await;
    let told: Vec<_> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["status"].as_str().unwrap(),
                one["error"]["code"].as_str().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("created", ""),
            ("refused", "invalid_input"),
            ("refused", "invalid_key"),
            ("refused", "duplicate_key"),
            ("refused", "duplicate_key"),
            ("refused", "invalid_input"),
            ("refused", "invalid_input"),
            ("refused", "invalid_input"),
            ("refused", "invalid_input"),
            ("refused", "duplicate_key"),
            ("refused", "invalid_input"),
            ("created", ""),
        ]
    );
    assert_eq!(results[5]["error"]["details"][0]["field"], "expiry");
    assert_eq!(results[11]["row"], 11);
});

on_both_engines!(a_row_that_is_sent_again_is_known, async |app| {
    let tenant = app.tenant("Acme").await;
    let rows = json!([
        {"name": "plain", "key": "moved-key-0001"},
        {"name": "hashed", "keyHash": hash("moved-key-0002")},
        {"name": "used", "keyHash": hash("moved-key-0003")},
    ]);
    let first = import(&app, &tenant, rows.clone()).await;
    // The third gets its digest, and is known all the same, also by its key string.
    authenticate(&app, &tenant, "moved-key-0003")
        .await
        .expect(200);
    let again = import(&app, &tenant, rows).await;
    for (first, again) in first
        .as_array()
        .unwrap()
        .iter()
        .zip(again.as_array().unwrap())
    {
        assert_eq!(again["status"], "exists");
        assert_eq!(again["id"], first["id"]);
    }
    let by_key = json!([{"name": "by its key", "key": "moved-key-0002"}]);
    assert_eq!(import(&app, &tenant, by_key).await[0]["id"], first[1]["id"]);
    let listed = app
        .request("GET", "/api-keys")
        .key(tenant.owner())
        .send()
        .await;
    assert_eq!(listed.header("x-total-count"), "3");
});

on_both_engines!(
    a_key_known_by_its_hash_passes_and_the_hash_does_not,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let key = "live_0123456789012345678901234567890123456789012345678901234567890123";
        authenticate(&app, &tenant, key).await.expect(404);
        let results = import(
            &app,
            &tenant,
            json!([{"name": "hashed", "keyHash": hash(key)}]),
        )
        .await;
        let value = hash(key)["value"].as_str().unwrap().to_owned();
        authenticate(&app, &tenant, &value).await.expect(404);
        for _ in 0..2 {
            let passed = authenticate(&app, &tenant, key).await.expect(200);
            assert_eq!(passed["id"], results[0]["id"]);
            assert_eq!(passed["updatedAt"], passed["createdAt"]);
            app.advance(60);
        }
        // It is an ordinary key from now on: it can be shown by its key string, and revoked.
        let path = format!("/api-keys/{key}");
        app.request("DELETE", &path)
            .key(tenant.owner())
            .send()
            .await
            .expect(200);
        authenticate(&app, &tenant, key).await.expect(404);
        let operator = app.operator_key.expose();
        let hashed = import(
            &app,
            &tenant,
            json!([{"name": "o", "keyHash": hash("of-the-operator")}]),
        );
        let hashed = hashed.await;
        let path = "/api-keys/auth/of-the-operator";
        let passed = app
            .request("POST", path)
            .key(operator)
            .send()
            .await
            .expect(200);
        assert_eq!(passed["id"], hashed[0]["id"]);
    }
);

on_both_engines!(
    a_key_that_was_brought_as_a_hash_is_named_by_its_key_string,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let stranger = app.tenant("Other").await;
        let key = "moved-key-0001";
        let rows = json!([{"name": "hashed", "keyHash": hash(key)}]);
        let id = import(&app, &tenant, rows).await[0]["id"].clone();
        let by_key = json!(key);
        assert_eq!(show(&app, &tenant, &by_key).await["id"], id);
        let listed = app
            .request("GET", &format!("/api-keys?key={key}"))
            .key(tenant.owner())
            .send()
            .await
            .expect(200);
        assert_eq!(listed[0]["id"], id);
        let path = format!("/api-keys/{key}");
        let theirs = app
            .request("DELETE", &path)
            .key(stranger.owner())
            .send()
            .await;
        theirs.expect(404);
        let revoked = app
            .request("DELETE", &path)
            .key(tenant.owner())
            .send()
            .await;
        revoked.expect(200);
        authenticate(&app, &tenant, key).await.expect(404);
        assert_eq!(show(&app, &tenant, &id).await["isActive"], false);
    }
);

on_both_engines!(a_dry_run_tells_and_stores_nothing, async |app| {
    let tenant = app.tenant("Acme").await;
    app.api_key(&tenant, json!({"key": "there-already"})).await;
    let body = json!({"projectId": tenant.project.id, "dryRun": true, "keys": [
        {"name": "new", "key": "moved-key-0001"},
        {"name": "there", "key": "there-already"},
        {"name": "bad", "key": "bad key"},
    ]});
    let told = send(&app, &tenant, body).await.expect(200);
    let statuses: Vec<_> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["status"])
        .collect();
    assert_eq!(statuses, ["created", "exists", "refused"]);
    authenticate(&app, &tenant, "moved-key-0001")
        .await
        .expect(404);
});

on_both_engines!(
    as_many_rows_as_are_taken_are_stored_and_one_more_is_not,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let filler = "x".repeat(2_000);
        let row = |n: usize| json!({"name": "n", "key": format!("moved-key-{n:04}"), "customMetaData": {"a": filler}});
        let rows: Vec<_> = (0..1_001).map(row).collect();
        let too_many = json!({"projectId": tenant.project.id, "keys": rows});
        let refused = send(&app, &tenant, too_many).await.expect(400);
        assert_eq!(refused["details"][0]["field"], "keys");
        // More than another body may have.
        let results = import(&app, &tenant, json!(rows[..1_000])).await;
        let results = results.as_array().unwrap();
        assert!(results.iter().all(|one| one["status"] == "created"));
        assert_eq!(results.len(), 1_000);
        authenticate(&app, &tenant, "moved-key-0999")
            .await
            .expect(200);
    }
);

on_both_engines!(a_body_over_32_mib_is_refused, async |app| {
    let tenant = app.tenant("Acme").await;
    let row = json!({"name": "n", "key": "moved-key-0001", "customMetaData": "x".repeat(32 << 20)});
    let body = json!({"projectId": tenant.project.id, "keys": [row]});
    let refused = send(&app, &tenant, body).await.expect(413);
    assert_eq!(refused["message"], "The body is larger than 32 MiB");
});

on_both_engines!(
    what_is_no_key_string_is_none_as_a_hash_either,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let known = app.api_key(&tenant, json!({})).await;
        let (id, full) = (
            known["id"].as_str().unwrap(),
            known["key"].as_str().unwrap(),
        );
        let reference = format!("{}*********", &full[..21]);
        let texts = ["", "short-key01", id, &reference];
        let rows: Vec<_> = texts
            .iter()
            .map(|text| json!({"name": "n", "keyHash": hash(text)}))
            .collect();
        import(&app, &tenant, json!(rows)).await;
        for text in texts {
            let request = app.request("POST", "/api-keys/verify").key(tenant.owner());
            let verified = request.json(json!({"key": text})).send().await.expect(200);
            assert_eq!(verified["code"], "NOT_FOUND", "{text:?}");
            let request = app
                .request("POST", "/auth/authenticate")
                .key(tenant.owner());
            let body = json!({"credentials": {"api_key": text}});
            assert_ne!(request.json(body).send().await.status.as_u16(), 201);
        }
        let nothing = app.request("GET", "/api-keys/auth").key(tenant.owner());
        nothing.send().await.expect(404);
    }
);
