//! Where whoever connected goes back to: what the account registered, and nothing that looks like it.

use claviger_domain::role::Role;
use http::Method;
use serde_json::{Value, json};

use super::{APP, filled, keyed, link, register};
use crate::browser::{Browser, query_of};
use crate::shop::in_both_shops;

const BACK: &str = "https://app.example.com/connected?tab=1";

// Abuse case: a redirect_uri that is not registered, or looks like one that is.
in_both_shops!(
    a_browser_goes_back_to_a_registered_page_alone,
    async |shop| {
        let app = &shop.world.app;
        register(&shop, json!({ "redirect_uris": [BACK], "origins": [APP] })).await;
        for other in [
            "https://app.example.com/connected",
            "https://app.example.com/connected?tab=1&x=2",
            "https://app.example.com/connected?tab=12",
            "https://app.example.com/connected?tab=1/../x",
            "https://app.example.com.evil.test/connected?tab=1",
            "https://evil.test/connected?tab=1",
            "https://APP.example.com/connected?tab=1",
            "javascript:alert(1)",
            "",
        ] {
            let body = json!({ "tenant_id": "t", "redirect_uri": other });
            let refused = shop.owner(Method::POST, "/link-token", body).await;
            let message = refused.expect(400)["message"].as_str().unwrap().to_owned();
            assert!(message.starts_with("redirect_uri"), "{other}: {message}");
        }
        let body = json!({ "tenant_id": "t", "redirect_uri": BACK });
        let token = link(&shop, body.clone()).await;
        let mut browser = Browser::default();
        let shown = keyed(&shop, &mut browser, &token).await.expect(200);
        // A form's answer may not lead elsewhere: the page does.
        let done = browser
            .send(app, &filled(&shop, &shown, "key"))
            .await
            .expect(200);
        let onward = done.onward().unwrap();
        assert!(onward.starts_with(&format!("{BACK}&")), "{onward}");
        let told = query_of(&onward);
        assert_eq!(
            (told["tab"].as_str(), told["result"].as_str()),
            ("1", "success")
        );
        assert!(told["integrated_account_id"].starts_with("cac_"));
        assert!(!done.text.contains("<script"));

        // What was taken back since is not gone to.
        let token = link(&shop, body).await;
        let mut browser = Browser::default();
        let shown = keyed(&shop, &mut browser, &token).await.expect(200);
        register(&shop, json!({ "origins": [APP] })).await;
        let done = browser
            .send(app, &filled(&shop, &shown, "key"))
            .await
            .expect(200);
        assert_eq!((done.onward(), done.told().1), (None, json!([APP])));
    }
);

// Abuse case: a message to a page of another origin.
in_both_shops!(
    pages_of_registered_origins_are_told_and_no_others,
    async |shop| {
        let app = &shop.world.app;
        let token = link(&shop, json!({ "tenant_id": "t" })).await;
        let mut browser = Browser::default();
        // Whatever the request says of where it is from.
        let path =
            format!("/connect-account?link_token={token}&integration=tea&origin=https://evil.test");
        browser.open(app, &path).await.expect(200);
        let shown = browser
            .open(app, "/connect-account?integration=tea&auth_format=api_key")
            .await;
        let cancelled = shown.form().with("action", "cancel");
        assert_eq!(browser.send(app, &cancelled).await.told().1, json!([]));
        register(&shop, json!({ "origins": [APP, "http://localhost:3000"] })).await;
        let told = browser.send(app, &cancelled).await;
        assert_eq!(told.told().1, json!([APP, "http://localhost:3000"]));
        assert!(!told.text.contains("postMessage(message, \"*\")"));
        for (body, word) in [
            (json!({ "origins": ["*"] }), "origins[0]"),
            (
                json!({ "origins": [APP, "https://*.example.com"] }),
                "origins[1]",
            ),
            (json!({ "origins": ["http://app.example.com"] }), "https"),
            (
                json!({ "origins": ["https://app.example.com/x"] }),
                "origins[0]",
            ),
            (json!({ "origins": vec![APP; 51] }), "origins"),
            (json!({ "origins": APP }), "origins"),
            (
                json!({ "redirect_uris": ["javascript:alert(1)"] }),
                "redirect_uris[0]",
            ),
            (
                json!({ "redirect_uris": ["http://app.example.com/"] }),
                "https",
            ),
            (json!({ "redirect_uri": [] }), "redirect_uris"),
        ] {
            let refused = shop
                .owner(Method::PUT, "/link-settings", body.clone())
                .await;
            let message = refused.expect(400)["message"].as_str().unwrap().to_owned();
            assert!(message.contains(word), "{body}: {message}");
        }
        let kept = shop.world.get("/link-settings").await.expect(200);
        assert_eq!(kept["origins"], json!([APP, "http://localhost:3000"]));
    }
);

in_both_shops!(
    settings_are_of_an_account_and_its_children_and_for_admins,
    async |shop| {
        let world = &shop.world;
        register(&shop, json!({ "origins": [APP], "redirect_uris": [BACK] })).await;
        for (role, read, write) in [
            (Role::Owner, 200, 200),
            (Role::Admin, 200, 200),
            (Role::Developer, 200, 403),
            (Role::Viewer, 200, 403),
            (Role::Analyst, 200, 403),
            (Role::Verifier, 404, 404),
        ] {
            let key = world.access_key(&world.account, role, None).await.plain;
            let shown = world
                .ask(&key, Method::GET, "/link-settings", Value::Null)
                .await;
            assert_eq!(shown.status, read, "{role:?}");
            let body = json!({ "origins": [APP], "redirect_uris": [BACK] });
            let set = world.ask(&key, Method::PUT, "/link-settings", body).await;
            assert_eq!(set.status, write, "{role:?}");
        }
        let (other, _) = world.account("Other").await;
        let foreign = world.access_key(&other, Role::Owner, None).await.plain;
        let path = format!("/link-settings?account_id={}", world.account.id);
        world
            .ask(&foreign, Method::GET, &path, Value::Null)
            .await
            .expect(404);
        let body = json!({ "origins": [], "account_id": world.account.id });
        world
            .ask(&foreign, Method::PUT, "/link-settings", body)
            .await
            .expect(404);
        let own = world
            .ask(&foreign, Method::GET, "/link-settings", Value::Null)
            .await;
        assert_eq!(own.expect(200)["origins"], json!([]));
        world
            .ask("", Method::GET, "/link-settings", Value::Null)
            .await
            .expect(401);
    }
);

in_both_shops!(what_a_request_for_a_link_says_must_be_known, async |shop| {
    let id = shop.keyed().await;
    for (body, word) in [
        (json!({}), "tenant_id"),
        (json!({ "tenant_id": " " }), "tenant_id"),
        (json!({ "tenant": "t" }), "tenant_id"),
        (
            json!({ "tenant_id": "t", "redirect_url": BACK }),
            "redirect_uri",
        ),
        (
            json!({ "tenant_id": "t", "integrated_account_id": id }),
            "integrated_account_id",
        ),
        (
            json!({ "integrated_account_id": id, "integration": "tea" }),
            "integration",
        ),
        (json!({ "tenant_id": "t", "scopes": "read" }), "scopes"),
        (json!({ "tenant_id": "t", "scopes": ["a b"] }), "scopes"),
        (json!({ "tenant_id": "t", "scopes": ["\"x\""] }), "scopes"),
    ] {
        let refused = shop.owner(Method::POST, "/link-token", body.clone()).await;
        let message = refused.expect(400)["message"].as_str().unwrap().to_owned();
        assert!(message.contains(word), "{body}: {message}");
    }
    let absent = json!({ "integrated_account_id": "cac_00000000000000000000" });
    shop.owner(Method::POST, "/link-token", absent)
        .await
        .expect(404);
});
