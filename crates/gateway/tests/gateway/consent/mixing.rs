//! Answers of a product that somebody else's connector had asked: an account brings a connector whose pages are
//! its own, and has the browsers of others sent on from there to where another account's customers consent.

use claviger_domain::role::Role;
use claviger_testkit::Receiver;
use http::Method;
use serde_json::{Value, json};

use super::{ISSUER, Provider, back, bring_mail, connected, mail, sent_on, tokens};
use crate::browser::{Browser, Shown, query_of};
use crate::shop::{Shop, in_both_shops};

/// A connector of another account, whose pages are at that place and say that they are from nobody.
async fn evil(shop: &Shop, url: &str) -> String {
    let (mallory, _) = shop.world.account("Mallory").await;
    let key = shop.world.access_key(&mallory, Role::Owner, None).await;
    let mut members = mail(url);
    let oauth = &mut members["credentials"]["oauth2"];
    oauth.as_object_mut().unwrap().remove("issuer");
    shop.bring_as(&key.plain, "mail", members).await;
    let client = json!({ "client_id": "evil" });
    let path = "/integration/mail/oauth-client";
    let put = shop.world.ask(&key.plain, Method::PUT, path, client).await;
    put.expect(200);
    key.plain
}

/// The browser of somebody who goes on from that account's link: where to.
async fn lured(shop: &Shop, victim: &mut Browser, key: &str) -> String {
    let app = &shop.world.app;
    let body = json!({ "tenant_id": "victim" });
    let made = shop.world.ask(key, Method::POST, "/link-token", body).await;
    let token = made.expect(201)["link_token"].as_str().unwrap().to_owned();
    let shown = victim.follow(app, &token, "&integration=mail").await;
    let form = shown.expect(200).form().with("action", "connect");
    let page: Shown = victim.send(app, &form).await.expect(200);
    page.onward().unwrap()
}

// Abuse case: a connector of another account sends its users on to where this one's consent (RFC 9700, 4.4).
in_both_shops!(
    a_code_that_was_asked_for_by_another_accounts_connector_is_shown_to_nobody,
    async |shop| {
        bring_mail(&shop, "mail").await;
        let provider = Provider::of(&shop);
        let app = &shop.world.app;
        let second = Receiver::start().await;
        let key = evil(&shop, &second.url).await;
        // A customer of the account has a question of their own under way.
        let mut mallory = Browser::default();
        let (_, page) = sent_on(&shop, &mut mallory, "mail", json!({ "tenant_id": "t" })).await;
        let own = page.onward().unwrap();
        let first = query_of(&own)["state"].clone();

        for names_issuer in [true, false] {
            let mut victim = Browser::default();
            let onward = lured(&shop, &mut victim, &key).await;
            let state = query_of(&onward)["state"].clone();
            // The evil page leads on with the account's client and the challenge of its customer.
            let mixed = own.replace(first.as_str(), &state);
            let answered = provider.consent(&mixed);
            let (bare, _) = answered.split_once("&iss=").unwrap();
            let answered = if names_issuer {
                answered.as_str()
            } else {
                bare
            };
            victim.open(app, answered).await.expect(401);
            // What the other product would not do: to send the browser where its client is not from.
            let elsewhere = answered.replace(back(&own).as_str(), &back(&onward));
            victim.open(app, &elsewhere).await.expect(401);
        }
        assert!(second.received().is_empty(), "no code goes there");
        assert!(tokens(&shop).is_empty() && connected(&shop).await == json!([]));
        // Who asked themselves are connected.
        let answered = provider.consent(&own);
        mallory.open(app, &answered).await.expect(200);
        assert_eq!(connected(&shop).await.as_array().unwrap().len(), 1);
    }
);

// Abuse case: an answer that says whom it is from, where nobody is known who would.
in_both_shops!(
    an_answer_that_says_unasked_whom_it_is_from_gives_nothing,
    async |shop| {
        let second = Receiver::start().await;
        let key = evil(&shop, &second.url).await;
        let app = &shop.world.app;
        let mut victim = Browser::default();
        let onward = lured(&shop, &mut victim, &key).await;
        let (path, state) = (back(&onward), query_of(&onward)["state"].clone());
        let iss = ISSUER.replace(':', "%3A").replace('/', "%2F");
        let answered = format!("{path}?code=x&state={state}&iss={iss}");
        let refused = victim.open(app, &answered).await.expect(400);
        assert_eq!(refused.told().0["error_type"], "connection_error");
        assert!(second.received().is_empty());
        let listed = shop
            .world
            .ask(&key, Method::GET, "/integrated-account", Value::Null);
        assert_eq!(
            listed.await.expect(200)["result"].as_array().unwrap().len(),
            1
        );
    }
);
