//! Forms are taken from the program's own page, which the browser that sends them has open.

use serde_json::json;

use super::{connected, filled, keyed, link};
use crate::browser::{Browser, own_origin};
use crate::shop::{answer, in_both_shops};

// Abuse case: a form without its token, or from another site.
in_both_shops!(a_form_of_another_site_is_not_taken, async |shop| {
    let app = &shop.world.app;
    let token = link(&shop, json!({ "tenant_id": "t" })).await;
    let mut browser = Browser::default();
    let shown = keyed(&shop, &mut browser, &token).await.expect(200);
    let form = filled(&shop, &shown, "key");
    let own = own_origin();
    let similar = format!("{own}.evil.test");
    for headers in [
        &[][..],
        &[("origin", "https://evil.test")],
        &[("origin", similar.as_str())],
        &[("origin", "http://keys.example.com")],
        &[("origin", "null")],
        &[("origin", "null"), ("sec-fetch-site", "cross-site")],
        &[("origin", "null"), ("sec-fetch-site", "same-site")],
        &[
            ("origin", "https://evil.test"),
            ("sec-fetch-site", "same-origin"),
        ],
        &[("origin", own.as_str()), ("origin", "https://evil.test")],
        &[("origin", own.as_str()), ("sec-fetch-site", "cross-site")],
        &[("origin", own.as_str()), ("sec-fetch-site", "none")],
        &[
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "cross-site"),
        ],
        &[
            ("content-type", "text/plain"),
            ("origin", "https://evil.test"),
        ],
    ] {
        let refused = browser.send_from(app, &form, headers).await;
        refused.expect(403);
    }
    for forged in ["", "x", "AAAA"] {
        let forged = form.clone().with("form_token", forged);
        browser.send(app, &forged).await.expect(403);
    }
    // A form of another link's page, and one without the cookie.
    let another = link(&shop, json!({ "tenant_id": "another" })).await;
    let mut attacker = Browser::default();
    let theirs = keyed(&shop, &mut attacker, &another).await.expect(200);
    let lent = filled(&shop, &theirs, "key");
    browser.send(app, &lent).await.expect(403);
    Browser::default().send(app, &form).await.expect(401);
    assert!(connected(&shop, "t").await.is_empty() && connected(&shop, "another").await.is_empty());
    assert!(shop.upstream.received().is_empty());
    // As browsers send the form of a page that tells nobody where it is.
    let sent = [("origin", "null"), ("sec-fetch-site", "same-origin")];
    browser.send_from(app, &form, &sent).await.expect(200);
    assert_eq!(connected(&shop, "t").await.len(), 1);
});

// Safari before 16.4 says nothing of the site, and names an origin where its page lets it.
in_both_shops!(
    a_form_is_taken_from_a_browser_that_names_the_origin_alone,
    async |shop| {
        let app = &shop.world.app;
        let token = link(&shop, json!({ "tenant_id": "t" })).await;
        let mut browser = Browser::default();
        let shown = keyed(&shop, &mut browser, &token).await.expect(200);
        let may_name = r#"<meta name="referrer" content="same-origin">"#;
        assert!(shown.text.contains(may_name), "{}", shown.text);
        let own = own_origin();
        let sent = [("origin", own.as_str())];
        let form = filled(&shop, &shown, "key");
        let done = browser.send_from(app, &form, &sent).await.expect(200);
        assert_eq!(connected(&shop, "t").await.len(), 1);
        // A page without a form tells nobody anything.
        assert!(!done.text.contains(may_name), "{}", done.text);
        assert_eq!(done.answer.header("referrer-policy"), "no-referrer");
    }
);

in_both_shops!(a_ticket_that_was_made_up_opens_nothing, async |shop| {
    let app = &shop.world.app;
    let token = link(&shop, json!({ "tenant_id": "t" })).await;
    let mut browser = Browser::default();
    let shown = keyed(&shop, &mut browser, &token).await.expect(200);
    let (name, ticket) = browser.cookies.iter().next().unwrap();
    let (name, ticket) = (name.clone(), ticket.clone());
    let changed = ticket.replacen("lnk_", "lnk_0", 1);
    for forged in ["", "x", "lnk_x.y.z", token.as_str(), changed.as_str()] {
        let mut other = Browser::default();
        other.cookies.insert(name.clone(), forged.to_owned());
        let absent = other.open(app, "/connect-account?integration=tea").await;
        absent.expect(401);
        other
            .send(app, &filled(&shop, &shown, "key"))
            .await
            .expect(401);
    }
    // The ticket is read by these pages and by nothing else.
    let listed = app.request("GET", "/integrated-account");
    let listed = listed.header("cookie", &format!("{name}={ticket}"));
    listed.send().await.expect(401);
});

in_both_shops!(a_key_of_several_lines_is_entered_in_a_box, async |shop| {
    let app = &shop.world.app;
    let members = json!({
        "context": [{ "name": "host", "type": "host" }, { "name": "note", "type": "multiline", "required": false }],
        "credentials": { "api_key": {
            "fields": [{ "name": "key", "type": "multiline" }],
            "authorization": { "query": { "name": "key", "value": "{{credentials.key}}" } },
            "validate": "orders.list",
        } },
    });
    shop.bring("pem", members).await;
    let token = link(&shop, json!({ "tenant_id": "t", "integration": "pem" })).await;
    let mut browser = Browser::default();
    let shown = browser.follow(app, &token, "").await.expect(200);
    assert!(shown.text.contains("<textarea name=\"credentials.key\""));
    // As a browser sends it.
    let form = filled(&shop, &shown, "-----BEGIN KEY-----\r\ncanary-line-two\r\n");
    let form = form.with("context.note", "<one>\r\n two");
    shop.says(|_| answer(403, &json!({ "message": "what is canary-line-two?" })));
    let again = browser.send(app, &form).await.expect(400);
    assert!(!again.text.contains("canary"), "{}", again.text);
    let kept = again.form();
    assert_eq!(kept.0["context.note"], "<one>\n two");
    assert_eq!(kept.0["credentials.key"], "");
    shop.says_as_usual();
    browser.send(app, &form).await.expect(200);
    let received = shop.upstream.received();
    let sent = &received.last().unwrap().path;
    assert!(
        sent.contains("KEY-----%0Acanary-line-two%0A") && !sent.contains("%0D"),
        "{sent}"
    );
});

in_both_shops!(
    a_field_is_named_as_the_page_names_it_where_it_is_explained_and_where_it_is_refused,
    async |shop| {
        let fields = json!([{
            "name": "key", "label": "API <key>", "pattern": "^[a-z-]+$", "help": "\"Settings\"",
        }]);
        let header = json!({ "header": { "name": "x-tea-key", "value": "{{credentials.key}}" } });
        let credentials = json!({ "api_key": { "fields": fields, "authorization": header } });
        shop.bring("named", json!({ "credentials": credentials }))
            .await;
        let app = &shop.world.app;
        let token = link(&shop, json!({ "tenant_id": "t" })).await;
        let mut browser = Browser::default();
        let shown = browser.follow(app, &token, "&integration=named").await;
        let shown = shown.expect(200);
        let explained = shown.attribute("aria-describedby=\"").unwrap();
        for text in [
            format!("<small id=\"{explained}\">&#34;Settings&#34;</small>"),
            r#"pattern=".*(?:^[a-z\-]+$).*""#.to_owned(),
        ] {
            assert!(shown.text.contains(&text), "{text}: {}", shown.text);
        }
        let refused = browser.send(app, &filled(&shop, &shown, "No key")).await;
        let refused = refused.expect(400);
        let said = "“API &#60;key&#62;” must match";
        assert!(refused.text.contains(said), "{}", refused.text);
        assert!(refused.text.contains("role=\"alert\"") && !refused.text.contains("No key"));
        browser
            .send(app, &filled(&shop, &refused, "a-key"))
            .await
            .expect(200);
    }
);
