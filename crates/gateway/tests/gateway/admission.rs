//! What let a request in may end before its calls are made: each call is admitted anew.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::{BoxError, Router};
use claviger_domain::key_string::{Environment, KeyPurpose};
use claviger_domain::role::Role;
use claviger_testkit::{
    PUBLIC_HOST, SeededRandom, TestApp, TestRequest, TestResponse, on_both_engines,
};
use futures::{StreamExt, stream};
use http::Method;
use serde_json::{Value, json};

use crate::world::{World, call_message, outcome};

const CREATE: &str = "create_a_the_auth_api_project";

fn create() -> Value {
    call_message(CREATE, &json!({ "name": "One more" }))
}

/// A body whose second half comes after `between` was done.
fn halves(message: &Value, between: impl Future<Output = ()> + Send + 'static) -> Body {
    let mut first = message.to_string();
    let second = first.split_off(20);
    let chunks = stream::once(async { Ok::<_, BoxError>(Bytes::from(first)) });
    Body::from_stream(chunks.chain(stream::once(async {
        between.await;
        Ok(Bytes::from(second))
    })))
}

/// Counts the calls that reach the upstream, and does something in each.
fn count_calls<F: Future<Output = ()> + Send>(
    app: &TestApp,
    during: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> Arc<AtomicUsize> {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    app.change_upstream(|upstream: Router| {
        upstream.layer(middleware::from_fn(move |request: Request, next: Next| {
            counted.fetch_add(1, Ordering::SeqCst);
            let during = during.clone();
            async move {
                during().await;
                next.run(request).await
            }
        }))
    });
    calls
}

async fn done(request: TestRequest) {
    let answer: TestResponse = request.send().await;
    assert!(answer.status.is_success(), "{}", answer.body);
}

/// The owner's request that ends a server, an access key or another thing.
fn ending(world: &World, path: &str) -> TestRequest {
    world.app.request("DELETE", path).key(&world.owner)
}

fn is_refused(answer: &Value) -> bool {
    outcome(answer).is_err_and(|told| told["statusCode"] == 401 && told["is_remote_error"] == false)
}

on_both_engines!(
    a_server_deleted_while_the_body_arrives_makes_no_call,
    async |app| {
        let world = World::of(app).await;
        let (id, token) = world.server(json!({})).await;
        let calls = count_calls(&world.app, async || ());
        let deletion = ending(&world, &world.path(&format!("/mcp/{id}")));
        let body = halves(&create(), done(deletion));
        let answer = world.post_body(&token, &[], body).await;
        assert!(is_refused(&answer.body), "{}", answer.body);
        assert_eq!(calls.load(Ordering::SeqCst), 0);
    }
);

on_both_engines!(
    a_server_that_expires_while_the_body_arrives_makes_no_call,
    async |app| {
        let world = World::of(app).await;
        let body = json!({ "expires_at": "2030-01-01T00:02:00Z" });
        let path = world.path("/mcp");
        let made = world.ask(&world.owner, Method::POST, &path, body).await;
        let made = made.expect(201);
        let calls = count_calls(&world.app, async || ());
        let clock = Arc::clone(&world.app.clock);
        let body = halves(&create(), async move { clock.advance(120) });
        let token = made["token"].as_str().unwrap();
        let answer = world.post_body(token, &[], body).await;
        assert!(is_refused(&answer.body), "{}", answer.body);
        assert_eq!(calls.load(Ordering::SeqCst), 0);
    }
);

on_both_engines!(
    a_maker_or_second_credential_that_ends_while_the_body_arrives_makes_no_call,
    async |app| {
        let world = World::of(app).await;
        let maker = world.access_key(&world.account, Role::Admin, None).await;
        let second = world.access_key(&world.account, Role::Admin, None).await;
        let guarded = json!({ "require_api_token_auth": true });
        let (_, token) = world.server_of(&maker.plain, guarded.clone()).await;
        let (_, owners) = world.server(guarded).await;
        let calls = count_calls(&world.app, async || ());
        for (token, ended, presented) in [
            (token, &maker.id, world.owner.as_str()),
            (owners, &second.id, second.plain.as_str()),
        ] {
            let revocation = ending(&world, &format!("/access-keys/{ended}"));
            let body = halves(&create(), done(revocation));
            let answer = world
                .post_body(&token, &[("x-api-key", presented)], body)
                .await;
            assert!(is_refused(&answer.body), "{}", answer.body);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 0);
    }
);

/// What ends at a path while the first call of a batch is made lets no later call through, and those
/// are in the log.
async fn ends_during_a_batch(world: &World, token: &str, headers: &[(&str, &str)], path: String) {
    let (routes, owner) = (world.app.routes(), world.owner.clone());
    let calls = count_calls(&world.app, move || {
        done(TestRequest::to(routes.clone(), "DELETE", &path).key(&owner))
    });
    let batch = Value::Array(vec![create(); 3]);
    let answer = world.post(token, headers, &batch).await.expect(200);
    assert!(outcome(&answer[0]).is_ok(), "{answer}");
    assert!(is_refused(&answer[1]) && is_refused(&answer[2]), "{answer}");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let log = world.get("/log?status=401").await.body;
    assert_eq!(log["result_count"], 2, "{log}");
    assert_eq!(log["result"][0]["tool_name"], CREATE);
}

on_both_engines!(
    a_server_deleted_during_a_batch_makes_no_later_call,
    async |app| {
        let world = World::of(app).await;
        let (id, token) = world.server(json!({})).await;
        let path = world.path(&format!("/mcp/{id}"));
        ends_during_a_batch(&world, &token, &[], path).await;
    }
);

on_both_engines!(
    a_second_credential_revoked_during_a_batch_makes_no_later_call,
    async |app| {
        let world = World::of(app).await;
        let second = world.access_key(&world.account, Role::Admin, None).await;
        let guarded = json!({ "require_api_token_auth": true });
        let (_, token) = world.server(guarded).await;
        let path = format!("/access-keys/{}", second.id);
        let headers = [("x-api-key", second.plain.as_str())];
        ends_during_a_batch(&world, &token, &headers, path).await;
    }
);

// Abuse case: made-up second credentials, to find out whether a server that asks for one has ended.
#[tokio::test]
async fn made_up_second_credentials_tell_nothing_of_a_server() {
    /// Credentials that do not exist, of one network in a minute.
    const OF_NETWORK: usize = 600;
    let world = World::new().await;
    let guarded = || json!({ "require_api_token_auth": true });
    let maker = world.access_key(&world.account, Role::Admin, None).await;
    let (_, live) = world.server(guarded()).await;
    let (id, deleted) = world.server(guarded()).await;
    let (_, of_nobody) = world.server_of(&maker.plain, guarded()).await;
    let body = json!({ "config": guarded(), "expires_at": "2030-01-01T00:02:00Z" });
    let path = world.path("/mcp");
    let made = world.ask(&world.owner, Method::POST, &path, body).await;
    let expired = made.expect(201)["token"].as_str().unwrap().to_owned();
    done(ending(&world, &world.path(&format!("/mcp/{id}")))).await;
    done(ending(&world, &format!("/access-keys/{}", maker.id))).await;
    world.advance(120);
    let servers = [
        live,
        deleted,
        of_nobody,
        expired,
        "clvmcp_unknown".to_owned(),
    ];

    let random = SeededRandom::new(1);
    let made_up = || KeyPurpose::AccessKey(Environment::Live).draw(&random).plain;
    let asked = async |token: &str| {
        let second = made_up();
        let headers = [("x-api-key", second.expose())];
        world.post(token, &headers, &create()).await
    };
    for token in &servers {
        asked(token).await.expect(401);
    }
    // Each of them was a guess, and so are these.
    for _ in servers.len()..OF_NETWORK {
        let guess = made_up();
        let asked = world.ask(guess.expose(), Method::GET, "/projects", Value::Null);
        asked.await.expect(401);
    }
    for token in &servers {
        let late = asked(token).await.expect(429);
        assert_eq!(late["code"], "too_many_attempts", "{token}");
        world.post(token, &[], &create()).await.expect(401);
    }
}

on_both_engines!(a_body_that_breaks_off_is_400, async |app| {
    let world = World::of(app).await;
    let (_, token) = world.server(json!({})).await;
    let chunks: [Result<&str, BoxError>; 2] = [Ok("{"), Err("gone".into())];
    let body = Body::from_stream(stream::iter(chunks));
    let answer = world.post_body(&token, &[], body).await;
    assert_eq!(answer.expect(400)["code"], "invalid_input");
});

#[tokio::test]
async fn a_body_that_does_not_come_is_400() {
    let world = World::new().await;
    let (_, token) = world.server(json!({})).await;
    let stalled = stream::once(async {
        // From here on nothing but the timer can go on, and the database is not asked.
        tokio::time::pause();
        std::future::pending::<Result<Bytes, BoxError>>().await
    });
    let answer = world
        .post_body(&token, &[], Body::from_stream(stalled))
        .await;
    tokio::time::resume();
    assert_eq!(answer.expect(400)["code"], "invalid_input");
}

#[tokio::test]
async fn who_signs_in_through_a_tool_has_the_budget_of_their_own_network() {
    const LOG_IN: &str = "create_a_the_auth_api_auth_login";
    let world = World::new().await;
    let (_, token) = world.server(json!({})).await;
    let log_in = async |octet: u8, number: u8| {
        let email = format!("{number}@example.com");
        let message = call_message(
            LOG_IN,
            &json!({ "email": email, "password": "wrong horse" }),
        );
        let request = world.app.request("POST", &format!("/mcp/{token}"));
        let request = request
            .header("host", PUBLIC_HOST)
            .from(SocketAddr::from(([192, 0, 2, octet], 1)));
        let answer = request.body(message.to_string()).send().await;
        let refused = outcome(&answer.expect(200)).unwrap_err();
        refused["statusCode"].as_u64().unwrap()
    };
    for number in 0..60 {
        assert_eq!(log_in(1, number).await, 401);
    }
    assert_eq!(log_in(1, 60).await, 429);
    // Whoever guesses there keeps nobody else's agents out.
    assert_eq!(log_in(2, 60).await, 401);
}
