//! `/custom/{path}`: raw calls, which stay on the connector's origin whatever their path is.

use claviger_domain::role::Role;
use claviger_testkit::{Receiver, TestRequest};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::shop::{CANARY, answer, in_both_shops, run};

in_both_shops!(
    a_raw_call_has_the_credential_and_no_envelope,
    async |shop| {
        let id = shop.keyed().await;
        shop.says(|_| answer(207, &json!({ "raw": [1] })));
        let path = format!("/custom/a/b%2Fc?x=1&integrated_account_id={id}&y=%20");
        let request = shop.world.app.request("PUT", &path).key(&shop.world.owner);
        let request = request
            .header("cookie", "a=b")
            .header("x-forwarded-for", "1.2.3.4");
        let answered = request
            .header("content-type", "text/csv")
            .body("a,b")
            .send()
            .await;
        assert_eq!(answered.status.as_u16(), 207);
        assert_eq!(answered.body, json!({ "raw": [1] }));
        let received = shop.upstream.received();
        let last = received.last().unwrap();
        assert_eq!(
            (last.method.as_str(), last.path.as_str()),
            ("PUT", "/api/a/b%2Fc?x=1&y=%20")
        );
        assert_eq!(
            (last.header("x-tea-key"), last.header("content-type")),
            (CANARY, "text/csv")
        );
        assert_eq!(last.body, "a,b");
        for header in ["x-api-key", "authorization", "cookie", "x-forwarded-for"] {
            assert_eq!(last.header(header), "", "{header}");
        }
        let dry = format!("{path}&dry_run=true");
        let shown = shop.owner(Method::GET, &dry, Value::Null).await.expect(200);
        assert_eq!(shown["result"]["headers"]["x-tea-key"], "***");
        assert_eq!(shop.upstream.received().len(), received.len());
        shop.world.app.gateway.lines_written().await;
        let log = shop
            .world
            .get("/log?tool_name=custom%20PUT")
            .await
            .expect(200);
        assert_eq!(
            (&log["result_count"], &log["result"][0]["upstream_status"]),
            (&json!(1), &json!(207))
        );
    }
);

#[test]
fn custom_with_slash_slash_e_slash_at_e_slash_backslash_e_dots_and_a_port() {
    run(claviger_testkit::Engine::Sqlite, async |shop| {
        let elsewhere = Receiver::start().await;
        let e = elsewhere.url.strip_prefix("http://").unwrap();
        let id = shop.keyed().await;
        for path in [
            format!("//{e}"),
            format!("/@{e}"),
            format!("/\\{e}"),
            format!("/%5c%5c{e}"),
            format!("/%2e%2e/%2e%2e/{e}"),
            "/%2e%2e/x".to_owned(),
            "/..;/x".to_owned(),
            format!("/:80@{e}"),
            format!("/http://{e}/"),
        ] {
            let before = shop.upstream.received().len();
            let uri = format!("/custom{path}?integrated_account_id={id}");
            let Ok(uri) = uri.parse::<http::Uri>() else {
                continue;
            };
            let request = TestRequest::to(shop.world.app.routes(), "GET", &uri.to_string());
            let answered = request.key(&shop.world.owner).send().await;
            let refused = matches!(
                answered.status,
                StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST
            );
            let received = shop.upstream.received();
            let is_below =
                received.len() == before + 1 && received[before].path.starts_with("/api/");
            assert!(refused || is_below, "{path}: {}", answered.status);
            assert!(elsewhere.received().is_empty(), "{path}");
        }
    });
}

in_both_shops!(
    a_raw_call_needs_the_role_on_the_account_and_another_api,
    async |shop| {
        let id = shop.keyed().await;
        let path = format!("/custom/orders?integrated_account_id={id}");
        let before = shop.upstream.received().len();
        for role in [Role::Developer, Role::Viewer, Role::Analyst] {
            let key = shop.world.access_key(&shop.world.account, role, None).await;
            shop.world
                .ask(&key.plain, Method::GET, &path, Value::Null)
                .await
                .expect(403);
        }
        let (other, _) = shop.world.account("Other").await;
        let foreign = shop.world.access_key(&other, Role::Owner, None).await;
        shop.world
            .ask(&foreign.plain, Method::GET, &path, Value::Null)
            .await
            .expect(404);
        let local = format!(
            "/custom/projects?integrated_account_id={}",
            shop.world.connected
        );
        shop.owner(Method::GET, &local, Value::Null)
            .await
            .expect(404);
        shop.owner(Method::GET, "/custom/orders", Value::Null)
            .await
            .expect(400);
        assert_eq!(shop.upstream.received().len(), before);
        let admin = shop
            .world
            .access_key(&shop.world.account, Role::Admin, None)
            .await;
        shop.world
            .ask(&admin.plain, Method::GET, &path, Value::Null)
            .await
            .expect(200);
    }
);
