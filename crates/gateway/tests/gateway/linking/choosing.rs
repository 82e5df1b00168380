//! What a page offers to choose, which hosts it names, and whose page it is.

use http::Method;
use serde_json::json;

use super::{connected, filled, keyed, link};
use crate::browser::Browser;
use crate::shop::{Shop, answer, in_both_shops};

/// Brings a connector whose users consent at one host, whose tokens are from another, and are used at a third.
async fn bring_spread(shop: &Shop, slug: &str) {
    let members = json!({
        "label": "Mail", "context": [], "base_url": "https://api.example.com/v1",
        "credentials": {
            "oauth2": {
                "authorization_url": "https://login.example.com/authorize",
                "token_url": "https://tokens.example.com/token",
            },
            "oauth2_client_credentials": { "token_url": "https://tokens.example.com/token" },
        },
    });
    shop.bring(slug, members).await;
    let client = json!({ "client_id": "x" });
    let path = format!("/integration/{slug}/oauth-client");
    shop.owner(Method::PUT, &path, client).await.expect(200);
}

// Abuse case: a page that names one host, while what is entered goes to another.
in_both_shops!(
    the_page_names_each_host_that_gets_what_is_entered,
    async |shop| {
        let app = &shop.world.app;
        bring_spread(&shop, "mail").await;
        let token = link(&shop, json!({ "tenant_id": "t" })).await;
        let mut browser = Browser::default();
        let query = "&integration=mail&auth_format=oauth2_client_credentials";
        let shown = browser.follow(app, &token, query).await.expect(200).text;
        for named in [
            "<dt>Goes to</dt><dd>https://api.example.com</dd>",
            "<dt>Goes to</dt><dd>https://tokens.example.com</dd>",
            "to those hosts alone",
        ] {
            assert!(shown.contains(named), "{named}: {shown}");
        }
        assert!(!shown.contains("login.example.com"));
        let query = "&integration=mail&auth_format=oauth2";
        let shown = browser.follow(app, &token, query).await.expect(200);
        for named in [
            "<dt>You sign in at</dt><dd>https://login.example.com</dd>",
            "https://api.example.com",
            "https://tokens.example.com",
        ] {
            assert!(shown.text.contains(named), "{named}: {}", shown.text);
        }
        let form = shown.form().with("action", "connect");
        let onward = browser.send(app, &form).await.expect(200).text;
        assert!(onward.contains("You sign in at https://login.example.com."));
        // One host that gets both is named once.
        let shown = keyed(&shop, &mut browser, &token).await.expect(200).text;
        assert_eq!(shown.matches("Goes to").count(), 1);
        assert!(shown.contains("to that host alone"), "{shown}");
    }
);

// Abuse case: a ticket of another link in the browser of somebody who is about to choose.
in_both_shops!(a_choice_leads_to_the_page_of_its_own_link, async |shop| {
    let app = &shop.world.app;
    let first = link(&shop, json!({ "tenant_id": "t" })).await;
    let second = link(&shop, json!({ "tenant_id": "another" })).await;
    let mut browser = Browser::default();
    for query in ["", "&integration=tea"] {
        let offered = browser.follow(app, &first, query).await.expect(200);
        let choice = offered.attribute("<a href=\"").unwrap();
        browser.open(app, &choice).await.expect(200);
        browser.follow(app, &second, "").await.expect(200);
        browser.open(app, &choice).await.expect(403);
    }
});

in_both_shops!(
    customers_are_offered_what_is_theirs_to_connect,
    async |shop| {
        let app = &shop.world.app;
        let token = link(&shop, json!({ "tenant_id": "t" })).await;
        let mut browser = Browser::default();
        let offered = browser.follow(app, &token, "").await.expect(200).text;
        assert!(offered.contains("Tea") && !offered.contains("The Auth API"));
        let query = "&integrations=tea,theauthapi";
        let named = browser.follow(app, &token, query).await.expect(200).text;
        assert!(named.contains("Tea") && named.contains("The Auth API"));
    }
);

in_both_shops!(a_link_is_made_for_what_can_be_connected, async |shop| {
    shop.bring(
        "mail",
        json!({
            "context": [], "base_url": "https://api.example.com/v1",
            "credentials": { "oauth2": {
                "authorization_url": "https://login.example.com/authorize",
                "token_url": "https://login.example.com/token",
            } },
        }),
    )
    .await;
    for integration in ["unknown", "mail"] {
        let body = json!({ "tenant_id": "t", "integration": integration });
        let refused = shop.owner(Method::POST, "/link-token", body).await;
        let message = refused.expect(400)["message"].to_string();
        assert!(message.starts_with("\"integration"), "{message}");
    }
    let client = json!({ "client_id": "x" });
    let path = "/integration/mail/oauth-client";
    shop.owner(Method::PUT, path, client).await.expect(200);
    for integration in ["tea", "mail", "theauthapi"] {
        let body = json!({ "tenant_id": "t", "integration": integration });
        let made = shop.owner(Method::POST, "/link-token", body).await;
        made.expect(201);
    }
});

// Abuse case: a link that is kept open until what it made in vain was put right by somebody else.
in_both_shops!(
    what_was_put_right_meanwhile_is_not_removed_by_its_link,
    async |shop| {
        let app = &shop.world.app;
        let token = link(&shop, json!({ "tenant_id": "t" })).await;
        let mut browser = Browser::default();
        let shown = keyed(&shop, &mut browser, &token).await.expect(200);
        shop.says(|_| answer(403, &json!({})));
        let wrong = filled(&shop, &shown, "wrong");
        browser.send(app, &wrong).await.expect(400);
        shop.says_as_usual();
        let made = connected(&shop, "t").await.remove(0);
        let id = made["id"].as_str().unwrap();
        let path = format!("/integrated-account/{id}/credentials");
        let right = json!({ "credentials": { "key": "right" } });
        shop.owner(Method::PATCH, &path, right).await.expect(200);
        assert_eq!(shop.status(id).await, "active");
        let query = "/connect-account?integration=orders";
        let orders = browser.open(app, query).await.expect(200);
        let form = orders.form().with("context.host", shop.host());
        let form = form.with("credentials.client_id", "c");
        let form = form.with("credentials.client_secret", "s");
        browser.send(app, &form).await.expect(200);
        assert_eq!(connected(&shop, "t").await.len(), 2);
        assert_eq!(shop.status(id).await, "active");
        shop.get(id, "orders").await.expect(200);
        let received = shop.upstream.received();
        assert_eq!(received.last().unwrap().header("x-tea-key"), "right");
    }
);
