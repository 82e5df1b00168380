//! Access keys: nothing made exceeds its maker, and a change works at once.

use claviger_domain::role::Role;
use claviger_testkit::{TestApp, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(nothing_made_exceeds_its_maker, async |app| {
    let tenant = app.tenant("Acme").await;
    let make = async |key: &str, body| {
        app.request("POST", "/access-keys")
            .key(key)
            .json(body)
            .send()
            .await
    };
    let developer = tenant.key(Role::Developer);
    for role in ["owner", "admin", "analyst"] {
        let body = json!({"name": "x", "role": role});
        let refused = make(developer, body).await;
        let expected = if role == "analyst" { 201 } else { 403 };
        assert_eq!(refused.status, expected, "{role}");
    }
    let project = json!(tenant.project.id);
    let on_project = tenant.project_key(Role::Developer);
    // Naming nothing, a project-level maker means its project.
    let made = make(on_project, json!({"name": "x"})).await.expect(201);
    assert_eq!(made["projectIds"], json!([project]));
    assert_eq!(made["role"], "developer");
    let refused = make(
        on_project,
        json!({"name": "x", "role": "owner", "projectId": project}),
    );
    assert_eq!(refused.await.expect(400)["code"], "role_needs_account");
    let admin = tenant.key(Role::Admin);
    assert_eq!(
        make(admin, json!({"name": "x", "role": "OWNER"}))
            .await
            .expect(403)["code"],
        "exceeds_maker"
    );
    assert_eq!(
        make(admin, json!({"name": "x", "role": "king"}))
            .await
            .expect(400)["details"][0]["field"],
        "role"
    );

    let soon = app.core.now().plus_seconds(60).to_string();
    let mortal = make(
        tenant.owner(),
        json!({"name": "x", "role": "admin", "expiry": soon}),
    );
    let mortal = mortal.await.expect(201)["key"].as_str().unwrap().to_owned();
    let refused = make(&mortal, json!({"name": "outlives", "role": "viewer"}))
        .await
        .expect(403);
    assert_eq!(refused["code"], "exceeds_maker");
    make(
        &mortal,
        json!({"name": "fits", "role": "viewer", "expiry": soon}),
    )
    .await
    .expect(201);
    app.advance(60);
    app.request("GET", "/accounts")
        .key(&mortal)
        .send()
        .await
        .expect(401);
});

on_both_engines!(an_access_key_is_switched_off_on_and_rotated, async |app| {
    let tenant = app.tenant("Acme").await;
    let made = app
        .request("POST", "/access-keys")
        .key(tenant.owner())
        .json(json!({"name": "x"}));
    let made = made.send().await.expect(201);
    let full = made["key"].as_str().unwrap();
    let reference = format!("{}*********", &full[.."live_access_".len() + 16]);
    let ask = async |method, path: &str| app.request(method, path).key(tenant.owner()).send().await;
    let works = async |key: &str| {
        app.request("GET", "/api-keys")
            .key(key)
            .send()
            .await
            .status
            .as_u16()
    };
    assert_eq!(works(full).await, 200);
    assert_eq!(
        ask("DELETE", &format!("/access-keys/{reference}"))
            .await
            .expect(200),
        json!(true)
    );
    assert_eq!(works(full).await, 401);
    let path = format!("/access-keys/{}", made["id"].as_str().unwrap());
    assert_eq!(
        ask("PATCH", &format!("{path}/reactivate"))
            .await
            .expect(200)["key"],
        reference
    );
    assert_eq!(works(full).await, 200);
    let rotate = app
        .request("POST", &format!("{path}/rotate"))
        .key(tenant.owner());
    let new = rotate
        .json(json!({"gracePeriod": 30}))
        .send()
        .await
        .expect(201);
    let new_full = new["key"].as_str().unwrap();
    assert_eq!((works(full).await, works(new_full).await), (200, 200));
    app.advance(30);
    assert_eq!((works(full).await, works(new_full).await), (401, 200));
    assert_eq!(
        ask("PATCH", &format!("{path}/reactivate"))
            .await
            .expect(409)["code"],
        "key_rotated"
    );
});

#[tokio::test]
async fn an_access_key_cannot_free_itself() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let body = json!({"name": "x", "role": "admin", "rateLimit": 100, "expiry": "2090-01-01"});
    let made = app
        .request("POST", "/access-keys")
        .key(tenant.owner())
        .json(body);
    let made = made.send().await.expect(201);
    let (key, path) = (
        made["key"].as_str().unwrap(),
        format!("/access-keys/{}", made["id"].as_str().unwrap()),
    );
    for body in [
        json!({"rateLimit": null}),
        json!({"expiry": null}),
        json!({"isActive": false}),
    ] {
        let refused = app
            .request("PATCH", &path)
            .key(key)
            .json(body)
            .send()
            .await
            .expect(403);
        assert_eq!(refused["code"], "own_key");
    }
    app.request("DELETE", &path)
        .key(key)
        .send()
        .await
        .expect(403);
    app.request("PATCH", &path)
        .key(key)
        .json(json!({"name": "Renamed"}))
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn an_access_key_frees_none_of_its_own_rotations() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let body = json!({"name": "x", "role": "admin", "rateLimit": 100, "expiry": "2090-01-01"});
    let first = app.request("POST", "/access-keys").key(tenant.owner());
    let mut lineage = vec![first.json(body).send().await.expect(201)];
    for _ in 0..2 {
        let id = lineage[lineage.len() - 1]["id"].as_str().unwrap();
        let rotate = app
            .request("POST", &format!("/access-keys/{id}/rotate"))
            .key(tenant.owner());
        let grace = json!({"gracePeriod": 600});
        let successor = rotate.json(grace).send().await.expect(201);
        lineage.push(successor);
    }
    let send = async |method, key: &str, of: &Value, body| {
        let path = format!("/access-keys/{}", of["id"].as_str().unwrap());
        app.request(method, &path).key(key).json(body).send().await
    };
    for caller in &lineage {
        let caller = caller["key"].as_str().unwrap();
        for of in &lineage {
            for body in [json!({"rateLimit": null}), json!({"expiry": null})] {
                let refused = send("PATCH", caller, of, body).await.expect(403);
                assert_eq!(refused["code"], "own_key");
            }
        }
        // Neither itself nor its successor.
        for (method, body) in [
            ("PATCH", json!({"isActive": false})),
            ("DELETE", Value::Null),
        ] {
            let refused = send(method, caller, &lineage[2], body).await.expect(403);
            assert_eq!(refused["code"], "own_key");
        }
    }
    let [first, second, last] = [0, 1, 2].map(|place: usize| &lineage[place]);
    let key_of = |one: &Value| one["key"].as_str().unwrap().to_owned();
    send("DELETE", tenant.owner(), last, Value::Null)
        .await
        .expect(200);
    let path = format!("/access-keys/{}/reactivate", last["id"].as_str().unwrap());
    let reactivate = async |key: &str| app.request("PATCH", &path).key(key).send().await;
    assert_eq!(
        reactivate(&key_of(first)).await.expect(403)["code"],
        "own_key"
    );
    reactivate(tenant.owner()).await.expect(200);
    // One that leaked is ended by its successor.
    send("DELETE", &key_of(last), first, Value::Null)
        .await
        .expect(200);
    send("PATCH", &key_of(last), second, json!({"isActive": false}))
        .await
        .expect(200);
    let raised = json!({"rateLimit": 200});
    send("PATCH", tenant.owner(), &lineage[2], raised)
        .await
        .expect(200);
}

#[tokio::test]
async fn whoever_could_not_make_a_key_neither_sees_nor_changes_it() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let body = json!({"name": "owner", "role": "owner"});
    let owner = app
        .request("POST", "/access-keys")
        .key(tenant.owner())
        .json(body);
    let owner = owner.send().await.expect(201);
    let path = format!("/access-keys/{}", owner["id"].as_str().unwrap());
    let rotate = format!("{path}/rotate");
    let developer = tenant.key(Role::Developer);
    for (method, path) in [("DELETE", &path), ("PATCH", &path), ("POST", &rotate)] {
        let request = app
            .request(method, path)
            .key(developer)
            .json(json!({"name": "y"}));
        let refused = request.send().await.expect(404);
        assert_eq!(refused["code"], "access_key_not_found", "{method}");
    }
    let seen = app
        .request("GET", "/access-keys")
        .key(developer)
        .send()
        .await
        .expect(200);
    let above = ["owner", "admin"];
    let roles: Vec<_> = seen
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["role"].clone())
        .collect();
    assert!(!roles.is_empty() && !roles.iter().any(|role| above.iter().any(|one| role == one)));
    app.request("GET", "/accounts")
        .key(owner["key"].as_str().unwrap())
        .send()
        .await
        .expect(200);
}

on_both_engines!(nothing_made_outlives_its_maker, async |app| {
    let tenant = app.tenant("Acme").await;
    let soon = app.core.now().plus_seconds(60).to_string();
    let make = async |key: &str, body| {
        app.request("POST", "/access-keys")
            .key(key)
            .json(body)
            .send()
            .await
    };
    let mortal = make(
        tenant.owner(),
        json!({"name": "m", "role": "owner", "expiry": soon}),
    )
    .await
    .expect(201);
    let mortal = mortal["key"].as_str().unwrap();
    let eternal = make(tenant.owner(), json!({"name": "e"})).await.expect(201);
    // Not by changing what it made,
    let made = make(mortal, json!({"name": "b", "expiry": soon}))
        .await
        .expect(201);
    let path = format!("/access-keys/{}", made["id"].as_str().unwrap());
    for expiry in [json!(null), json!("2090-01-01")] {
        let freed = app
            .request("PATCH", &path)
            .key(mortal)
            .json(json!({"expiry": expiry}));
        assert_eq!(freed.send().await.expect(403)["code"], "exceeds_maker");
    }
    // nor by being handed the successor of one that never ends,
    let path = format!("/access-keys/{}/rotate", eternal["id"].as_str().unwrap());
    let handed = app
        .request("POST", &path)
        .key(mortal)
        .send()
        .await
        .expect(403);
    assert_eq!(handed["code"], "exceeds_maker");
    // nor by switching on one that never ends,
    let off = make(tenant.owner(), json!({"name": "off"}))
        .await
        .expect(201);
    let place = format!("/access-keys/{}", off["id"].as_str().unwrap());
    app.request("DELETE", &place)
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    let on = app
        .request("PATCH", &format!("{place}/reactivate"))
        .key(mortal)
        .send()
        .await;
    assert_eq!(on.expect(403)["code"], "exceeds_maker");
    let on = app
        .request("PATCH", &place)
        .key(mortal)
        .json(json!({"isActive": true}))
        .send()
        .await;
    assert_eq!(on.expect(403)["code"], "exceeds_maker");
    // nor in the grace of a rotation.
    let full = eternal["key"].as_str().unwrap();
    let rotate = app
        .request("POST", &path)
        .key(tenant.owner())
        .json(json!({"gracePeriod": 60}));
    rotate.send().await.expect(201);
    let kept = make(full, json!({"name": "kept", "role": "viewer"}))
        .await
        .expect(403);
    assert_eq!(kept["code"], "exceeds_maker");
});

#[tokio::test]
async fn an_api_keys_id_is_pointed_to_the_right_operation() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let key = app.api_key(&tenant, json!({})).await;
    let id = key["id"].as_str().unwrap();
    let refused = app
        .request("DELETE", &format!("/access-keys/{id}"))
        .key(tenant.owner())
        .send()
        .await;
    let message = refused.expect(404)["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!("/api-keys/{id}")), "{message}");
    let other = app.tenant("Other").await;
    let refused = app
        .request("DELETE", &format!("/access-keys/{id}"))
        .key(other.owner())
        .send()
        .await;
    assert_eq!(refused.expect(404)["message"], "Access key not found");
}

#[tokio::test]
async fn lists_show_what_the_caller_may_see() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let all = app
        .request("GET", "/access-keys")
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    let own = app
        .request("GET", "/access-keys")
        .key(tenant.project_key(Role::Developer))
        .send()
        .await;
    let own = own.expect(200);
    let account_level = |key: &&serde_json::Value| key["projectIds"] == json!([]);
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .any(|key| account_level(&key))
    );
    assert!(
        !own.as_array()
            .unwrap()
            .iter()
            .any(|key| account_level(&key))
    );
    let empty = json!({"name": "x", "projectIds": []});
    let refused = app
        .request("POST", "/access-keys")
        .key(tenant.owner())
        .json(empty);
    assert_eq!(
        refused.send().await.expect(400)["details"][0]["field"],
        "projectIds"
    );
    let aliased = json!({"name": "x", "role": "viewer", "projectID": tenant.project.id});
    let aliased = app
        .request("POST", "/access-keys")
        .key(tenant.owner())
        .json(aliased);
    assert_eq!(
        aliased.send().await.expect(201)["projectIds"],
        json!([tenant.project.id])
    );
    let path = format!(
        "/access-keys?projectId={}&isActive=true&limit=1",
        tenant.project.id
    );
    let first = app.request("GET", &path).key(tenant.owner()).send().await;
    assert_eq!(first.header("x-total-count"), "4");
    assert_eq!(first.expect(200).as_array().unwrap().len(), 1);
}
