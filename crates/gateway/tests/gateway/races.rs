//! Calls beside changes: what a call was let in by, and the credential that it carries, are kept in memory,
//! and no call that starts after a change returned has what was before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use claviger_domain::role::Role;
use claviger_testkit::on_both_engines;
use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::shop::{CANARY, Shop, answer, in_both_shops};
use crate::world::{World, call_message, outcome};

const LIST: &str = "list_all_the_auth_api_api_keys";
/// The ways in which a server, or what it is over, comes to its end.
const WAYS: usize = 6;
/// The one in which its maker, who is a person, is left with a lesser role.
const DEMOTION: usize = 1;
const TASKS: usize = 2 * WAYS;
const TRIES: usize = 3;
/// Who calls beside each change.
const WATCHERS: usize = 2;

/// More than these tests use up.
fn ample() -> Value {
    json!({ "calls_per_minute": 10_000_000, "calls_in_flight": 10_000 })
}

/// A server, and what there is of it that a change can end.
struct Exposed {
    connected: String,
    maker: String,
    server: String,
    token: String,
}

async fn expose(world: &World, way: usize) -> Exposed {
    let (id, credential) = if way % WAYS == DEMOTION {
        let person = world.app.person(&world.account, Role::Developer).await;
        (person.id.to_string(), person.access)
    } else {
        let key = world.access_key(&world.account, Role::Developer, None);
        let key = key.await;
        (key.id.to_string(), key.plain)
    };
    let connected = world.connect(&world.account, &world.owner).await;
    let body = json!({ "name": "Agent", "config": ample() });
    let path = format!("/integrated-account/{connected}/mcp");
    let request = world.app.request("POST", &path).bearer(&credential);
    let made = request.body(body.to_string()).send().await.expect(201);
    let text = |member: &str| made[member].as_str().unwrap().to_owned();
    Exposed {
        connected: connected.to_string(),
        maker: id,
        server: text("id"),
        token: text("token"),
    }
}

/// Ends a server in one of the ways there are.
async fn end(world: &World, exposed: &Exposed, way: usize) {
    let Exposed {
        connected,
        maker,
        server,
        ..
    } = exposed;
    let of_account = format!("/integrated-account/{connected}");
    let of_server = format!("{of_account}/mcp/{server}");
    let of_maker = format!("/access-keys/{maker}");
    let (method, path, body) = match way % WAYS {
        0 => (Method::DELETE, of_server, Value::Null),
        DEMOTION => (
            Method::PATCH,
            format!("/users/{maker}/roles"),
            json!({ "role": "viewer" }),
        ),
        2 => (Method::DELETE, of_maker, Value::Null),
        3 => (Method::DELETE, of_account, Value::Null),
        4 => (Method::PATCH, of_maker, json!({ "isActive": false })),
        _ => (
            Method::POST,
            format!("{of_server}/rotate-token"),
            Value::Null,
        ),
    };
    let ended = world.ask(&world.owner, method, &path, body).await;
    assert!(ended.status.is_success(), "{way}: {}", ended.body);
}

/// Whether a call goes through.
async fn passes(world: &World, token: &str) -> bool {
    let answer = world
        .post(token, &[], &call_message(LIST, &json!({})))
        .await;
    answer.status == 200 && outcome(&answer.body).is_ok()
}

on_both_engines!(
    no_call_that_starts_after_a_change_returned_is_let_in_by_what_was_before,
    async |app| {
        let world = Arc::new(World::of(app).await);
        let (passed, late) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let tasks = (0..TASKS).map(|task| {
            let world = Arc::clone(&world);
            let (passed, late) = (Arc::clone(&passed), Arc::clone(&late));
            tokio::spawn(async move {
                for attempt in 0..TRIES {
                    let way = task + attempt;
                    let exposed = Arc::new(expose(&world, way).await);
                    let (returned, stop) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
                    let watchers = (0..WATCHERS).map(|_| {
                        let (world, exposed) = (Arc::clone(&world), Arc::clone(&exposed));
                        let (returned, stop) = (Arc::clone(&returned), Arc::clone(&stop));
                        let (passed, late) = (Arc::clone(&passed), Arc::clone(&late));
                        tokio::spawn(async move {
                            while !stop.load(Ordering::SeqCst) {
                                let is_late = returned.load(Ordering::SeqCst);
                                let is_let_in = passes(&world, &exposed.token).await;
                                let count = if is_late { &late } else { &passed };
                                count.fetch_add(usize::from(is_let_in), Ordering::SeqCst);
                                tokio::task::yield_now().await;
                            }
                        })
                    });
                    let watchers: Vec<_> = watchers.collect();
                    if attempt % 2 == 0 {
                        // So that it is in memory; else the first look is under way.
                        assert!(passes(&world, &exposed.token).await);
                    }
                    end(&world, &exposed, way).await;
                    returned.store(true, Ordering::SeqCst);
                    for _ in 0..3 {
                        let is_let_in = passes(&world, &exposed.token).await;
                        late.fetch_add(usize::from(is_let_in), Ordering::SeqCst);
                    }
                    stop.store(true, Ordering::SeqCst);
                    for watcher in watchers {
                        watcher.await.unwrap();
                    }
                }
            })
        });
        for task in join_all(tasks).await {
            task.unwrap();
        }
        assert!(passed.load(Ordering::SeqCst) > 0);
        assert_eq!(late.load(Ordering::SeqCst), 0);
    }
);

in_both_shops!(
    no_call_that_starts_after_credentials_were_changed_carries_those_before,
    async |shop| {
        const ROUNDS: usize = 12;
        let connected = shop.keyed().await;
        let body = json!({ "name": "Agent", "config": ample() });
        let path = format!("/integrated-account/{connected}/mcp");
        let made = shop.owner(Method::POST, &path, body).await.expect(201);
        let token = made["token"].as_str().unwrap().to_owned();
        let shop = Arc::new(shop);
        let call = async |id: String| {
            let message = call_message("get_single_tea_order_by_id", &json!({ "id": id }));
            let answer = shop.world.post(&token, &[], &message).await.expect(200);
            outcome(&answer)
        };
        call("round-0".to_owned()).await.unwrap();
        let (reached, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let watch = async || {
            while !is_over.load(Ordering::SeqCst) {
                // The round whose credentials are there for certain.
                let least = reached.load(Ordering::SeqCst);
                // One that is under way when they change is not sent.
                if let Err(told) = call(format!("round-{least}")).await {
                    assert_eq!(told["code"], "connected_account_not_found");
                }
                tokio::task::yield_now().await;
            }
        };
        let change = async {
            for number in 1..=ROUNDS {
                let key = format!("{CANARY}-{number}");
                let body = json!({ "credentials": { "key": key } });
                let path = format!("/integrated-account/{connected}/credentials");
                shop.owner(Method::PATCH, &path, body).await.expect(200);
                reached.store(number, Ordering::SeqCst);
                call(format!("round-{number}")).await.unwrap();
            }
            is_over.store(true, Ordering::SeqCst);
        };
        tokio::join!(watch(), watch(), watch(), change);
        let mut counted = 0;
        for received in shop.upstream.received() {
            let Some((_, least)) = received.path.split_once("round-") else {
                continue;
            };
            let least: usize = least.parse().unwrap();
            let carried = received.header("x-tea-key");
            let number = carried
                .rsplit_once('-')
                .map_or(0, |(_, number)| number.parse::<usize>().unwrap_or(0));
            assert!(number >= least, "{carried} in a call of round {least}");
            counted += 1;
        }
        assert!(counted > ROUNDS);
    }
);

in_both_shops!(
    a_server_that_ends_while_a_token_is_fetched_makes_no_call,
    async |shop| {
        let orders = shop.orders().await;
        let account = format!("/integrated-account/{}", orders["id"].as_str().unwrap());
        let body = json!({ "name": "Agent" });
        let path = format!("{account}/mcp");
        let made = shop.owner(Method::POST, &path, body).await.expect(201);
        let token = made["token"].as_str().unwrap().to_owned();
        let path = format!("{path}/{}", made["id"].as_str().unwrap());
        let (fetching, mut is_fetching) = tokio::sync::mpsc::unbounded_channel();
        let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
        shop.says(move |received| {
            if received.path == "/oauth/token" {
                fetching.send(()).unwrap();
                tokio::task::block_in_place(|| may_go_on.recv().unwrap());
            }
            answer(
                200,
                &json!({ "access_token": "new", "token_type": "bearer", "orders": [] }),
            )
        });
        // The token of when it was connected has ended.
        shop.world.advance(4_000);
        let calls = |shop: &Shop| {
            let received = shop.upstream.received();
            received
                .iter()
                .filter(|one| one.path.starts_with("/v1/"))
                .count()
        };
        let before = calls(&shop);
        let message = call_message("list_all_orders_orders", &json!({}));
        let call = shop.world.post(&token, &[], &message);
        let end = async {
            is_fetching.recv().await.unwrap();
            let deleted = shop.owner(Method::DELETE, &path, Value::Null).await;
            assert!(deleted.status.is_success(), "{}", deleted.body);
            go_on.send(()).unwrap();
        };
        let (answer, ()) = tokio::join!(call, end);
        let told = outcome(&answer.expect(200)).unwrap_err();
        assert_eq!(told["statusCode"], 401, "{told}");
        assert_eq!(calls(&shop), before);
    }
);
