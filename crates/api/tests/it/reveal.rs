//! Keys that are read back: in a project that keeps them, by an access key that was granted that, and
//! by nobody else.

mod owners;

use claviger_domain::role::Role;
use claviger_store::events;
use claviger_testkit::{MadeAccessKey, Tenant, TestApp, TestRequest, on_both_engines};
use serde_json::{Value, json};

/// A tenant whose project keeps keys, and an access key that may read them for a minute.
struct Room {
    tenant: Tenant,
    reader: MadeAccessKey,
    grant: String,
}

impl Room {
    async fn of(app: &TestApp) -> Self {
        let tenant = app.tenant("Acme").await;
        let stored = store(app, app.operator_key.expose(), &tenant, "recoverable");
        assert_eq!(stored.send().await.expect(200)["keyStorage"], "recoverable");
        let reader = app.access_key(&tenant.account, Role::Viewer, None).await;
        let made = grant(app, &tenant, &reader, 60).send().await.expect(201);
        let expected = json!([reader.id, tenant.project.id, null]);
        let shown = json!([
            made["accessKeyId"],
            made["projectId"],
            made["createdByType"]
        ]);
        assert_eq!(shown, expected);
        Self {
            grant: made["id"].as_str().expect("ids are text").to_owned(),
            tenant,
            reader,
        }
    }

    /// What of a key somebody is shown as `key`, alone and in the list.
    async fn shown(&self, app: &TestApp, credential: &str, key: &Value) -> [Value; 2] {
        let id = key["id"].as_str().expect("ids are text");
        let get = async |path: &str| {
            let request = app.request("GET", path).key(credential);
            request.send().await.expect(200)
        };
        let alone = get(&format!("/api-keys/{id}")).await["key"].clone();
        let path = format!("/api-keys?projectId={}", self.tenant.project.id);
        let list = get(&path).await;
        let list = list.as_array().expect("lists are arrays");
        let found = list.iter().find(|one| one["id"] == id);
        [alone, found.expect("the key is listed")["key"].clone()]
    }

    async fn is_read(&self, app: &TestApp, key: &Value) -> bool {
        let [alone, listed] = self.shown(app, &self.reader.plain, key).await;
        assert_eq!(alone, listed);
        alone == key["key"]
    }

    fn path(&self) -> String {
        format!("/projects/{}/reveal-grants", self.tenant.project.id)
    }
}

fn store(app: &TestApp, credential: &str, tenant: &Tenant, storage: &str) -> TestRequest {
    let path = format!("/projects/{}", tenant.project.id);
    let request = app.request("PATCH", &path).key(credential);
    request.json(json!({"keyStorage": storage}))
}

fn grant(app: &TestApp, tenant: &Tenant, key: &MadeAccessKey, seconds: i64) -> TestRequest {
    let path = format!("/projects/{}/reveal-grants", tenant.project.id);
    let until = app.core.now().plus_seconds(seconds);
    let request = app.request("POST", &path).key(app.operator_key.expose());
    request.json(json!({"accessKeyId": key.id, "expiresAt": until}))
}

fn is_reference(value: &Value) -> bool {
    value
        .as_str()
        .expect("keys are text")
        .ends_with("*********")
}

on_both_engines!(
    a_granted_access_key_reads_keys_back_and_no_one_else,
    async |app| {
        let room = Room::of(&app).await;
        let tenant = &room.tenant;
        let custom = json!({"key": "customers-own-key-1"});
        for key in [
            app.api_key(tenant, json!({})).await,
            app.api_key(tenant, custom).await,
        ] {
            assert!(room.is_read(&app, &key).await);
            for role in Role::ALL.into_iter().filter(|role| {
                role.permissions()
                    .contains(claviger_domain::permission::Permission::KeysRead)
            }) {
                let [alone, listed] = room.shown(&app, tenant.key(role), &key).await;
                assert!(is_reference(&alone) && listed == alone, "{}", role.as_str());
            }
            let operator = app.operator_key.expose();
            assert!(is_reference(&room.shown(&app, operator, &key).await[0]));
            // What was read can be sent back, and changes nothing.
            let path = format!("/api-keys/{}", key["id"].as_str().expect("ids are text"));
            let read = app.request("GET", &path).key(&room.reader.plain);
            let read = read.send().await.expect(200);
            let sent = app.request("PATCH", &path).key(tenant.owner());
            let sent = sent.json(read.clone()).send().await.expect(200);
            assert_eq!(sent["updatedAt"], read["updatedAt"]);
            assert!(is_reference(&sent["key"]));
        }
        for role in [Role::Analyst, Role::Verifier] {
            let request = app.request("GET", "/api-keys").key(tenant.key(role));
            assert!([403, 404].contains(&request.send().await.status.as_u16()));
        }
    }
);

on_both_engines!(
    each_reading_is_in_the_trail_and_is_kept_by_no_cache,
    async |app| {
        let room = Room::of(&app).await;
        let one = app.api_key(&room.tenant, json!({})).await;
        // Lists are in the order of their making.
        app.advance(1);
        let two = app.api_key(&room.tenant, json!({})).await;
        let readings = async || {
            let account = &room.tenant.account.id;
            let trail = events::of_account(&app.core.db, account, 1_000).await;
            let trail = trail.unwrap().into_iter();
            let of_kind = trail.filter(|event| event.kind == "api-keys.revealed");
            of_kind.collect::<Vec<_>>()
        };
        for (path, keys) in [
            (
                format!("/api-keys/{}", one["id"].as_str().unwrap()),
                vec![&one],
            ),
            ("/api-keys".to_owned(), vec![&one, &two]),
        ] {
            let before = readings().await.len();
            let masked = app.request("GET", &path).key(room.tenant.owner());
            let masked = masked.send().await;
            assert_eq!(masked.header("cache-control"), "");
            assert_eq!(readings().await.len(), before);
            let read = app.request("GET", &path).key(&room.reader.plain);
            let read = read.send().await;
            assert_eq!(read.header("cache-control"), "no-store");
            assert_eq!(read.header("referrer-policy"), "no-referrer");
            let after = readings().await;
            assert_eq!(after.len(), before + 1);
            let last = after.last().unwrap();
            assert_eq!(last.actor, room.reader.id.as_str());
            let data: Value = serde_json::from_str(&last.data).unwrap();
            let ids: Vec<_> = keys.iter().map(|key| &key["id"]).collect();
            assert_eq!(data, json!({"keys": ids, "grantId": room.grant}));
            for key in keys {
                let full = key["key"].as_str().unwrap();
                assert!(!last.data.contains(&full[full.len() - 48..]));
            }
        }
    }
);

on_both_engines!(a_grant_ends_at_once, async |app| {
    let room = Room::of(&app).await;
    let key = app.api_key(&room.tenant, json!({})).await;
    assert!(room.is_read(&app, &key).await);
    app.advance(60);
    assert!(!room.is_read(&app, &key).await);
    // By hand, which whoever may write the project may do.
    let granted = async || {
        let made = grant(&app, &room.tenant, &room.reader, 60).send().await;
        let made = made.expect(201);
        assert!(room.is_read(&app, &key).await);
        made["id"].as_str().expect("ids are text").to_owned()
    };
    let id = granted().await;
    let end = |id: &str, credential: &str| {
        let path = format!("{}/{id}", room.path());
        app.request("DELETE", &path).key(credential).send()
    };
    end(&id, room.tenant.key(Role::Developer)).await.expect(403);
    end(&id, room.tenant.owner()).await.expect(204);
    assert!(!room.is_read(&app, &key).await);
    let again = end(&id, room.tenant.owner()).await.expect(404);
    assert_eq!(again["code"], "reveal_grant_not_found");
    // With its access key, which has no grant when it is switched on again.
    granted().await;
    let path = format!("/access-keys/{}", room.reader.id);
    for (method, path) in [("DELETE", &path), ("PATCH", &format!("{path}/reactivate"))] {
        let request = app.request(method, path).key(room.tenant.owner());
        request.send().await.expect(200);
    }
    assert!(!room.is_read(&app, &key).await);
    // With the storage of keys.
    granted().await;
    let operator = app.operator_key.expose();
    for storage in ["hashed", "recoverable"] {
        store(&app, operator, &room.tenant, storage)
            .send()
            .await
            .expect(200);
        assert!(!room.is_read(&app, &key).await);
    }
    let list = app.request("GET", &room.path()).key(room.tenant.owner());
    assert_eq!(list.send().await.expect(200), json!([]));
});

on_both_engines!(
    a_successor_of_a_granted_access_key_reads_nothing,
    async |app| {
        let room = Room::of(&app).await;
        let key = app.api_key(&room.tenant, json!({})).await;
        let path = format!("/access-keys/{}/rotate", room.reader.id);
        let rotate = app.request("POST", &path).key(room.tenant.owner());
        let next = rotate
            .json(json!({"gracePeriod": 10}))
            .send()
            .await
            .expect(201);
        let next = next["key"].as_str().unwrap();
        assert!(is_reference(&room.shown(&app, next, &key).await[0]));
        // The old one is what it was, until its grace is over.
        assert!(room.is_read(&app, &key).await);
        app.advance(10);
        let read = app.request("GET", "/api-keys").key(&room.reader.plain);
        read.send().await.expect(401);
        let list = app.request("GET", &room.path()).key(room.tenant.owner());
        assert_eq!(list.send().await.expect(200), json!([]));
    }
);

on_both_engines!(no_access_key_opens_keys_whatever_its_role, async |app| {
    let room = Room::of(&app).await;
    let tenant = &room.tenant;
    let body = json!({"accessKeyId": room.reader.id, "expiresAt": app.core.now().plus_seconds(9)});
    for role in Role::ALL {
        let key = tenant.key(role);
        let expected = if role == Role::Verifier { 404 } else { 403 };
        for request in [
            store(&app, key, tenant, "hashed"),
            app.request("POST", &room.path())
                .key(key)
                .json(body.clone()),
        ] {
            let refused = request.send().await.expect(expected);
            if matches!(role, Role::Owner | Role::Admin) {
                assert_eq!(refused["code"], "owner_needed");
            }
        }
    }
    // Nor the operator from a page, or from elsewhere.
    let operator = app.operator_key.expose();
    let from_page = store(&app, operator, tenant, "hashed").header("origin", "https://example.com");
    assert_eq!(
        from_page.send().await.expect(403)["code"],
        "origin_not_accepted"
    );
    let remote = store(&app, operator, tenant, "hashed").from(([192, 0, 2, 1], 1).into());
    assert_eq!(
        remote.send().await.expect(403)["code"],
        "operator_not_local"
    );
    // And the reader reads nothing from a page.
    let read = app.request("GET", "/api-keys").key(&room.reader.plain);
    let read = read.header("origin", "https://example.com").send().await;
    assert_eq!(read.expect(403)["code"], "origin_not_accepted");
});

#[tokio::test]
async fn a_grant_is_of_one_family_for_a_project_that_keeps_keys_and_for_a_time() {
    let app = TestApp::start().await;
    let room = Room::of(&app).await;
    let other = app.tenant("Other").await;
    let foreign = app.access_key(&other.account, Role::Owner, None).await;
    let refused = grant(&app, &room.tenant, &foreign, 60).send().await;
    assert_eq!(refused.expect(404)["code"], "access_key_not_found");
    let hashed = grant(&app, &other, &foreign, 60).send().await.expect(409);
    assert_eq!(hashed["code"], "keys_hashed");
    for seconds in [-1, 0, 30 * 86_400 + 1] {
        let refused = grant(&app, &room.tenant, &room.reader, seconds)
            .send()
            .await;
        assert_eq!(refused.expect(400)["details"][0]["field"], "expiresAt");
    }
    grant(&app, &room.tenant, &room.reader, 30 * 86_400)
        .send()
        .await
        .expect(201);
    // Of one that lists no keys, here or at all, or that is off.
    let second = app.request("POST", "/projects").key(room.tenant.owner());
    let second = second
        .json(json!({"name": "Second"}))
        .send()
        .await
        .expect(201);
    let second = claviger_domain::id::Id::from_trusted(second["id"].as_str().unwrap());
    let elsewhere = app.access_key(&room.tenant.account, Role::Viewer, Some([second].into()));
    let verifier = app.access_key(&room.tenant.account, Role::Verifier, None);
    let off = app
        .access_key(&room.tenant.account, Role::Owner, None)
        .await;
    let path = format!("/access-keys/{}", off.id);
    let switch_off = app.request("DELETE", &path).key(room.tenant.owner());
    switch_off.send().await.expect(200);
    for key in [elsewhere.await, verifier.await, off] {
        let refused = grant(&app, &room.tenant, &key, 60).send().await.expect(400);
        assert_eq!(refused["details"][0]["field"], "accessKeyId");
    }
    for (member, body) in [
        ("accessKeyId", json!({"expiresAt": "2030-01-02"})),
        ("expiresAt", json!({"accessKeyId": room.reader.id})),
    ] {
        let request = app
            .request("POST", &room.path())
            .key(app.operator_key.expose());
        let refused = request.json(body).send().await.expect(400);
        assert_eq!(refused["details"][0]["field"], member);
    }
}

#[tokio::test]
async fn a_foreign_tenant_s_grant_is_absent() {
    let app = TestApp::start().await;
    let room = Room::of(&app).await;
    let other = Room::of(&app).await;
    let key = app.api_key(&room.tenant, json!({})).await;
    let path = format!("/api-keys/{}", key["id"].as_str().expect("ids are text"));
    let read = app.request("GET", &path).key(&other.reader.plain);
    read.send().await.expect(404);
    for path in [
        format!("{}/{}", room.path(), room.grant),
        format!("{}/{}", other.path(), room.grant),
        format!("{}/nonsense", other.path()),
    ] {
        let end = app.request("DELETE", &path).key(other.tenant.owner());
        end.send().await.expect(404);
    }
    let list = app.request("GET", &room.path()).key(other.tenant.owner());
    list.send().await.expect(404);
    assert!(room.is_read(&app, &key).await);
}

on_both_engines!(what_is_read_back_is_what_passes_now, async |app| {
    let room = Room::of(&app).await;
    let tenant = &room.tenant;
    let send = async |method: &str, path: &str, body: Value| {
        let request = app.request(method, path).key(tenant.owner());
        let answer = request.json(body).send().await;
        assert!(answer.status.is_success(), "{:#}", answer.body);
        answer.body
    };
    let path_of = |key: &Value| format!("/api-keys/{}", key["id"].as_str().expect("ids are text"));
    // Off and on again.
    let key = app.api_key(tenant, json!({})).await;
    send("DELETE", &path_of(&key), json!({})).await;
    assert!(!room.is_read(&app, &key).await);
    send("PATCH", &format!("{}/reactivate", path_of(&key)), json!({})).await;
    assert!(room.is_read(&app, &key).await);
    // A successor, and what it succeeded until that ends.
    let next = send(
        "POST",
        &format!("{}/rotate", path_of(&key)),
        json!({"gracePeriod": 5}),
    )
    .await;
    assert!(room.is_read(&app, &key).await && room.is_read(&app, &next).await);
    app.advance(5);
    assert!(!room.is_read(&app, &key).await && room.is_read(&app, &next).await);
    // Another key string of a custom key.
    let custom = app
        .api_key(tenant, json!({"key": "customers-own-key-1"}))
        .await;
    send(
        "PATCH",
        &path_of(&custom),
        json!({"key": "customers-own-key-2"}),
    )
    .await;
    let [shown, _] = room.shown(&app, &room.reader.plain, &custom).await;
    assert_eq!(shown, "customers-own-key-2");
    // Expired.
    let expired = app.api_key(tenant, json!({"expiry": "2001-01-01"})).await;
    assert!(!room.is_read(&app, &expired).await);
    // Imported: with its key string, and by its hash alone.
    let hash = json!({"algorithm": "sha256", "value": "a".repeat(64)});
    let import = json!({"projectId": tenant.project.id, "keys": [
        {"name": "moved", "key": "moved-key-string-1"}, {"name": "hashed", "keyHash": hash},
    ]});
    let imported = send("POST", "/api-keys/import", import).await;
    let rows = imported.as_array().unwrap();
    let [moved, hashed] = [&rows[0], &rows[1]];
    let [shown, _] = room.shown(&app, &room.reader.plain, moved).await;
    assert_eq!(shown, "moved-key-string-1");
    let [shown, _] = room.shown(&app, &room.reader.plain, hashed).await;
    assert!(is_reference(&shown));
});

#[tokio::test]
async fn what_was_made_before_and_what_is_erased_cannot_be_read_back() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let before = app.api_key(&tenant, json!({})).await;
    let operator = app.operator_key.expose();
    store(&app, operator, &tenant, "recoverable")
        .send()
        .await
        .expect(200);
    let kept = app.api_key(&tenant, json!({})).await;
    let reader = app.access_key(&tenant.account, Role::Owner, None).await;
    let made = grant(&app, &tenant, &reader, 60).send().await.expect(201);
    let mut room = Room {
        grant: made["id"].as_str().expect("ids are text").to_owned(),
        tenant,
        reader,
    };
    assert!(!room.is_read(&app, &before).await && room.is_read(&app, &kept).await);
    for storage in ["hashed", "recoverable"] {
        store(&app, operator, &room.tenant, storage)
            .send()
            .await
            .expect(200);
    }
    let made = grant(&app, &room.tenant, &room.reader, 60)
        .send()
        .await
        .expect(201);
    room.grant = made["id"].as_str().expect("ids are text").to_owned();
    assert!(!room.is_read(&app, &kept).await);
    let path = format!("/api-keys/auth/{}", kept["key"].as_str().unwrap());
    let check = app.request("POST", &path).key(room.tenant.owner());
    check.send().await.expect(200);
}
