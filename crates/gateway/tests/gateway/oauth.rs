//! Tokens of clients: fetched once however many wait, before they end, and no more where that is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use claviger_testkit::{Engine, Receiver};
use futures::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::shop::{CANARY, Shop, answer, has_canary, in_both_shops};

/// How many tokens were asked for.
fn tokens(shop: &Shop) -> usize {
    let received = shop.upstream.received();
    received
        .iter()
        .filter(|one| one.path == "/oauth/token")
        .count()
}

/// Answers with a token a number, which lives an hour.
fn counts(shop: &Shop) {
    let count = Arc::new(AtomicUsize::new(0));
    shop.says(move |received| {
        if received.path == "/oauth/token" {
            let number = count.fetch_add(1, Ordering::Relaxed);
            let token = format!("token-{number}");
            return answer(
                200,
                &json!({ "access_token": token, "token_type": "bearer", "expires_in": "3600" }),
            );
        }
        answer(200, &json!({ "orders": [] }))
    });
}

in_both_shops!(
    a_token_is_fetched_once_however_many_wait_and_again_before_it_ends,
    async |shop| {
        let orders = shop.orders().await;
        let id = orders["id"].as_str().unwrap();
        counts(&shop);
        let begun = tokens(&shop);
        shop.world.advance(3_545);
        let calls = (0..8).map(|_| shop.get(id, "orders"));
        for answered in join_all(calls).await {
            answered.expect(200);
        }
        assert_eq!(tokens(&shop), begun + 1);
        let received = shop.upstream.received();
        assert_eq!(
            received.last().unwrap().header("authorization"),
            "Bearer token-0"
        );
        shop.world.advance(3_000);
        shop.get(id, "orders").await.expect(200);
        assert_eq!(tokens(&shop), begun + 1);
        let again = json!({ "id": id });
        let path = "/integrated-account/refresh-credentials";
        shop.owner(Method::POST, path, again).await.expect(200);
        assert_eq!(tokens(&shop), begun + 2);
    }
);

in_both_shops!(
    a_refusal_for_good_asks_for_credentials_and_a_later_success_ends_that,
    async |shop| {
        let orders = shop.orders().await;
        let id = orders["id"].as_str().unwrap();
        shop.says(|_| {
            answer(
                400,
                &json!({ "error": "invalid_client", "error_description": CANARY }),
            )
        });
        shop.world.advance(4_000);
        let before = tokens(&shop);
        let calls = (0..4).map(|_| shop.get(id, "orders"));
        for answered in join_all(calls).await {
            let refused = answered.expect(401);
            assert_eq!(refused["code"], "needs_reauth");
            assert!(!has_canary(&refused.to_string()));
        }
        assert_eq!(tokens(&shop), before + 1);
        assert_eq!(shop.status(id).await, "needs_reauth");
        let db = &shop.world.app.core.db;
        let trail = claviger_store::events::of_account(db, &shop.world.account.id, 99)
            .await
            .unwrap();
        let last = trail.iter().rev().find(|event| event.target == id).unwrap();
        assert_eq!(last.kind, "connected-account.statusChanged");
        assert!(last.data.contains("needs_reauth"));

        counts(&shop);
        shop.world.advance(10);
        shop.get(id, "orders").await.expect(200);
        assert_eq!(shop.status(id).await, "active");
    }
);

in_both_shops!(a_server_that_is_away_changes_nothing, async |shop| {
    let orders = shop.orders().await;
    let id = orders["id"].as_str().unwrap();
    shop.world.advance(4_000);
    for (status, body) in [
        (503, json!({})),
        (200, json!({ "access_token": "", "token_type": "bearer" })),
        (200, json!({ "access_token": "x", "token_type": "mac" })),
        (200, json!("garbage")),
    ] {
        shop.says(move |_| answer(status, &body));
        let refused = shop.get(id, "orders").await.expect(502);
        assert_eq!(refused["code"], "upstream_unreachable");
        shop.world.advance(10);
    }
    assert_eq!(shop.status(id).await, "active");
});

in_both_shops!(a_token_that_is_not_taken_is_not_used_again, async |shop| {
    let orders = shop.orders().await;
    let id = orders["id"].as_str().unwrap();
    shop.says(|_| answer(401, &json!({})));
    shop.get(id, "orders").await.expect(401);
    let before = tokens(&shop);
    counts(&shop);
    shop.get(id, "orders").await.expect(200);
    assert_eq!(tokens(&shop), before + 1);
    assert_eq!(shop.status(id).await, "active");
});

#[tokio::test]
async fn an_authorization_server_that_does_not_answer_is_504_for_all_who_wait() {
    let shop = Shop::open(Engine::Sqlite).await;
    let stalled = Receiver::answering(|_| async {
        // So long passes here without an answer, at once.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(20)).await;
        tokio::time::resume();
        std::future::pending::<StatusCode>().await
    });
    let stalled = stalled.await;
    let orders = shop.orders().await;
    let id = orders["id"].as_str().unwrap();
    let host = stalled.url.strip_prefix("http://").unwrap();
    let moved = json!({ "context": { "host": host } });
    let path = format!("/integrated-account/{id}");
    shop.owner(Method::PATCH, &path, moved).await.expect(200);
    let entered = json!({ "credentials": { "client_id": "agent", "client_secret": CANARY } });
    let entered = shop
        .owner(Method::PATCH, &format!("{path}/credentials"), entered)
        .await;
    let entered = entered.expect(200);
    assert_eq!(entered["validation_error"]["code"], "upstream_too_slow");
    // The refusal is one for whoever comes within the next seconds.
    for answered in join_all((0..4).map(|_| shop.get(id, "orders"))).await {
        let late = answered.expect(504);
        assert_eq!(
            (&late["code"], &late["is_remote_error"]),
            (&json!("upstream_too_slow"), &json!(true))
        );
    }
    assert_eq!(stalled.received().len(), 1);
}

in_both_shops!(
    a_token_lives_from_when_it_came_and_not_from_when_it_was_asked_for,
    async |shop| {
        let orders = shop.orders().await;
        let id = orders["id"].as_str().unwrap();
        shop.world.advance(4_000);
        // The server takes 50 s for a token that lives 100.
        let clock = Arc::clone(&shop.world.app.clock);
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        shop.says(move |received| {
            if received.path != "/oauth/token" {
                return answer(200, &json!({ "orders": [] }));
            }
            clock.advance(50);
            counted.fetch_add(1, Ordering::Relaxed);
            answer(
                200,
                &json!({ "access_token": "late", "token_type": "bearer", "expires_in": 100 }),
            )
        });
        shop.get(id, "orders").await.expect(200);
        shop.world.advance(60);
        shop.get(id, "orders").await.expect(200);
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
);

in_both_shops!(a_token_for_other_scopes_is_another_token, async |shop| {
    let orders = shop.orders().await;
    let id = orders["id"].as_str().unwrap();
    counts(&shop);
    let before = tokens(&shop);
    let shown = shop.owner(Method::GET, "/integration/orders", Value::Null);
    let mut credentials = shown.await.expect(200)["file"]["credentials"].clone();
    credentials["oauth2_client_credentials"]["scopes"] = json!(["orders.less"]);
    let changed = json!({ "credentials": credentials });
    shop.owner(Method::PATCH, "/integration/orders", changed)
        .await
        .expect(200);
    shop.get(id, "orders").await.expect(200);
    assert_eq!(tokens(&shop), before + 1);
    let received = shop.upstream.received();
    let asked = received.iter().rev().find(|one| one.path == "/oauth/token");
    let body = String::from_utf8_lossy(&asked.unwrap().body).into_owned();
    assert!(body.contains("orders.less"), "{body}");
});
