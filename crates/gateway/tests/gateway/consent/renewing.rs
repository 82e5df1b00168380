//! Tokens of a consent: another one is fetched before one ends, once however many wait, and what it is fetched
//! with the next time is not lost.

use futures::future::join_all;
use http::Method;
use serde_json::json;

use super::{Provider, bring_mail, consented, tokens};
use crate::shop::{answer, has_canary, in_both_shops};

in_both_shops!(
    another_token_is_fetched_once_however_many_wait_and_before_one_ends,
    async |shop| {
        bring_mail(&shop, "mail").await;
        let provider = Provider::of(&shop);
        let id = consented(&shop, &provider, "mail").await;
        assert_eq!(tokens(&shop).len(), 1, "what was just given is good");
        for round in 1..=3 {
            shop.world.advance(3_545);
            for answered in join_all((0..8).map(|_| shop.get(&id, "orders"))).await {
                answered.expect(200);
            }
            let asked = tokens(&shop);
            assert_eq!(asked.len(), 1 + round);
            // Each time with what came with the one before.
            assert_eq!(
                asked[round]["refresh_token"],
                format!("refresh-canary-{round}")
            );
            let received = shop.upstream.received();
            let used = format!("Bearer access-canary-{}", round + 1);
            assert_eq!(received.last().unwrap().header("authorization"), used);
        }
        shop.get(&id, "orders").await.expect(200);
        assert_eq!(tokens(&shop).len(), 4);
        let path = "/integrated-account/refresh-credentials";
        let again = shop
            .owner(Method::POST, path, json!({ "id": id }))
            .await
            .expect(200);
        assert_eq!(again["status"], "active");
        assert_eq!(tokens(&shop).len(), 5);
    }
);

in_both_shops!(
    a_refusal_for_good_asks_for_consent_and_a_later_success_ends_that,
    async |shop| {
        bring_mail(&shop, "mail").await;
        let provider = Provider::of(&shop);
        let id = consented(&shop, &provider, "mail").await;
        shop.world.advance(4_000);
        let kept = provider
            .0
            .lock()
            .unwrap()
            .refresh
            .replace("another".to_owned());
        for answered in join_all((0..4).map(|_| shop.get(&id, "orders"))).await {
            let refused = answered.expect(401);
            assert_eq!(refused["code"], "needs_reauth");
            assert!(!has_canary(&refused.to_string()));
        }
        assert_eq!(tokens(&shop).len(), 2);
        assert_eq!(shop.status(&id).await, "needs_reauth");
        let db = &shop.world.app.core.db;
        let trail = claviger_store::events::of_account(db, &shop.world.account.id, 99)
            .await
            .unwrap();
        let last = trail.iter().rev().find(|event| event.target == id).unwrap();
        assert_eq!(last.kind, "connected-account.statusChanged");
        assert!(last.data.contains("needs_reauth"));

        provider.0.lock().unwrap().refresh = kept;
        shop.world.advance(10);
        shop.get(&id, "orders").await.expect(200);
        assert_eq!(shop.status(&id).await, "active");
    }
);

in_both_shops!(a_server_that_is_away_changes_nothing, async |shop| {
    bring_mail(&shop, "mail").await;
    let provider = Provider::of(&shop);
    let id = consented(&shop, &provider, "mail").await;
    shop.world.advance(4_000);
    for (status, body) in [
        (503, json!({})),
        (200, json!("garbage")),
        (200, json!({ "access_token": "", "token_type": "bearer" })),
    ] {
        shop.says(move |_| answer(status, &body));
        let refused = shop.get(&id, "orders").await.expect(502);
        assert_eq!(refused["code"], "upstream_unreachable");
        shop.world.advance(10);
    }
    assert_eq!(shop.status(&id).await, "active");
});

in_both_shops!(a_token_that_is_not_taken_is_not_used_again, async |shop| {
    bring_mail(&shop, "mail").await;
    let provider = Provider::of(&shop);
    let id = consented(&shop, &provider, "mail").await;
    shop.says(|_| answer(401, &json!({})));
    shop.get(&id, "orders").await.expect(401);
    assert_eq!(shop.status(&id).await, "needs_reauth");
    let again = Provider::of(&shop);
    again.0.lock().unwrap().refresh = Some("refresh-canary-1".to_owned());
    shop.get(&id, "orders").await.expect(200);
    assert_eq!(tokens(&shop).last().unwrap()["grant_type"], "refresh_token");
    assert_eq!(shop.status(&id).await, "active");
});

in_both_shops!(
    access_without_another_token_ends_with_its_own,
    async |shop| {
        bring_mail(&shop, "mail").await;
        let provider = Provider::of(&shop);
        let own = provider.clone();
        shop.says(move |received| {
            if received.path != "/oauth/token" {
                return answer(200, &json!([]));
            }
            let body = format!("?{}", String::from_utf8_lossy(&received.body));
            let (status, mut said) = own.token(&crate::browser::query_of(&body));
            said.as_object_mut().unwrap().remove("refresh_token");
            answer(status, &said)
        });
        let id = consented(&shop, &provider, "mail").await;
        shop.get(&id, "orders").await.expect(200);
        shop.world.advance(3_600);
        let ended = shop.get(&id, "orders").await.expect(401);
        assert_eq!(ended["code"], "needs_reauth");
        assert_eq!(
            (tokens(&shop).len(), shop.status(&id).await.as_str()),
            (1, "needs_reauth")
        );
    }
);
