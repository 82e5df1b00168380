//! Two programs over one PostgreSQL: calls go through one from memory, and changes are made at the other.

use std::time::Duration;

use claviger_domain::role::Role;
use claviger_testkit::{Engine, MadeAccessKey, PUBLIC_HOST, TestApp};
use claviger_verify::Bounds;
use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::shop::Shop;
use crate::world::{call_message, outcome};

/// Bounds in seconds of a clock that stands still.
const BOUNDS: Bounds = Bounds {
    staleness: Duration::from_secs(10),
    away: Duration::from_mins(1),
};

/// What a call reads: the tables of which none is asked where it comes from memory.
const READ: [&str; 5] = [
    "mcp_servers",
    "connected_accounts",
    "connectors",
    "access_keys",
    "role_assignments",
];

/// A shop, whose changes are made at one program, and another through which calls go.
struct Pair {
    near: Shop,
    far: TestApp,
    connected: String,
    maker: MadeAccessKey,
    server: String,
    token: String,
}

impl Pair {
    async fn new() -> Self {
        let near = Shop::open(Engine::Postgres).await;
        let far = near.world.app.beside().await;
        let following = far.core.verifier.follow(BOUNDS).await;
        following.expect("the database is there");
        let connected = near.keyed().await;
        let (world, path) = (&near.world, format!("/integrated-account/{connected}/mcp"));
        let maker = world
            .access_key(&world.account, Role::Developer, None)
            .await;
        let body = json!({ "name": "Agent" });
        let made = world.ask(&maker.plain, Method::POST, &path, body).await;
        let made = made.expect(201);
        let text = |member: &str| made[member].as_str().expect("a text").to_owned();
        Self {
            server: text("id"),
            token: text("token"),
            near,
            far,
            connected,
            maker,
        }
    }

    async fn hear(&self) {
        let heard = self.far.core.verifier.hear().await;
        heard.expect("the database is there");
    }

    /// Calls a tool through the other program; whether that is let in.
    async fn calls(&self) -> bool {
        let path = format!("/mcp/{}", self.token);
        let request = self.far.request("POST", &path).header("host", PUBLIC_HOST);
        let message = call_message("get_single_tea_order_by_id", &json!({ "id": "o1" }));
        let answer = request.body(message.to_string()).send().await;
        let is_let_in = answer.status == 200 && outcome(&answer.body).is_ok();
        assert!(is_let_in || answer.status == 401, "{}", answer.body);
        is_let_in
    }

    /// Changes something at the first program.
    async fn change(&self, method: Method, path: &str, body: Value) {
        let changed = self.near.owner(method, path, body).await;
        assert!(changed.status.is_success(), "{}", changed.body);
    }

    fn account(&self) -> String {
        format!("/integrated-account/{}", self.connected)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_from_memory_asks_the_database_nothing() {
    let pair = Pair::new().await;
    assert!(pair.calls().await);
    let mut held = Vec::new();
    for table in READ {
        held.push(pair.near.world.app.hold_table(table).await);
    }
    let before = pair.near.upstream.received().len();
    for _ in 0..3 {
        assert!(pair.calls().await);
    }
    assert_eq!(pair.near.upstream.received().len(), before + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_calls_after_a_start_all_go_through_however_many_come_at_once() {
    let pair = Pair::new().await;
    // Nothing is compiled here yet: they all find that out at once.
    let first = join_all((0..16).map(|_| pair.calls())).await;
    assert_eq!(first, [true; 16]);
    assert!(pair.calls().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_a_server_elsewhere_ends_it_here_once_it_is_heard() {
    for way in 0..4 {
        let pair = Pair::new().await;
        assert!(pair.calls().await);
        let of_server = format!("{}/mcp/{}", pair.account(), pair.server);
        let of_maker = format!("/access-keys/{}", pair.maker.id);
        let (method, path, body) = match way {
            0 => (Method::DELETE, of_server, Value::Null),
            1 => (Method::PATCH, of_maker, json!({ "isActive": false })),
            2 => (Method::DELETE, of_maker, Value::Null),
            _ => (Method::DELETE, pair.account(), Value::Null),
        };
        pair.change(method, &path, body).await;
        pair.hear().await;
        let before = pair.near.upstream.received().len();
        assert!(!pair.calls().await, "{way}");
        assert_eq!(pair.near.upstream.received().len(), before, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_were_changed_elsewhere_are_sent_once_that_is_heard() {
    let pair = Pair::new().await;
    assert!(pair.calls().await);
    let path = format!("{}/credentials", pair.account());
    let body = json!({ "credentials": { "key": "of-later" } });
    pair.change(Method::PATCH, &path, body).await;
    pair.hear().await;
    assert!(pair.calls().await);
    let received = pair.near.upstream.received();
    let carried = received.last().unwrap().header("x-tea-key");
    assert_eq!(carried, "of-later");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_hears_nothing_for_longer_than_its_bound_lets_nobody_in_from_memory() {
    let pair = Pair::new().await;
    assert!(pair.calls().await);
    let path = format!("{}/mcp/{}", pair.account(), pair.server);
    pair.change(Method::DELETE, &path, Value::Null).await;
    pair.far.advance(11);
    assert!(!pair.calls().await);
}
