//! Answers that nobody waits for, that are from somebody else, or that give nothing.

use std::time::Duration;

use axum::response::{IntoResponse, Redirect};
use claviger_domain::role::Role;
use claviger_store::{StoreError, access_keys};
use claviger_testkit::{Engine, Receiver};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Provider, back, bring_mail, connected, mail, register_client, sent_on, tokens};
use crate::browser::{Browser, query_of};
use crate::shop::{CANARY, Shop, answer, has_canary, in_both_shops};

/// What a token endpoint answers.
type Said = Box<dyn Fn() -> axum::response::Response + Send>;

fn tenant() -> Value {
    json!({ "tenant_id": "t" })
}

// Abuse case: a state that is replayed, made up, of another browser, of another link, of another connector.
in_both_shops!(
    an_answer_counts_once_in_the_browser_and_for_the_link_and_connector_that_asked,
    async |shop| {
        bring_mail(&shop, "mail").await;
        bring_mail(&shop, "other").await;
        let provider = Provider::of(&shop);
        let app = &shop.world.app;
        let mut browser = Browser::default();
        let (_, page) = sent_on(&shop, &mut browser, "mail", tenant()).await;
        let back = provider.consent(&page.onward().unwrap());

        // Another browser: an attacker's own, with a link of their own, and one without anything.
        let mut attacker = Browser::default();
        let (_, theirs) = sent_on(&shop, &mut attacker, "mail", tenant()).await;
        attacker.open(app, &back).await.expect(401);
        Browser::default().open(app, &back).await.expect(401);
        // The attacker's answer in the browser of somebody else.
        let lent = provider.consent(&theirs.onward().unwrap());
        browser.open(app, &lent).await.expect(401);
        let (path, _) = back.split_once('?').unwrap();
        for state in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            let forged = format!("{path}?code=x&state={state}");
            browser.open(app, &forged).await.expect(401);
        }
        browser.open(app, path).await.expect(401);
        let of_nobody = "/connect-account/callback/acc_x/mail?code=x&state=x";
        browser.open(app, of_nobody).await.expect(401);
        assert!(tokens(&shop).is_empty() && connected(&shop).await == json!([]));

        // Asked for another connector since: the first answer is nobody's.
        let path = "/connect-account?integration=other";
        let form = browser.open(app, path).await.expect(200).form();
        let onward = browser
            .send(app, &form.with("action", "connect"))
            .await
            .expect(200);
        browser.open(app, &back).await.expect(401);
        let back = provider.consent(&onward.onward().unwrap());
        browser.open(app, &back).await.expect(200);
        assert_eq!(connected(&shop).await[0]["integration"], "other");
        assert_eq!(tokens(&shop).len(), 1);
        // And again.
        browser.open(app, &back).await.expect(401);
        assert_eq!(tokens(&shop).len(), 1);
    }
);

// Abuse case: an answer that says that it is from another server, or does not say.
in_both_shops!(
    an_answer_says_that_it_is_from_whom_was_asked,
    async |shop| {
        bring_mail(&shop, "mail").await;
        let provider = Provider::of(&shop);
        let app = &shop.world.app;
        for iss in [
            "",
            "&iss=https%3A%2F%2Fevil.test%2F",
            "&iss=https%3A%2F%2Flogin.example.com",
            "&iss=https%3A%2F%2Flogin.example.com%2F.evil.test",
        ] {
            let mut browser = Browser::default();
            let (_, page) = sent_on(&shop, &mut browser, "mail", tenant()).await;
            let back = provider.consent(&page.onward().unwrap());
            let (back, _) = back.split_once("&iss=").unwrap();
            let refused = browser.open(app, &format!("{back}{iss}")).await.expect(400);
            assert_eq!(refused.told().0["error_type"], "connection_error", "{iss}");
        }
        assert!(tokens(&shop).is_empty() && connected(&shop).await == json!([]));
    }
);

// Abuse case: the code of another verifier.
in_both_shops!(
    a_code_that_was_given_to_another_verifier_gives_nothing,
    async |shop| {
        bring_mail(&shop, "mail").await;
        let provider = Provider::of(&shop);
        let app = &shop.world.app;
        let (mut victim, mut attacker) = (Browser::default(), Browser::default());
        let (_, page) = sent_on(&shop, &mut victim, "mail", tenant()).await;
        let (_, theirs) = sent_on(&shop, &mut attacker, "mail", tenant()).await;
        // The victim's code under the attacker's state.
        let of_victim = provider.consent(&page.onward().unwrap());
        let state = &query_of(&theirs.onward().unwrap())["state"];
        let own = &query_of(&page.onward().unwrap())["state"];
        let injected = of_victim.replace(own.as_str(), state);
        let refused = attacker.open(app, &injected).await.expect(400);
        assert_eq!(refused.told().0["error_type"], "connection_error");
        assert!(!has_canary(&refused.text));
        assert_eq!(
            (tokens(&shop).len(), connected(&shop).await),
            (1, json!([]))
        );
    }
);

in_both_shops!(who_says_no_is_told_of_and_may_try_again, async |shop| {
    bring_mail(&shop, "mail").await;
    let provider = Provider::of(&shop);
    let app = &shop.world.app;
    let mut browser = Browser::default();
    let (token, page) = sent_on(&shop, &mut browser, "mail", tenant()).await;
    for (error, said) in [
        ("access_denied", "Access was not given."),
        ("%3Cb%3E", "did not give access"),
    ] {
        let state = query_of(&page.onward().unwrap())["state"].clone();
        let form = browser
            .follow(app, &token, "&integration=mail")
            .await
            .expect(200)
            .form();
        let page = browser
            .send(app, &form.with("action", "connect"))
            .await
            .expect(200);
        let again = query_of(&page.onward().unwrap())["state"].clone();
        assert_ne!(state, again);
        let iss = "iss=https%3A%2F%2Flogin.example.com%2F";
        let path = back(&page.onward().unwrap());
        let denied = format!("{path}?error={error}&error_description=%3Cb%3E&state={again}&{iss}");
        let denied = browser.open(app, &denied).await.expect(400);
        let told = denied.told().0;
        assert_eq!(told["error_type"], "connection_error");
        assert!(told["error"].as_str().unwrap().contains(said), "{told}");
        assert!(!denied.text.contains("<b>"));
    }
    let form = browser
        .follow(app, &token, "&integration=mail")
        .await
        .expect(200)
        .form();
    let page = browser
        .send(app, &form.with("action", "connect"))
        .await
        .expect(200);
    let back = provider.consent(&page.onward().unwrap());
    browser.open(app, &back).await.expect(200);
});

// Abuse case: a token endpoint that redirects, or answers garbage.
in_both_shops!(
    a_token_endpoint_that_answers_something_else_connects_nothing,
    async |shop| {
        bring_mail(&shop, "mail").await;
        let provider = Provider::of(&shop);
        let app = &shop.world.app;
        let elsewhere = Receiver::start().await;
        let moved = elsewhere.url.clone();
        let answers: [Said; 6] = [
            Box::new(move || Redirect::temporary(&moved).into_response()),
            Box::new(|| answer(200, &json!("garbage"))),
            Box::new(|| "<html>".into_response()),
            Box::new(|| answer(200, &json!({ "access_token": "", "token_type": "bearer" }))),
            Box::new(|| answer(200, &json!({ "access_token": "x", "token_type": "mac" }))),
            Box::new(|| answer(503, &json!({ "message": CANARY }))),
        ];
        for said in answers {
            let mut browser = Browser::default();
            let (_, page) = sent_on(&shop, &mut browser, "mail", tenant()).await;
            let back = provider.consent(&page.onward().unwrap());
            shop.says(move |_| said());
            let refused = browser.open(app, &back).await.expect(400);
            assert_eq!(refused.told().0["error_type"], "connection_error");
            assert!(!has_canary(&refused.text));
        }
        assert_eq!(connected(&shop).await, json!([]));
        assert!(elsewhere.received().is_empty());
    }
);

// Abuse case: a token endpoint that hangs.
#[tokio::test]
async fn a_token_endpoint_that_hangs_is_not_waited_for() {
    let shop = Shop::open(Engine::Sqlite).await;
    let stalled = Receiver::answering(|_| async {
        // So long passes here without an answer, at once.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(20)).await;
        tokio::time::resume();
        std::future::pending::<StatusCode>().await
    });
    let stalled = stalled.await;
    shop.bring("slow", mail(&stalled.url)).await;
    register_client(&shop, "slow").await;
    let mut browser = Browser::default();
    let (_, page) = sent_on(&shop, &mut browser, "slow", tenant()).await;
    let back = Provider::default().consent(&page.onward().unwrap());
    let refused = browser.open(&shop.world.app, &back).await.expect(400);
    assert_eq!(refused.told().0["error_type"], "connection_error");
    assert_eq!(connected(&shop).await, json!([]));
}

// Abuse case: the maker of a link demoted while the token is fetched that it connects.
in_both_shops!(
    a_link_whose_maker_is_demoted_while_a_token_is_fetched_connects_nothing,
    async |shop| {
        let world = &shop.world;
        let maker = world.access_key(&world.account, Role::Admin, None).await;
        let lesser = world.access_key(&world.account, Role::Viewer, None).await;
        let (db, before, now) = (world.app.core.db.clone(), maker.id, lesser.id);
        let fetched = Receiver::answering(move |_| {
            let (db, before, now) = (db.clone(), before.clone(), now.clone());
            async move {
                let demoted = db.write::<_, StoreError, _>(move |tx| {
                    Box::pin(async move { access_keys::hand_over(tx, &before, &now).await })
                });
                demoted.await.unwrap();
                let token = json!({ "access_token": "access-canary-1", "token_type": "bearer" });
                answer(200, &token)
            }
        });
        let fetched = fetched.await;
        shop.bring("mail", mail(&fetched.url)).await;
        register_client(&shop, "mail").await;
        let made = world.ask(&maker.plain, Method::POST, "/link-token", tenant());
        let made = made.await.expect(201);
        let mut browser = Browser::default();
        let token = made["link_token"].as_str().unwrap();
        let shown = browser.follow(&world.app, token, "&integration=mail").await;
        let form = shown.expect(200).form().with("action", "connect");
        let page = browser.send(&world.app, &form).await.expect(200);
        let back = Provider::default().consent(&page.onward().unwrap());
        let over = browser.open(&world.app, &back).await.expect(401);
        assert_eq!(over.told().0["error_type"], "invalid_token");
        assert_eq!(fetched.received().len(), 1);
        assert_eq!(connected(&shop).await, json!([]));
    }
);

in_both_shops!(access_that_is_not_enough_is_told_of, async |shop| {
    bring_mail(&shop, "mail").await;
    let provider = Provider::of(&shop);
    let mut browser = Browser::default();
    let (_, page) = sent_on(&shop, &mut browser, "mail", tenant()).await;
    let back = provider.consent(&page.onward().unwrap());
    let own = provider.clone();
    shop.says(move |received| {
        let body = format!("?{}", String::from_utf8_lossy(&received.body));
        match received.path.as_str() {
            "/oauth/token" => {
                let (status, said) = own.token(&query_of(&body));
                answer(status, &said)
            }
            _ => answer(403, &json!({})),
        }
    });
    let refused = browser.open(&shop.world.app, &back).await.expect(400);
    let made = connected(&shop).await;
    let told = refused.told().0;
    assert_eq!(
        (&told["error_type"], &told["integrated_account_id"]),
        (&json!("validation_error"), &made[0]["id"])
    );
    assert_eq!(made[0]["status"], "validation_error");
});
