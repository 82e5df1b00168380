//! Links: somebody without an account here connects one of theirs, once, in one browser, for whoever asked
//! them to and still may.

mod choosing;
mod forms;
mod makers;
mod settings;

use claviger_domain::role::Role;
use claviger_store::events;
use http::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, Filled, Shown};
use crate::shop::{CANARY, Shop, answer, has_canary, in_both_shops};
use crate::world::World;

/// A page of the account that asks.
const APP: &str = "https://app.example.com";

/// Makes a link with that key.
async fn link_of(world: &World, key: &str, body: Value) -> String {
    let made = world.ask(key, Method::POST, "/link-token", body).await;
    let made = made.expect(201);
    made["link_token"].as_str().unwrap().to_owned()
}

async fn link(shop: &Shop, body: Value) -> String {
    link_of(&shop.world, &shop.world.owner, body).await
}

async fn register(shop: &Shop, body: Value) {
    let put = shop.owner(Method::PUT, "/link-settings", body).await;
    put.expect(200);
}

/// Opens a link on the form for a key.
async fn keyed(shop: &Shop, browser: &mut Browser, token: &str) -> Shown {
    let query = "&integration=tea&auth_format=api_key";
    browser.follow(&shop.world.app, token, query).await
}

fn filled(shop: &Shop, shown: &Shown, key: &str) -> Filled {
    let form = shown.form().with("context.host", shop.host());
    form.with("credentials.key", key).with("action", "connect")
}

/// What is connected for a tenant.
async fn connected(shop: &Shop, tenant: &str) -> Vec<Value> {
    let path = format!("/integrated-account?tenant_id={tenant}");
    let listed = shop.world.get(&path).await.expect(200);
    listed["result"].as_array().unwrap().clone()
}

in_both_shops!(a_customer_connects_with_a_key, async |shop| {
    register(&shop, json!({ "origins": [APP] })).await;
    let app = &shop.world.app;
    let token = link(&shop, json!({ "tenant_id": "Customer 7" })).await;
    assert!(token.starts_with("clvlink_"));
    let mut browser = Browser::default();
    let path = format!("/connect-account?link_token={token}&integration=tea&no_back=true");
    let led = browser.fetch(app, &path).await;
    assert_eq!(led.status, 303);
    assert_eq!(led.header("location"), "/connect-account?integration=tea");
    assert_eq!(led.header("referrer-policy"), "no-referrer");
    let cookie = led.header("set-cookie");
    assert!(cookie.starts_with("__Host-claviger-connect="), "{cookie}");
    assert!(
        cookie.ends_with("; HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
    assert!(!cookie.contains(&token));

    let formats = browser.open(app, led.header("location")).await.expect(200);
    assert!(
        formats.text.contains("auth_format=api_key"),
        "{}",
        formats.text
    );
    let shown = browser
        .open(app, "/connect-account?integration=tea&auth_format=api_key")
        .await
        .expect(200);
    for named in ["Acme", "Customer 7", "http://[host]", "Connect Tea"] {
        assert!(shown.text.contains(named), "{named}: {}", shown.text);
    }
    let policy = shown.answer.header("content-security-policy");
    for rule in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert_eq!(shown.answer.header("cache-control"), "no-store");
    assert_eq!(shown.answer.header("referrer-policy"), "no-referrer");
    assert!(shown.text.contains(r#"type="password""#) && !shown.text.contains("<script"));

    let done = browser
        .send(app, &filled(&shop, &shown, CANARY))
        .await
        .expect(200);
    let made = connected(&shop, "Customer%207").await.remove(0);
    assert_eq!(
        (&made["status"], &made["integration"]),
        (&json!("active"), &json!("tea"))
    );
    let message = json!({
        "is_truto": true, "result": "success", "integration": "tea",
        "integrated_account_id": made["id"],
    });
    assert_eq!(done.told(), (message, json!([APP])));
    assert!(!has_canary(&done.text) && !has_canary(&made.to_string()));
    let tried = shop.upstream.received();
    assert_eq!(tried.last().unwrap().header("x-tea-key"), CANARY);
    shop.get(made["id"].as_str().unwrap(), "orders")
        .await
        .expect(200);

    let trail = events::of_account(&app.core.db, &shop.world.account.id, 99)
        .await
        .unwrap();
    let of_link: Vec<_> = trail
        .iter()
        .filter(|event| event.kind.starts_with("link-token."))
        .collect();
    let kinds: Vec<_> = of_link.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["link-token.created", "link-token.used"]);
    assert!(of_link[1].data.contains(made["id"].as_str().unwrap()));
    let told: String = trail.into_iter().map(|event| event.data).collect();
    assert!(!has_canary(&told) && !told.contains(&token), "{told}");
});

// Abuse case: a link token used twice.
in_both_shops!(a_link_connects_once_and_in_one_browser, async |shop| {
    let app = &shop.world.app;
    let token = link(&shop, json!({ "tenant_id": "t" })).await;
    // Whatever looks at mails opens links, and keeps cookies.
    let mut scanner = Browser::default();
    let seen = keyed(&shop, &mut scanner, &token).await.expect(200);
    let mut browser = Browser::default();
    let shown = keyed(&shop, &mut browser, &token).await.expect(200);
    browser
        .send(app, &filled(&shop, &shown, "right"))
        .await
        .expect(200);
    assert_eq!(connected(&shop, "t").await.len(), 1);

    let asked = shop.upstream.received().len();
    let again = browser
        .send(app, &filled(&shop, &shown, "again"))
        .await
        .expect(401);
    assert_eq!(again.told().0["error_type"], "invalid_token");
    for mut other in [Browser::default(), scanner] {
        let absent = keyed(&shop, &mut other, "clvlink_unknown")
            .await
            .expect(401);
        let used = keyed(&shop, &mut other, &token).await.expect(401);
        assert_eq!(used.text, absent.text);
        other
            .send(app, &filled(&shop, &seen, "stolen"))
            .await
            .expect(401);
    }
    assert_eq!(connected(&shop, "t").await.len(), 1);
    assert_eq!(shop.upstream.received().len(), asked);
});

in_both_shops!(
    who_sends_first_has_the_link_and_others_do_not,
    async |shop| {
        let app = &shop.world.app;
        let token = link(&shop, json!({ "tenant_id": "t" })).await;
        let (mut one, mut other) = (Browser::default(), Browser::default());
        let of_one = keyed(&shop, &mut one, &token).await.expect(200);
        let of_other = keyed(&shop, &mut other, &token).await.expect(200);
        shop.says(|_| answer(403, &json!({ "message": "no" })));
        one.send(app, &filled(&shop, &of_one, "wrong"))
            .await
            .expect(400);
        shop.says_as_usual();
        other
            .send(app, &filled(&shop, &of_other, "theirs"))
            .await
            .expect(401);
        keyed(&shop, &mut other, &token).await.expect(401);
        // Its own browser goes on, by the link too.
        let again = keyed(&shop, &mut one, &token).await.expect(200);
        one.send(app, &filled(&shop, &again, "right"))
            .await
            .expect(200);
        let made = connected(&shop, "t").await;
        assert_eq!((made.len(), &made[0]["status"]), (1, &json!("active")));
    }
);

in_both_shops!(
    what_is_not_taken_is_asked_for_again_and_told_of,
    async |shop| {
        register(&shop, json!({ "origins": [APP] })).await;
        let app = &shop.world.app;
        let token = link(&shop, json!({ "tenant_id": "t" })).await;
        let mut browser = Browser::default();
        let shown = keyed(&shop, &mut browser, &token).await.expect(200);
        let cancelled = shown.form().with("action", "cancel");
        let closed = browser.send(app, &cancelled).await.expect(200);
        assert_eq!(closed.told().0, "closed");

        for (host, key, word) in [
            ("evil.com/x", "k", "host"),
            ("", "k", "host"),
            (shop.host(), "with space", "key"),
            (shop.host(), "", "key"),
        ] {
            let form = filled(&shop, &shown, key).with("context.host", host);
            let refused = browser.send(app, &form).await.expect(400);
            assert!(refused.text.contains(word), "{}", refused.text);
        }
        assert!(connected(&shop, "t").await.is_empty() && shop.upstream.received().is_empty());

        shop.says(|_| answer(403, &json!({ "message": format!("you sent {CANARY}<b>") })));
        let refused = browser
            .send(app, &filled(&shop, &shown, CANARY))
            .await
            .expect(400);
        assert!(
            !has_canary(&refused.text) && !refused.text.contains("<b>"),
            "{}",
            refused.text
        );
        let kept = refused.form().0["context.host"].clone();
        assert_eq!(kept, shop.host(), "what may be seen is kept");
        let made = connected(&shop, "t").await.remove(0);
        assert_eq!(made["status"], "validation_error");
        let told = browser.send(app, &cancelled).await.expect(400).told().0;
        assert_eq!(
            (
                &told["error_type"],
                &told["integrated_account_id"],
                &told["integration"]
            ),
            (&json!("validation_error"), &made["id"], &json!("tea"))
        );
        // Another connector's is another connected account, and the first is gone.
        shop.says_as_usual();
        let query = "/connect-account?integration=orders";
        let orders = browser.open(app, query).await.expect(200);
        let form = orders.form().with("context.host", shop.host());
        let form = form
            .with("credentials.client_id", "c")
            .with("credentials.client_secret", CANARY);
        browser.send(app, &form).await.expect(200);
        let made = connected(&shop, "t").await;
        assert_eq!((made.len(), &made[0]["integration"]), (1, &json!("orders")));
    }
);

in_both_shops!(
    a_connected_account_is_connected_anew_where_it_is,
    async |shop| {
        let app = &shop.world.app;
        let id = shop.keyed().await;
        let token = link(&shop, json!({ "integrated_account_id": id })).await;
        let mut browser = Browser::default();
        let other = browser
            .follow(app, &token, "&integration=orders")
            .await
            .expect(404);
        assert_eq!(other.told().0["error_type"], "invalid_integration");
        let query = "/connect-account?auth_format=api_key";
        let shown = browser.open(app, query).await.expect(200);
        assert!(
            shown.text.contains(&shop.upstream.url),
            "it says where it goes: {}",
            shown.text
        );
        assert!(!shown.form().0.contains_key("context.host"));
        // Where it leads is not whoever's who has the link.
        let moved = filled(&shop, &shown, "x").with("context.host", "evil.test");
        browser.send(app, &moved).await.expect(400);
        let form = shown.form().with("credentials.key", "entered-anew");
        let done = browser.send(app, &form).await.expect(200);
        assert_eq!(done.told().0["integrated_account_id"], json!(id));
        shop.get(&id, "orders").await.expect(200);
        let received = shop.upstream.received();
        assert_eq!(received.last().unwrap().header("x-tea-key"), "entered-anew");
        assert_eq!(shop.status(&id).await, "active");
    }
);

// Abuse case: whoever has a link to connect anew breaks what works.
in_both_shops!(
    a_mistyped_key_changes_nothing_where_one_is_taken,
    async |shop| {
        register(&shop, json!({ "origins": [APP] })).await;
        let app = &shop.world.app;
        let id = shop.keyed().await;
        let token = link(&shop, json!({ "integrated_account_id": id })).await;
        let mut browser = Browser::default();
        let query = "&auth_format=api_key";
        let shown = browser.follow(app, &token, query).await.expect(200);
        shop.says(|received| match received.header("x-tea-key") {
            CANARY | "right" => answer(200, &json!([])),
            _ => answer(401, &json!({})),
        });
        let form = shown.form().with("action", "connect");
        let wrong = form.clone().with("credentials.key", "mistyped");
        browser.send(app, &wrong).await.expect(400);
        let tried = shop.upstream.received();
        assert_eq!(tried.last().unwrap().header("x-tea-key"), "mistyped");
        assert_eq!(shop.status(&id).await, "active");
        shop.get(&id, "orders").await.expect(200);
        let used = shop.upstream.received();
        assert_eq!(used.last().unwrap().header("x-tea-key"), CANARY);
        let cancelled = form.clone().with("action", "cancel");
        let closed = browser.send(app, &cancelled).await.expect(200);
        assert_eq!(closed.told().0, "closed");

        let right = form.with("credentials.key", "right");
        let done = browser.send(app, &right).await.expect(200);
        assert_eq!(done.told().0["integrated_account_id"], json!(id));
        assert_eq!(shop.status(&id).await, "active");
        shop.get(&id, "orders").await.expect(200);
        let used = shop.upstream.received();
        assert_eq!(used.last().unwrap().header("x-tea-key"), "right");
        let form = shown.form().with("action", "connect");
        let again = form.with("credentials.key", "again");
        browser.send(app, &again).await.expect(401);
    }
);

// Abuse case: a link as a way to try keys, or to have hosts asked.
in_both_shops!(a_link_is_tried_so_often_and_no_more, async |shop| {
    let app = &shop.world.app;
    let token = link(&shop, json!({ "tenant_id": "t" })).await;
    let mut browser = Browser::default();
    let shown = keyed(&shop, &mut browser, &token).await.expect(200);
    shop.says(|_| answer(403, &json!({})));
    for _ in 0..20 {
        browser
            .send(app, &filled(&shop, &shown, "guess"))
            .await
            .expect(400);
    }
    let asked = shop.upstream.received().len();
    assert_eq!(asked, 20);
    browser
        .send(app, &filled(&shop, &shown, "guess"))
        .await
        .expect(401);
    assert_eq!(shop.upstream.received().len(), asked);
});

// Abuse case: the page of an end user shows what is other tenants'.
in_both_shops!(the_page_shows_nothing_of_others, async |shop| {
    let app = &shop.world.app;
    shop.keyed().await;
    let (other, _) = shop.world.account("Other").await;
    let foreign = shop.world.access_key(&other, Role::Owner, None).await.plain;
    let token = link_of(&shop.world, &foreign, json!({ "tenant_id": "theirs" })).await;
    let mut browser = Browser::default();
    let shown = browser.follow(app, &token, "").await.expect(200);
    for hidden in ["Tea", "Orders", "Acme", "cac_"] {
        assert!(!shown.text.contains(hidden), "{hidden}: {}", shown.text);
    }
    for name in ["tea", "unknown", "a%00b", "%3Cb%3E"] {
        let path = format!("/connect-account?integration={name}");
        let absent = browser.open(app, &path).await.expect(404);
        assert_eq!(absent.told().0["error_type"], "invalid_integration");
        assert!(!absent.text.contains("<b>"));
    }
    let theirs = shop.keyed().await;
    let again = json!({ "integrated_account_id": theirs });
    let refused = shop
        .world
        .ask(&foreign, Method::POST, "/link-token", again)
        .await;
    refused.expect(404);
});

in_both_shops!(names_with_markup_are_inert_on_the_page, async |shop| {
    let app = &shop.world.app;
    let hostile = "\"><script>alert(1)</script>\u{202e}\u{1b}[31m";
    shop.bring("loud", json!({
        "label": hostile,
        "context": [{ "name": "host", "type": "host", "label": hostile, "help": hostile, "pattern": "\"><b>|." }],
    })).await;
    let token = link(&shop, json!({ "tenant_id": hostile })).await;
    let mut browser = Browser::default();
    for query in [
        "",
        "?integration=loud",
        "?integration=loud&auth_format=api_key",
    ] {
        let path = if query.is_empty() {
            format!("/connect-account?link_token={token}")
        } else {
            format!("/connect-account{query}")
        };
        let shown = browser.open(app, &path).await.expect(200);
        for raw in ["<script", "<b>", "\u{202e}", "\u{1b}"] {
            assert!(!shown.text.contains(raw), "{raw:?}: {}", shown.text);
        }
        assert!(shown.text.contains("alert(1)"), "it is shown as text");
    }
});
