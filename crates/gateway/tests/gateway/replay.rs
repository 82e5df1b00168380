//! Requests replayed through tools that were made of a document: what is sent is what the document says.
//! And the three faces of a tool are one.

use http::Method;
use serde_json::{Value, json};

use crate::shop::{answer, in_both_shops};

/// A tool, its arguments, and the request that the document says.
fn replayed() -> Vec<(&'static str, Value, &'static str, &'static str, Value)> {
    let id = json!({ "id": "o 1/ä" });
    let with = |more: Value| {
        let mut arguments = id.clone();
        arguments
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        arguments
    };
    let one = "/v1/orders/o%201%2F%C3%A4";
    let of_one =
        |rest: &str| -> &'static str { Box::leak(format!("{one}{rest}").into_boxed_str()) };
    vec![
        (
            "list_all_orders_orders",
            json!({}),
            "GET",
            "/v1/orders?per_page=50",
            Value::Null,
        ),
        (
            "list_all_orders_orders",
            json!({ "status": "open", "limit": 2 }),
            "GET",
            "/v1/orders?status=open&per_page=2",
            Value::Null,
        ),
        (
            "list_all_orders_orders",
            json!({ "tag": ["a b", "c&d"] }),
            "GET",
            "/v1/orders?tag=a%20b&tag=c%26d&per_page=50",
            Value::Null,
        ),
        (
            "get_single_orders_order_by_id",
            id.clone(),
            "GET",
            of_one(""),
            Value::Null,
        ),
        (
            "get_single_orders_order_by_id",
            with(json!({ "expand": true })),
            "GET",
            of_one("?expand=true"),
            Value::Null,
        ),
        (
            "create_a_orders_order",
            json!({ "sku": "x" }),
            "POST",
            "/v1/orders",
            json!({ "sku": "x" }),
        ),
        (
            "create_a_orders_order",
            json!({ "sku": "x", "quantity": 2, "note": null }),
            "POST",
            "/v1/orders",
            json!({ "sku": "x", "quantity": 2, "note": null }),
        ),
        (
            "update_a_orders_order_by_id",
            with(json!({ "note": "n\"1\"" })),
            "PATCH",
            of_one(""),
            json!({ "note": "n\"1\"" }),
        ),
        (
            "delete_a_orders_order_by_id",
            id.clone(),
            "DELETE",
            of_one(""),
            Value::Null,
        ),
        (
            "orders_orders_refund",
            with(json!({ "amount": 5 })),
            "POST",
            of_one("/refunds"),
            json!({ "amount": 5, "source": "agent" }),
        ),
    ]
}

in_both_shops!(ten_requests_are_sent_as_the_document_says, async |shop| {
    let orders = shop.orders().await;
    let id = orders["id"].as_str().unwrap();
    let made = shop
        .owner(
            Method::POST,
            &format!("/integrated-account/{id}/mcp"),
            json!({}),
        )
        .await;
    let token = made.expect(201)["token"].as_str().unwrap().to_owned();
    for (tool, arguments, method, path, body) in replayed() {
        shop.world.call(&token, tool, arguments).await.unwrap();
        let received = shop.upstream.received();
        let last = received.last().unwrap();
        assert_eq!(
            (last.method.as_str(), last.path.as_str()),
            (method, path),
            "{tool}"
        );
        let sent = if last.body.is_empty() {
            Value::Null
        } else {
            last.json()
        };
        assert_eq!(sent, body, "{tool}");
        let kind = if body.is_null() {
            ""
        } else {
            "application/json"
        };
        assert_eq!(last.header("content-type"), kind, "{tool}");
        assert_eq!(last.header("x-api-version"), "2026-01");
        assert_eq!(last.header("authorization"), "Bearer token-canary-1");
    }
});

in_both_shops!(a_tool_is_the_same_by_its_three_faces, async |shop| {
    let orders = shop.orders().await;
    let id = orders["id"].as_str().unwrap();
    let made = shop
        .owner(
            Method::POST,
            &format!("/integrated-account/{id}/mcp"),
            json!({}),
        )
        .await;
    let token = made.expect(201)["token"].as_str().unwrap().to_owned();
    let order =
        json!({ "id": "o1", "status": "paid", "amount": { "value": 5, "currency": "EUR" } });
    shop.says(move |received| match received.path.as_str() {
        "/v1/orders?per_page=50" => answer(200, &json!({ "orders": [order] })),
        _ => answer(404, &json!({ "error": { "detail": "no such order" } })),
    });
    let by_tool = shop
        .world
        .call(&token, "list_all_orders_orders", json!({}))
        .await
        .unwrap();
    let by_proxy = shop.get(id, "orders").await.expect(200);
    assert_eq!(by_tool, by_proxy);
    let of_tool = json!({ "id": "x" });
    let by_tool = shop
        .world
        .call(&token, "get_single_orders_order_by_id", of_tool)
        .await;
    let by_proxy = shop.get(id, "orders/x").await.expect(404);
    assert_eq!(by_tool.unwrap_err(), by_proxy);
    assert_eq!(by_proxy["message"], "no such order");

    let listed = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let listed = shop.world.post(&token, &[], &listed).await.expect(200);
    let shown = shop
        .world
        .get(&format!("/integrated-account/{id}/tools"))
        .await
        .expect(200);
    let pairs = |tools: &Value, schema: &str| -> Vec<(Value, Value)> {
        let tools = tools.as_array().unwrap().iter();
        tools
            .map(|tool| (tool["name"].clone(), tool[schema].clone()))
            .collect()
    };
    let by_mcp = pairs(&listed["result"]["tools"], "inputSchema");
    assert_eq!(by_mcp.len(), 7);
    assert_eq!(by_mcp, pairs(&shown["result"], "input_schema"));
});
