//! What a connected account says otherwise of its connector's tools, for itself alone.

use http::Method;
use serde_json::{Value, json};

use crate::shop::{Shop, answer, in_both_shops};

async fn say(shop: &Shop, id: &str, said: Value) -> Value {
    let path = format!("/integrated-account/{id}");
    let body = json!({ "override": said });
    shop.owner(Method::PATCH, &path, body).await.expect(200)
}

fn of_orders(methods: &Value) -> Value {
    json!({ "resources": { "orders": { "methods": methods } } })
}

/// The descriptions of a connected account's tools, by their methods of orders.
async fn described(shop: &Shop, id: &str) -> Value {
    let path = format!("/integrated-account/{id}/tools");
    let tools = shop.world.get(&path).await.expect(200);
    let tools = tools["result"].as_array().unwrap().iter();
    let of_orders = tools.filter(|tool| tool["resource"] == "orders");
    of_orders
        .map(|tool| {
            (
                tool["method"].as_str().unwrap().to_owned(),
                tool["description"].clone(),
            )
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// What a server's list has.
async fn listed(shop: &Shop, token: &str) -> String {
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let listed = shop.world.post(token, &[], &list).await;
    listed.expect(200).to_string()
}

in_both_shops!(
    a_connected_account_says_otherwise_for_itself_and_at_once,
    async |shop| {
        let (id, other) = (shop.keyed().await, shop.keyed().await);
        let path = format!("/integrated-account/{id}/mcp");
        let made = shop
            .owner(Method::POST, &path, json!({ "name": "Agent" }))
            .await
            .expect(201);
        let token = made["token"].as_str().unwrap();
        let before = described(&shop, &id).await;
        assert!(
            listed(&shop, token)
                .await
                .contains("delete_a_tea_order_by_id")
        );
        let said = of_orders(&json!({
            "list": { "description": "The orders that count.", "map": { "number": "id" } },
            "delete": { "hidden": true },
        }));
        let changed = say(&shop, &id, said.clone()).await;
        assert_eq!(changed["override"], said);

        let after = described(&shop, &id).await;
        assert_eq!(after["list"], "The orders that count.");
        assert_eq!(after["get"], before["get"]);
        assert!(after.get("delete").is_none());
        assert_eq!(described(&shop, &other).await, before);
        let tools = listed(&shop, token).await;
        assert!(
            tools.contains("The orders that count.") && !tools.contains("delete_a_tea_order_by_id")
        );

        shop.says(|_| answer(200, &json!([{ "id": "o1", "note": "x" }])));
        let orders = shop.get(&id, "orders").await.expect(200);
        assert_eq!(orders["result"], json!([{ "number": "o1" }]));
        let asked = shop.upstream.received().len();
        let hidden = shop
            .proxy(&id, Method::DELETE, "orders/o1", Value::Null)
            .await;
        hidden.expect(404);
        let call = crate::world::call_message("delete_a_tea_order_by_id", &json!({ "id": "o1" }));
        let called = shop.world.post(token, &[], &call).await.expect(200);
        assert_ne!(called["result"]["isError"], Value::Null, "{called}");
        assert_eq!(shop.upstream.received().len(), asked);
        let whole = shop.get(&other, "orders").await.expect(200);
        assert_eq!(whole["result"], json!([{ "id": "o1", "note": "x" }]));

        // What it says last counts, and nothing where it says nothing.
        let kept = json!({ "tenant_id": "renamed" });
        let path = format!("/integrated-account/{id}");
        let kept = shop.owner(Method::PATCH, &path, kept).await.expect(200);
        assert_eq!(kept["override"], said);
        say(&shop, &id, json!({})).await;
        assert_eq!(described(&shop, &id).await, before);
    }
);

in_both_shops!(
    what_is_hidden_tries_credentials_all_the_same,
    async |shop| {
        let body = json!({
            "integration": "tea", "tenant_id": "t", "authentication_method": "api_key",
            "context": { "host": shop.host() }, "credentials": { "key": "k" },
            "override": of_orders(&json!({ "list": { "hidden": true } })),
        });
        let made = shop.connect(body).await.expect(201);
        assert_eq!(made["status"], "active");
        let received = shop.upstream.received();
        assert!(received.last().unwrap().path.starts_with("/api/orders"));
        assert!(
            described(&shop, made["id"].as_str().unwrap())
                .await
                .get("list")
                .is_none()
        );
    }
);

in_both_shops!(what_is_said_must_be_of_the_connectors_tools, async |shop| {
    let id = shop.keyed().await;
    for (said, word) in [
        (json!({ "resource": {} }), "resources"),
        (
            json!({ "resources": { "cups": { "methods": { "list": {} } } } }),
            "cups.methods.list",
        ),
        (of_orders(&json!({ "brew": {} })), "orders.methods.brew"),
        (
            of_orders(&json!({ "list": { "descriptions": "x" } })),
            "description",
        ),
        (
            of_orders(&json!({ "list": { "description": " " } })),
            "description",
        ),
        (
            of_orders(&json!({ "list": { "description": "x".repeat(8_001) } })),
            "description",
        ),
        (
            of_orders(&json!({ "list": { "map": { "a": "..b" } } })),
            "map.a",
        ),
        (
            of_orders(&json!({ "list": { "map": { "a": 1 } } })),
            "map.a",
        ),
        (of_orders(&json!({ "list": { "hidden": "yes" } })), "hidden"),
        (of_orders(&json!({ "list": [] })), "orders.methods.list"),
        (
            of_orders(&json!({ "list": { "map": { "a": "b".repeat(70_000) } } })),
            "bytes",
        ),
        (json!("x"), "override"),
    ] {
        let path = format!("/integrated-account/{id}");
        let body = json!({ "override": said });
        let refused = shop.owner(Method::PATCH, &path, body).await.expect(400);
        assert!(
            refused["message"].as_str().unwrap().contains(word),
            "{said}: {refused}"
        );
    }
});

// Abuse case: a secret under another name, which is not known for one.
in_both_shops!(
    no_connected_account_gives_a_secret_another_name,
    async |shop| {
        let methods = json!({ "create": { "map": { "note": "key" } } });
        let said = json!({ "resources": { "api_keys": { "methods": methods } } });
        let path = format!("/integrated-account/{}", shop.world.connected);
        let body = json!({ "override": said });
        let refused = shop.owner(Method::PATCH, &path, body).await.expect(400);
        assert!(
            refused["message"].as_str().unwrap().contains("map"),
            "{refused}"
        );
    }
);

in_both_shops!(
    a_connector_that_is_changed_leaves_what_is_said_of_what_is_still_there,
    async |shop| {
        let id = shop.keyed().await;
        let said = of_orders(&json!({
            "list": { "description": "Said." }, "delete": { "hidden": true },
        }));
        say(&shop, &id, said).await;
        let resources = json!({ "orders": { "singular": "order", "methods": {
        "list": { "http": "GET /orders" }, "get": { "http": "GET /orders/{id}" },
    } } });
        let changed = json!({ "resources": resources });
        shop.owner(Method::PATCH, "/integration/tea", changed)
            .await
            .expect(200);
        let after = described(&shop, &id).await;
        assert_eq!(after["list"], "Said.");
        assert!(after.get("get").is_some() && after.get("delete").is_none());
    }
);
