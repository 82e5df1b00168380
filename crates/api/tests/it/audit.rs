//! The audit trail over HTTP: whole, in order, and of one account.

use claviger_domain::role::Role;
use claviger_testkit::{Tenant, TestApp, TestResponse, on_both_engines};
use serde_json::{Value, json};

async fn ask(app: &TestApp, key: &str, query: &str) -> TestResponse {
    let path = format!("/audit-events?{query}");
    app.request("GET", &path).key(key).send().await
}

async fn actions(app: &TestApp, tenant: &Tenant, query: &str) -> Vec<String> {
    let found = ask(app, tenant.owner(), query).await.expect(200);
    let events = found.as_array().expect("a list").iter();
    events
        .map(|event| text(&event["action"]).to_owned())
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// The path of the next page.
fn next(answer: &TestResponse) -> Option<String> {
    let link = answer.header("link");
    let path = link.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
    Some(path.to_owned())
}

/// Makes keys, one a minute.
async fn make_keys(app: &TestApp, tenant: &Tenant, count: usize) -> Vec<Value> {
    let mut keys = Vec::new();
    for _ in 0..count {
        app.advance(60);
        keys.push(app.api_key(tenant, json!({"name": "Told"})).await);
    }
    keys
}

on_both_engines!(an_event_says_who_did_what_to_which_object, async |app| {
    let tenant = app.tenant("Acme").await;
    let key = make_keys(&app, &tenant, 1).await.remove(0);
    let query = format!("target={}", text(&key["id"]));
    let found = ask(&app, tenant.owner(), &query).await.expect(200);
    let [event] = &found.as_array().unwrap()[..] else {
        panic!("{found}");
    };
    let mut event = event.clone();
    let place = event["cursor"].take();
    assert!(text(&event["id"]).starts_with("evt_"));
    assert!(text(&event["actor"]).starts_with("ack_"));
    let expected = json!({
        "id": event["id"], "createdAt": "2030-01-01T00:01:00.000Z",
        "accountId": tenant.account.id, "projectId": tenant.project.id,
        "actor": event["actor"], "actorType": "ACCESS_KEY", "via": null,
        "action": "api-key.created", "target": key["id"], "data": event["data"], "cursor": null,
    });
    assert_eq!(event, expected);
    assert!(!event.to_string().contains(text(&key["key"])));
    // Nothing is behind the last event of it.
    let behind = format!("{query}&cursor={}", text(&place));
    assert_eq!(
        ask(&app, tenant.owner(), &behind).await.expect(200),
        json!([])
    );
});

on_both_engines!(pages_have_every_event_once_in_order, async |app| {
    let tenant = app.tenant("Acme").await;
    make_keys(&app, &tenant, 7).await;
    for order in ["asc", "desc"] {
        let all = format!("order={order}&limit=1000");
        let all = ask(&app, tenant.owner(), &all).await.expect(200);
        let mut path = Some(format!("/audit-events?order={order}&limit=3"));
        let mut paged = Vec::new();
        while let Some(asked) = path {
            let answer = app.request("GET", &asked).key(tenant.owner()).send().await;
            path = next(&answer);
            let page = answer.expect(200);
            assert!(page.as_array().unwrap().len() == 3 || path.is_none());
            paged.extend(page.as_array().unwrap().iter().cloned());
        }
        assert_eq!(Value::from(paged.clone()), all);
        let times: Vec<_> = paged
            .iter()
            .map(|event| text(&event["createdAt"]))
            .collect();
        assert!(times.is_sorted_by(|one, other| if order == "asc" {
            one <= other
        } else {
            one >= other
        }));
    }
});

on_both_engines!(filters_leave_what_fits, async |app| {
    let tenant = app.tenant("Acme").await;
    let keys = make_keys(&app, &tenant, 3).await;
    let revoke = format!("/api-keys/{}", text(&keys[0]["id"]));
    let revoke = app.request("DELETE", &revoke).key(tenant.owner());
    revoke.send().await.expect(200);
    let created = "api-key.created";
    for (query, expected) in [
        ("action=api-key.created", vec![created; 3]),
        (
            "action=api-key.*",
            vec![created, created, created, "api-key.deleted"],
        ),
        (
            "action=api-key.*&order=desc&limit=1",
            vec!["api-key.deleted"],
        ),
        (
            "action=api-key.*&from=2030-01-01T00:02:00Z&to=2030-01-01T00:03:00Z",
            vec![created],
        ),
        ("action=api-key.*&from=2030-01-02", vec![]),
        (
            "action=api-key.*&order=desc&from=2030-01-01T00:03:00Z",
            vec!["api-key.deleted", created],
        ),
        ("action=api-key.created&actor=system", vec![]),
        ("action=api-key", vec![]),
        ("limit=0", vec![]),
    ] {
        assert_eq!(actions(&app, &tenant, query).await, expected, "{query}");
    }
    let none = ask(&app, tenant.owner(), "limit=0").await;
    assert_eq!(none.header("link"), "", "there is nothing to go on with");
    let one = ask(&app, tenant.owner(), "action=api-key.deleted")
        .await
        .expect(200);
    let by_them = format!("action=api-key.*&actor={}", text(&one[0]["actor"]));
    assert_eq!(actions(&app, &tenant, &by_them).await.len(), 4);
    for (query, code) in [
        ("from=soon", "invalid_input"),
        ("order=up", "invalid_input"),
        ("limit=-1", "invalid_input"),
        ("cursor=soon", "invalid_cursor"),
        ("cursor=0-+1", "invalid_cursor"),
        ("cursor=0-99999999999999999999", "invalid_cursor"),
    ] {
        let refused = ask(&app, tenant.owner(), query).await.expect(400);
        assert_eq!(refused["code"], code, "{query}");
    }
});

on_both_engines!(a_stream_has_all_of_it_an_event_a_line, async |app| {
    let tenant = app.tenant("Acme").await;
    let keys: Vec<_> = (0..1_000)
        .map(|number| json!({"name": "moved", "key": format!("moved-key-{number:06}")}))
        .collect();
    for _ in 0..2 {
        let body = json!({"projectId": tenant.project.id, "keys": keys});
        let import = app.request("POST", "/api-keys/import").key(tenant.owner());
        import.json(body).send().await.expect(201);
    }
    make_keys(&app, &tenant, 20).await;
    let stream = async |query: &str| {
        let path = format!("/audit-events?{query}");
        let request = app.request("GET", &path).key(tenant.owner());
        let answer = request
            .header("accept", "application/x-ndjson")
            .send()
            .await;
        assert_eq!(answer.header("content-type"), "application/x-ndjson");
        let lines = answer.expect(200);
        // A single line is read as JSON by whoever asks in these tests.
        let lines = lines
            .as_str()
            .map_or_else(|| lines.to_string(), str::to_owned);
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<Value>>()
    };
    let all = stream("").await;
    let created = all
        .iter()
        .filter(|event| event["action"] == "api-key.created");
    assert_eq!(created.count(), 1_020);
    // Whoever keeps the cursor of a line goes on behind it.
    let rest = stream(&format!("cursor={}", text(&all[599]["cursor"]))).await;
    assert_eq!(rest[..], all[600..]);
    assert_eq!(stream("limit=5").await, all[..5]);
});

on_both_engines!(
    the_trail_of_an_account_is_for_those_who_may_audit_it,
    async |app| {
        let tenant = app.tenant("Acme").await;
        let child = app.child_of(&tenant, "Child").await;
        let foreign = app.tenant("Foreign").await;
        let of = |account: &Tenant| format!("accountId={}", account.account.id);
        let theirs = ask(&app, tenant.owner(), &of(&foreign)).await.expect(404);
        let nobodys = ask(&app, tenant.owner(), "accountId=acc_zzzzzzzzzzzzzzzzzzzz").await;
        assert_eq!(theirs["message"], nobodys.expect(404)["message"]);
        // A child's is its parent's to read, and not the other way.
        let found = ask(&app, tenant.owner(), &of(&child)).await.expect(200);
        let events = found.as_array().unwrap().iter();
        assert!(
            events
                .map(|event| &event["accountId"])
                .all(|id| *id == child.account.id.as_str())
        );
        ask(&app, child.owner(), &of(&tenant)).await.expect(404);
        // The place of another account's event is a place, and shows none of them.
        let last = ask(&app, foreign.owner(), "order=desc&limit=1")
            .await
            .expect(200);
        let query = format!("order=desc&limit=1000&cursor={}", text(&last[0]["cursor"]));
        let behind = ask(&app, tenant.owner(), &query).await.expect(200);
        let events = behind.as_array().unwrap().iter();
        assert!(
            events
                .map(|event| &event["accountId"])
                .all(|id| *id == tenant.account.id.as_str())
        );
        let operator = app.operator_key.expose();
        let unnamed = ask(&app, operator, "").await.expect(400);
        assert_eq!(unnamed["code"], "account_needed");
        ask(&app, operator, &of(&tenant)).await.expect(200);
        ask(&app, tenant.key(Role::Developer), "").await.expect(403);
    }
);

on_both_engines!(what_the_operator_does_is_named_as_that, async |app| {
    let tenant = app.tenant("Acme").await;
    let body = json!({"name": "Made", "accountId": tenant.account.id});
    let made = app
        .request("POST", "/projects")
        .key(app.operator_key.expose());
    let made = made.json(body).send().await.expect(201);
    let query = format!("target={}", text(&made["id"]));
    let found = ask(&app, tenant.owner(), &query).await.expect(200);
    assert_eq!(
        (&found[0]["action"], &found[0]["actorType"]),
        (&json!("project.created"), &json!("OPERATOR"))
    );
    assert!(text(&found[0]["actor"]).starts_with("opr_"));
});
