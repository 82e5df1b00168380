//! Connectors that accounts bring over HTTP.

use std::fmt::Write as _;

use axum::body::Body;
use bytes::Bytes;
use claviger_domain::role::Role;
use claviger_testkit::{TestResponse, on_both_engines};
use futures::stream;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::shop::{answer, in_both_shops};
use crate::world::World;

fn document() -> Value {
    json!({
        "openapi": "3.0.3",
        "info": { "title": "Tea" },
        "paths": {
            "/pots": { "get": { "tags": ["Pots"] }, "post": { "summary": "Makes a pot", "tags": ["Pots"] } },
            "/pots/{id}/brew": { "post": {
                "operationId": "brew",
                "requestBody": { "required": true, "content": { "application/json": { "schema": {
                    "$ref": "#/components/schemas/Brew"
                } } } }
            } },
            "/upload": { "put": {
                "operationId": "upload",
                "requestBody": { "required": true, "content": { "image/png": {} } }
            } }
        },
        "components": { "schemas": { "Brew": {
            "type": "object", "properties": { "next": { "$ref": "#/components/schemas/Brew" } }
        } } }
    })
}

fn tea() -> Value {
    json!({
        "slug": "tea", "label": "Tea", "tool_prefix": "tea",
        "base_url": "https://tea.example", "openapi": document(),
    })
}

fn with(member: &str, value: Value) -> Value {
    let mut body = tea();
    body[member] = value;
    body
}

async fn send(world: &World, key: &str, body: &Value) -> TestResponse {
    world
        .ask(key, Method::POST, "/integration", body.clone())
        .await
}

on_both_engines!(
    a_connector_is_brought_read_changed_and_deleted,
    async |app| {
        let world = World::of(app).await;
        let owner = world.owner.clone();
        let made = send(&world, &owner, &tea()).await;
        let made = made.expect(201);
        assert_eq!(made["slug"], "tea");
        assert_eq!(made["tool_count"], 3);
        assert_eq!(
            made["left_out"],
            json!([{ "operation": "PUT /upload", "reason": "its body is neither JSON nor a URL-encoded form" }])
        );
        assert_eq!(
            send(&world, &owner, &tea()).await.expect(409)["code"],
            "slug_taken"
        );
        let taken = with("slug", json!("theauthapi"));
        assert_eq!(
            send(&world, &owner, &taken).await.expect(409)["code"],
            "slug_taken"
        );

        let listed = world.get("/integration").await;
        let listed = listed.expect(200);
        let slugs = listed["result"].as_array().unwrap().iter();
        let slugs: Vec<_> = slugs.map(|one| one["slug"].clone()).collect();
        assert_eq!(slugs, ["theauthapi", "tea"]);
        let first = world.get("/integration?limit=1").await;
        let cursor = first.expect(200)["next_cursor"]
            .as_str()
            .unwrap()
            .to_owned();
        let second = world
            .get(&format!("/integration?limit=1&next_cursor={cursor}"))
            .await;
        let second = second.expect(200);
        assert_eq!(second["result"][0]["slug"], "tea");
        assert_eq!(second["next_cursor"], Value::Null);

        let found = world.get("/integration/tea").await;
        assert_eq!(found.expect(200)["file"]["base_url"], "https://tea.example");
        let can = world.get("/integration/tea/capabilities?tags=pots").await;
        let can = can.expect(200);
        let names = can["result"].as_array().unwrap().iter();
        let names: Vec<_> = names.map(|tool| tool["name"].clone()).collect();
        assert_eq!(names, ["list_all_tea_pots", "create_a_tea_pots"]);

        let patch = |body: Value| world.ask(&owner, Method::PATCH, "/integration/tea", body);
        let named = json!({ "pots": { "methods": { "create": { "http": "POST /pots" } } } });
        let body = json!({ "label": "More tea", "resources": named });
        let patched = patch(body).await.expect(200);
        assert_eq!(patched["tool_count"], 1);
        assert_eq!(patched["label"], "More tea");
        assert_eq!(
            patch(json!({ "resources": null })).await.expect(200)["tool_count"],
            3
        );
        assert_eq!(patch(json!({ "slug": "other" })).await.status, 400);
        let lost = json!({ "pots": { "methods": { "list": { "http": "GET /cups" } } } });
        let refused = patch(json!({ "resources": lost })).await;
        assert_eq!(refused.expect(400)["code"], "invalid_connector");

        let delete = world
            .ask(&owner, Method::DELETE, "/integration/tea", Value::Null)
            .await;
        assert_eq!(delete.status, 204);
        for path in ["/integration/tea", "/integration/tea/capabilities"] {
            assert_eq!(
                world.get(path).await.expect(404)["code"],
                "connector_not_found"
            );
        }
        assert_eq!(send(&world, &owner, &tea()).await.status, 201);
    }
);

on_both_engines!(
    a_connector_of_another_account_is_as_unknown_as_none,
    async |app| {
        let world = World::of(app).await;
        let (other, _) = world.account("Other").await;
        let stranger = world.access_key(&other, Role::Owner, None).await.plain;
        send(&world, &world.owner, &tea()).await.expect(201);
        for (method, body) in [
            (Method::GET, Value::Null),
            (Method::PATCH, json!({ "label": "Mine" })),
            (Method::DELETE, Value::Null),
        ] {
            let theirs = world
                .ask(&stranger, method.clone(), "/integration/tea", body.clone())
                .await;
            let unknown = world
                .ask(&stranger, method, "/integration/none", body)
                .await;
            assert_eq!(theirs.status, 404);
            assert_eq!(
                theirs.expect(404)["message"],
                unknown.expect(404)["message"]
            );
        }
        let listed = world
            .ask(&stranger, Method::GET, "/integration", Value::Null)
            .await;
        assert_eq!(listed.expect(200)["result_count"], 1);
        // Each account has its own names.
        assert_eq!(send(&world, &stranger, &tea()).await.status, 201);
    }
);

on_both_engines!(every_role_on_connectors, async |app| {
    let world = World::of(app).await;
    send(&world, &world.owner, &tea()).await.expect(201);
    let table = [
        (Role::Owner, true, true),
        (Role::Admin, true, true),
        (Role::Developer, true, false),
        (Role::Viewer, true, false),
        (Role::Analyst, false, false),
        (Role::Verifier, false, false),
    ];
    for (role, may_read, may_write) in table {
        let key = world.access_key(&world.account, role, None).await.plain;
        let refused = if role == Role::Verifier { 404 } else { 403 };
        for path in [
            "/integration",
            "/integration/tea",
            "/integration/tea/capabilities",
        ] {
            let answer = world.ask(&key, Method::GET, path, Value::Null).await;
            assert_eq!(
                answer.status,
                if may_read { 200 } else { refused },
                "{role:?} {path}"
            );
        }
        let patch = json!({ "label": "Tea" });
        let answer = world
            .ask(&key, Method::PATCH, "/integration/tea", patch)
            .await;
        assert_eq!(
            answer.status,
            if may_write { 200 } else { refused },
            "{role:?} patch"
        );
        let body = with("slug", json!(format!("tea-{}", role.as_str())));
        let answer = send(&world, &key, &body).await;
        assert_eq!(
            answer.status,
            if may_write { 201 } else { refused },
            "{role:?} create"
        );
        let path = format!("/integration/tea-{}", role.as_str());
        let answer = world.ask(&key, Method::DELETE, &path, Value::Null).await;
        assert_eq!(
            answer.status,
            if may_write { 204 } else { refused },
            "{role:?} delete"
        );
    }
});

on_both_engines!(
    connector_over_http_with_a_path_url_remote_reference_alias_bomb_or_local,
    async |app| {
        let world = World::of(app).await;
        let mut remote = document();
        remote["paths"]["/pots"]["get"]["responses"] = json!({ "200": { "content": {
        "application/json": { "schema": { "$ref": "http://169.254.169.254/canary.json#/x" } }
    } } });
        let mut bomb = String::from("openapi: 3.0.0\na0: &a0 [canary, canary]\n");
        for level in 1..40 {
            let before = level - 1;
            writeln!(bomb, "a{level}: &a{level} [*a{before}, *a{before}]").unwrap();
        }
        bomb.push_str("paths: {}\n");
        let deep = format!(
            "{{\"openapi\":\"3.0.0\",\"paths\":{{}},\"x\":{}1{}}}",
            "[".repeat(90),
            "]".repeat(90)
        );
        let cases = [
            (with("openapi", json!("/etc/passwd")), "not_allowed_here"),
            (with("openapi", json!("canary.json")), "not_allowed_here"),
            (with("openapi", json!("file:///canary")), "not_allowed_here"),
            (
                with("openapi", json!("https://canary.example/x.json")),
                "not_allowed_here",
            ),
            (
                with("openapi", json!("builtin:auth-api")),
                "not_allowed_here",
            ),
            (with("base_url", json!("local")), "not_allowed_here"),
            (
                with("base_url", json!("file:///canary")),
                "not_allowed_here",
            ),
            (with("openapi", remote.clone()), "invalid_connector"),
            (
                with("openapi", json!(remote.to_string())),
                "invalid_connector",
            ),
            (with("openapi", json!(bomb)), "invalid_connector"),
            (with("openapi", json!(deep)), "invalid_connector"),
            (
                with("openapi", json!("canary:\n  - [\n")),
                "invalid_connector",
            ),
            (with("openapi", json!({ "canary": 1 })), "invalid_connector"),
            (with("openapi", json!([])), "invalid_input"),
            (with("opneapi", json!({})), "invalid_connector"),
            (with("slug", json!("../canary")), "invalid_connector"),
        ];
        for (body, code) in cases {
            let shown = body.to_string().chars().take(300).collect::<String>();
            let answer = send(&world, &world.owner, &body).await;
            let told = answer.expect(400);
            assert_eq!(told["code"], code, "{shown}: {told}");
            let is_of_document = told["details"][0]["field"] == "openapi";
            assert!(
                !is_of_document || !told.to_string().contains("canary"),
                "{told}"
            );
        }
        let garbage = "x".repeat(10 * 1_024 * 1_024);
        for body in [
            garbage.clone(),
            format!("{{{garbage}"),
            "[1]".to_owned(),
            String::new(),
        ] {
            let request = world.app.request("POST", "/integration").key(&world.owner);
            let answer = request.body(body).send().await;
            assert_eq!(answer.status, 400);
        }
        let large = "x".repeat(33 * 1_024 * 1_024);
        let request = world.app.request("POST", "/integration").key(&world.owner);
        assert_eq!(request.body(large).send().await.status, 413);
        assert_eq!(
            world.get("/integration").await.expect(200)["result_count"],
            1
        );
    }
);

on_both_engines!(
    yaml_and_a_document_as_text_are_taken_and_faults_have_their_place,
    async |app| {
        let world = World::of(app).await;
        let yaml = "slug: tea\nlabel: Tea\ntool_prefix: tea\nbase_url: https://tea.example\nopenapi:\n  \
        swagger: \"2.0\"\n  paths:\n    /pots:\n      get: { summary: Lists pots }\n";
        let send_text = |text: String| {
            let request = world.app.request("POST", "/integration").key(&world.owner);
            request
                .header("content-type", "application/yaml")
                .body(text)
                .send()
        };
        assert_eq!(
            send_text(yaml.to_owned()).await.expect(201)["tool_count"],
            1
        );
        let broken = yaml.replace("get: {", "get: { parameters: [{ $ref: '#/none' }],");
        let told = send_text(broken).await;
        let told = told.expect(400);
        assert!(
            told["message"].as_str().unwrap().contains("line 9"),
            "{told}"
        );
        let text = with(
            "openapi",
            json!("openapi: 3.1.0\npaths:\n  /cups: { get: {} }\n"),
        );
        let text = {
            let mut body = text;
            body["slug"] = json!("cups");
            body
        };
        assert_eq!(
            send(&world, &world.owner, &text).await.expect(201)["tool_count"],
            1
        );
    }
);

on_both_engines!(
    bodies_that_never_arrive_keep_no_other_family_waiting,
    async |app| {
        let world = World::of(app).await;
        let mut keys = vec![world.owner.clone()];
        for name in ["Slow", "Other"] {
            let (account, _) = world.account(name).await;
            keys.push(world.access_key(&account, Role::Owner, None).await.plain);
        }
        let mut waiting = Vec::new();
        for key in &keys[..2] {
            let (begun, has_begun) = oneshot::channel();
            let body = stream::once(async move {
                begun.send(()).unwrap();
                std::future::pending::<Result<Bytes, std::io::Error>>().await
            });
            let request = world.app.request("POST", "/integration").key(key);
            waiting.push(tokio::spawn(request.body(Body::from_stream(body)).send()));
            has_begun.await.unwrap();
        }
        let refused = send(&world, &keys[0], &tea()).await;
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(refused.expect(503)["code"], "too_busy");
        send(&world, &keys[2], &tea()).await.expect(201);
        // Whoever hangs up gives the place back.
        for one in waiting {
            one.abort();
            assert!(one.await.is_err_and(|error| error.is_cancelled()));
        }
        send(&world, &keys[0], &tea()).await.expect(201);
    }
);

on_both_engines!(a_misspelt_secret_is_a_fault, async |app| {
    let world = World::of(app).await;
    let answers = |schema: Value| {
        let mut body = tea();
        let content = json!({ "200": { "content": { "application/json": { "schema": schema } } } });
        body["openapi"]["paths"]["/pots"]["post"]["responses"] = content;
        body
    };
    let pot = json!({ "type": "object", "properties": { "id": {}, "key": { "readOnly": true } } });
    let create = |entry: Value| json!({ "pots": { "methods": { "create": entry } } });
    for (member, name) in [
        ("secret_fields", "kye"),
        ("sealed_fields", "data.key"),
        ("masked_fields", "token"),
    ] {
        let mut body = answers(pot.clone());
        body["resources"] = create(json!({ "http": "POST /pots", member: [name] }));
        let refused = send(&world, &world.owner, &body).await.expect(400);
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains(&format!("no `{name}`")), "{message}");
    }
    for (entry, is_taken) in [
        (
            json!({ "map": { "secret": "key" }, "secret_fields": ["secret"] }),
            true,
        ),
        (
            json!({ "map": { "secret": "key" }, "secret_fields": ["key"] }),
            false,
        ),
        (
            json!({ "map": { "secret": "kye" }, "secret_fields": ["secret"] }),
            false,
        ),
        (json!({ "secret_fields": ["key"] }), true),
    ] {
        let mut body = answers(pot.clone());
        body["slug"] = format!("tea-{}", entry.to_string().len()).into();
        body["resources"] = create(entry.clone());
        body["resources"]["pots"]["methods"]["create"]["http"] = "POST /pots".into();
        let sent = send(&world, &world.owner, &body).await;
        assert_eq!(sent.status == 201, is_taken, "{entry}: {}", sent.body);
    }
});

on_both_engines!(
    what_a_connector_sends_with_every_call_is_sealed_and_shown_to_nobody,
    async |app| {
        let world = World::of(app).await;
        let mut body = tea();
        body["base_url"] = "http://127.0.0.1:9".into();
        body["credentials"] = json!({ "bearer": {} });
        body["headers"] =
            json!({ "x-key": "canary-header-key", "x-token": "{{credentials.token}}" });
        body["query"] = json!({ "key": "canary-query-key" });
        send(&world, &world.owner, &body).await.expect(201);
        let path = "/integration/tea";
        let shown = world.get(path).await.expect(200);
        let hidden = json!({ "x-key": "***", "x-token": "{{credentials.token}}" });
        assert_eq!(shown["file"]["headers"], hidden);
        assert_eq!(shown["file"]["query"], json!({ "key": "***" }));
        let db = &world.app.core.db;
        let id = claviger_domain::id::Id::parse(shown["id"].as_str().unwrap()).unwrap();
        let stored = claviger_store::connectors::with_texts(db, &id).await;
        let (_, texts) = stored.unwrap().unwrap();
        assert!(!texts.file.contains("canary"));

        // Read it, and send it back: what is hidden stays.
        let change = async |body: Value| world.ask(&world.owner, Method::PATCH, path, body).await;
        let back = json!({ "label": "Teas", "headers": shown["file"]["headers"] });
        change(back).await.expect(200);
        let connected = world.ask(
            &world.owner,
            Method::POST,
            "/integrated-account",
            json!({
                "integration": "tea", "tenant_id": "t", "credentials": { "token": "canary-token" },
            }),
        );
        let connected = connected.await.expect(201)["id"].clone();
        let connected = connected.as_str().unwrap();
        let dry = format!("/proxy/pots?dry_run=true&integrated_account_id={connected}");
        let told = world.get(&dry).await.expect(200).to_string();
        assert!(told.contains("***") && !told.contains("canary"), "{told}");
        // Elsewhere it does not go, and nowhere is a mask sent.
        for elsewhere in [
            json!({ "base_url": "http://127.0.0.1:10" }),
            json!({ "headers": { "x-other": "***" } }),
        ] {
            let refused = change(elsewhere).await.expect(400);
            let message = refused["message"].as_str().unwrap();
            assert!(message.contains("must be sent again"), "{message}");
        }
        let anew = json!({
            "base_url": "http://127.0.0.1:10", "headers": { "x-key": "canary-two" }, "query": null,
        });
        change(anew).await.expect(200);
        let shown = world.get(path).await.expect(200);
        assert_eq!(shown["file"]["headers"], json!({ "x-key": "***" }));
    }
);

on_both_engines!(
    a_connector_that_is_deleted_while_it_is_connected_is_one_or_the_other,
    async |app| {
        let world = World::of(app).await;
        for round in 0..10 {
            let mut body = tea();
            body["slug"] = format!("tea-{round}").into();
            body["credentials"] = json!({ "bearer": {} });
            body["base_url"] = "http://127.0.0.1:9".into();
            send(&world, &world.owner, &body).await.expect(201);
            let account = json!({
                "integration": body["slug"], "tenant_id": "t", "credentials": { "token": "token" },
            });
            let path = format!("/integration/tea-{round}");
            let (made, gone) = tokio::join!(
                world.ask(&world.owner, Method::POST, "/integrated-account", account),
                world.ask(&world.owner, Method::DELETE, &path, Value::Null),
            );
            let (made, gone) = (made.status.is_success(), gone.status.is_success());
            assert_ne!(made, gone, "round {round}");
        }
    }
);

on_both_engines!(
    an_account_means_its_own_connector_first_and_reads_what_it_uses,
    async |app| {
        let world = World::of(app).await;
        let child = json!({ "name": "Child", "parentAccountId": world.account.id });
        let child = world.ask(&world.owner, Method::POST, "/accounts", child);
        let child = child.await.expect(201)["id"].clone();
        let child_id = claviger_domain::id::Id::parse(child.as_str().unwrap()).unwrap();
        let reach = claviger_domain::rights::Reach::whole();
        let db = &world.app.core.db;
        let account = claviger_store::accounts::find(db, &reach, &child_id).await;
        let theirs = account.unwrap().unwrap();
        let theirs = world.access_key(&theirs, Role::Owner, None).await.plain;
        // The child's is older, and the parent means its own all the same.
        send(&world, &theirs, &tea()).await.expect(201);
        world.advance(1);
        let mut own = tea();
        own["label"] = "Parent's".into();
        send(&world, &world.owner, &own).await.expect(201);
        let path = "/integration/tea";
        assert_eq!(world.get(path).await.expect(200)["label"], "Parent's");
        let gone = world.ask(&theirs, Method::DELETE, path, Value::Null).await;
        gone.expect(204);
        // What it uses of the parent it reads and lists, and does not change.
        let shown = world.ask(&theirs, Method::GET, path, Value::Null).await;
        assert_eq!(shown.expect(200)["label"], "Parent's");
        let listed = world.ask(&theirs, Method::GET, "/integration", Value::Null);
        let listed = listed.await.expect(200);
        let labels: Vec<_> = listed["result"].as_array().unwrap().iter().collect();
        let labels: Vec<_> = labels.iter().map(|one| one["label"].as_str()).collect();
        assert_eq!(labels, [Some("The Auth API"), Some("Parent's")]);
        let refused = world.ask(&theirs, Method::DELETE, path, Value::Null).await;
        refused.expect(404);
        // So it does as it is listed, by the name of the account that has it.
        let has_it = listed["result"][1]["account_id"].as_str();
        assert_eq!(has_it, Some(world.account.id.as_str()));
        let of_parent = format!("{path}?account_id={}", world.account.id);
        let asked =
            async |key: &str, method, path: &str| world.ask(key, method, path, Value::Null).await;
        let shown = asked(&theirs, Method::GET, &of_parent).await.expect(200);
        assert_eq!(shown["label"], "Parent's");
        let capabilities = format!("{path}/capabilities?account_id={}", world.account.id);
        asked(&theirs, Method::GET, &capabilities).await.expect(200);
        asked(&theirs, Method::DELETE, &of_parent).await.expect(404);
        world.get(path).await.expect(200);
        // No stranger does, and of an account is read what it has.
        let (other, _) = world.account("Other").await;
        let stranger = world.access_key(&other, Role::Owner, None).await.plain;
        asked(&stranger, Method::GET, &of_parent).await.expect(404);
        let of_child = format!("{path}?account_id={}", child_id.as_str());
        asked(&theirs, Method::GET, &of_child).await.expect(404);
        // What it does not use, since it has one of that name, it does not read.
        send(&world, &theirs, &tea()).await.expect(201);
        asked(&theirs, Method::GET, &of_parent).await.expect(404);
    }
);

in_both_shops!(
    what_stands_beside_a_credential_is_sealed_and_shown_to_nobody,
    async |shop| {
        let world = &shop.world;
        let beside =
            |name: &str, value: &str| json!({ "header": { "name": name, "value": value } });
        let token = "Token canary-beside-{{credentials.token}}";
        let formats = json!({
            "bearer": { "authorization": beside("x-auth", token), "validate": "orders.list" },
            "api_key": { "authorization": { "query": { "name": "k", "value": "canary-alone" } } },
            "basic": {
                "fields": [{ "name": "username", "type": "text" }],
                "authorization": { "basic": {
                    "username": "{{credentials.username}}", "password": "canary-password",
                } },
            },
        });
        let members =
            json!({ "credentials": formats, "authorization": { "bearer": "canary-all" } });
        shop.bring("pots", members).await;
        let path = "/integration/pots";
        let shown = world.get(path).await.expect(200);
        let file = &shown["file"];
        for place in [
            "/credentials/bearer/authorization/header/value",
            "/credentials/api_key/authorization/query/value",
            "/credentials/basic/authorization/basic/password",
            "/authorization/bearer",
        ] {
            assert_eq!(file.pointer(place), Some(&json!("***")), "{place}");
        }
        let id = claviger_domain::id::Id::parse(shown["id"].as_str().unwrap()).unwrap();
        let db = &world.app.core.db;
        let stored = claviger_store::connectors::with_texts(db, &id).await;
        let (_, texts) = stored.unwrap().unwrap();
        assert!(!texts.file.contains("canary"), "{}", texts.file);

        // Sent back as it was read it stays, and is sent to where it was.
        let change = async |body: Value| shop.owner(Method::PATCH, path, body).await;
        let back = json!({ "label": "Pots", "credentials": file["credentials"] });
        change(back).await.expect(200);
        let sent = "Token canary-beside-right";
        shop.says(move |received| answer(200, &json!([{ "id": received.header("x-auth") }])));
        let body = json!({
            "integration": "pots", "tenant_id": "t", "authentication_method": "bearer",
            "context": { "host": shop.host() }, "credentials": { "token": "right" },
        });
        let made = shop.connect(body).await.expect(201);
        assert_eq!(made["status"], "active", "{made}");
        let connected = made["id"].as_str().unwrap();
        let got = shop.get(connected, "orders").await.expect(200);
        assert!(!got.to_string().contains("canary"), "{got}");
        let received = shop.upstream.received();
        assert_eq!(received.last().unwrap().header("x-auth"), sent);
        let dry = shop.get(connected, "orders?dry_run=true").await.expect(200);
        assert!(!dry.to_string().contains("canary"), "{dry}");

        // A password comes back neither as it was sent nor as it is.
        shop.says(|received| {
            let sent = received.header("authorization");
            answer(200, &json!([{ "id": "canary-password", "sent": sent }]))
        });
        let body = json!({
            "integration": "pots", "tenant_id": "t", "authentication_method": "basic",
            "context": { "host": shop.host() }, "credentials": { "username": "shopkeeper" },
        });
        let made = shop.connect(body).await.expect(201);
        let connected = made["id"].as_str().unwrap();
        let got = shop.get(connected, "orders").await.expect(200);
        let received = shop.upstream.received();
        let pair = "c2hvcGtlZXBlcjpjYW5hcnktcGFzc3dvcmQ=";
        assert_eq!(
            received.last().unwrap().header("authorization"),
            format!("Basic {pair}")
        );
        let got = got.to_string();
        assert!(!got.contains("canary") && !got.contains(pair), "{got}");

        // Elsewhere it does not go, whoever sends the mask back.
        for elsewhere in [
            json!({ "base_url": "http://{{context.host}}/elsewhere" }),
            json!({ "credentials": { "api_key": { "authorization": beside("x-auth", "***") } } }),
        ] {
            let refused = change(elsewhere).await.expect(400);
            assert!(
                refused["message"]
                    .as_str()
                    .unwrap()
                    .contains("authorization")
            );
        }
    }
);
