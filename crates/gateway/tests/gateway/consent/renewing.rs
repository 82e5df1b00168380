//! Tokens of a consent: another one is fetched before one ends, once however many wait, and what it is fetched
//! with the next time is not lost.

use std::future::poll_fn;
use std::task::Poll;

use claviger_testkit::Engine;
use futures::future::join_all;
use http::Method;
use serde_json::json;

use super::{Provider, bring_mail, consented, tokens};
use crate::shop::{answer, has_canary, in_both_shops, run};

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

in_both_shops!(
    what_was_fetched_and_could_not_be_stored_is_stored_later_and_not_asked_for_again,
    async |shop| {
        bring_mail(&shop, "mail").await;
        let provider = Provider::of(&shop);
        let id = consented(&shop, &provider, "mail").await;
        shop.world.advance(4_000);
        let app = &shop.world.app;
        app.alter("ALTER TABLE events RENAME TO elsewhere").await;
        let failed = shop.get(&id, "orders").await;
        assert!(failed.status.is_server_error(), "{}", failed.body);
        assert_eq!(tokens(&shop).len(), 2);
        app.alter("ALTER TABLE elsewhere RENAME TO events").await;
        // What it was fetched with is good no more: asking again would be refused.
        shop.get(&id, "orders").await.expect(200);
        assert_eq!(tokens(&shop).len(), 2);
        assert_eq!(shop.status(&id).await, "active");
        let received = shop.upstream.received();
        let used = received.last().unwrap().header("authorization");
        assert_eq!(used, "Bearer access-canary-2");
        shop.world.advance(4_000);
        shop.get(&id, "orders").await.expect(200);
        assert_eq!(tokens(&shop)[2]["refresh_token"], "refresh-canary-2");
    }
);

// It takes as long as storing is tried by itself: the second call waits for that.
#[test]
fn what_could_not_be_stored_for_long_is_stored_before_anything_is_asked_for() {
    run(Engine::Sqlite, async |shop| {
        bring_mail(&shop, "mail").await;
        let provider = Provider::of(&shop);
        let id = consented(&shop, &provider, "mail").await;
        shop.world.advance(4_000);
        let app = &shop.world.app;
        app.alter("ALTER TABLE events RENAME TO elsewhere").await;
        for _ in 0..2 {
            let failed = shop.get(&id, "orders").await;
            assert!(failed.status.is_server_error(), "{}", failed.body);
        }
        app.alter("ALTER TABLE elsewhere RENAME TO events").await;
        // Longer than any program has the fetching to itself.
        shop.world.advance(60);
        shop.get(&id, "orders").await.expect(200);
        assert_eq!(tokens(&shop).len(), 2);
        assert_eq!(shop.status(&id).await, "active");
    });
}

/// Waits for an answer as long as it is woken so often, and hangs up then.
async fn hung_up_after<T>(woken: usize, answering: impl Future<Output = T>) -> Option<T> {
    let mut answering = Box::pin(answering);
    let mut count = 0;
    poll_fn(move |context| match answering.as_mut().poll(context) {
        Poll::Ready(answered) => Poll::Ready(Some(answered)),
        Poll::Pending if count == woken => Poll::Ready(None),
        Poll::Pending => {
            count += 1;
            Poll::Pending
        }
    })
    .await
}

in_both_shops!(
    whoever_hangs_up_at_any_moment_stops_nobody_else,
    async |shop| {
        bring_mail(&shop, "mail").await;
        let provider = Provider::of(&shop);
        let id = consented(&shop, &provider, "mail").await;
        // How often an answer is woken for is the scheduler's: some of these have it, the first has not.
        for woken in 0..12 {
            shop.world.advance(4_000);
            let answered = hung_up_after(woken, shop.get(&id, "orders")).await;
            assert!(woken > 0 || answered.is_none());
            if let Some(answered) = answered {
                answered.expect(200);
            }
            shop.get(&id, "orders").await.expect(200);
        }
        assert_eq!(shop.status(&id).await, "active");
    }
);

// Abuse case: a refusal that is told with a status of success.
in_both_shops!(
    a_refusal_for_good_is_one_by_what_it_says_and_not_by_its_status,
    async |shop| {
        for (slug, status, error) in [
            ("one", 200, "bad_refresh_token"),
            ("two", 200, "invalid_grant"),
            ("three", 500, "invalid_grant"),
        ] {
            bring_mail(&shop, slug).await;
            let provider = Provider::of(&shop);
            let id = consented(&shop, &provider, slug).await;
            shop.world.advance(4_000);
            shop.says(move |_| answer(status, &json!({ "error": error })));
            let refused = shop.get(&id, "orders").await.expect(401);
            assert_eq!(refused["code"], "needs_reauth", "{status} {error}");
            assert_eq!(shop.status(&id).await, "needs_reauth");
        }
    }
);

// Abuse case: a token without end, or one that ends at once, so that each call asks for another.
in_both_shops!(
    a_token_is_of_a_size_and_of_a_life_that_can_be_used,
    async |shop| {
        bring_mail(&shop, "mail").await;
        let provider = Provider::of(&shop);
        let id = consented(&shop, &provider, "mail").await;
        let long = "x".repeat(16 * 1_024 + 1);
        for (name, token) in [("access_token", &long), ("refresh_token", &long)] {
            shop.world.advance(4_000);
            let mut said = json!({
                "access_token": "a", "refresh_token": "r", "token_type": "bearer",
            });
            said[name] = json!(token);
            shop.says(move |_| answer(200, &said));
            shop.get(&id, "orders").await.expect(502);
        }
        let brief = json!({
            "access_token": "access-canary-9", "token_type": "bearer", "expires_in": 0,
        });
        shop.says(move |received| match received.path.as_str() {
            "/oauth/token" => answer(200, &brief),
            _ => answer(200, &json!([])),
        });
        shop.world.advance(10);
        let before = tokens(&shop).len();
        for _ in 0..3 {
            shop.get(&id, "orders").await.expect(200);
        }
        assert_eq!(tokens(&shop).len(), before + 1);
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
