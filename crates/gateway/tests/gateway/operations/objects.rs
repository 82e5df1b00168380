//! The objects of a tenant that operations are asked about.

use http::Method;
use serde_json::{Value, json};

use crate::shop::Shop;

/// What a foreign tenant's objects come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is about the secret that it is asked with.
    Plain,
    /// It is about an account or a project, its caller's own unless another is named: 404 for one of another
    /// tenant.
    Placed,
    /// It answers a list, without them.
    List,
    /// It answers 404.
    Object,
}

/// Objects of the shop's account, made anew for each call, so that no call meets what another left.
pub(crate) struct Objects {
    /// A connector of the account with every way to be connected, and one that nobody uses.
    pub(crate) connector: String,
    pub(crate) unused: String,
    /// A connector to be brought.
    pub(crate) another_connector: Value,
    /// Where the API is that they are of.
    pub(crate) host: String,
    pub(crate) connected: String,
    pub(crate) server: String,
    pub(crate) token: String,
    pub(crate) link: String,
}

impl Objects {
    pub(crate) async fn of(shop: &Shop, number: usize) -> Self {
        Self::made_by(shop, number, &shop.world.owner).await
    }

    /// The same with an MCP server that whoever holds the key made: who holds less changes none.
    pub(crate) async fn made_by(shop: &Shop, number: usize, maker: &str) -> Self {
        let (connector, unused) = (format!("cups-{}", number % 10), "saucers".to_owned());
        for slug in [&connector, &unused] {
            let brought = shop.owner(Method::POST, "/integration", cups(slug)).await;
            assert!(
                matches!(brought.status.as_u16(), 201 | 409),
                "{}",
                brought.body
            );
        }
        let client = format!("/integration/{connector}/oauth-client");
        let entered = json!({ "client_id": "cups" });
        shop.owner(Method::PUT, &client, entered).await.expect(200);
        let made =
            async |path: &str, body: Value| shop.owner(Method::POST, path, body).await.expect(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let connected = made(
            "/integrated-account",
            json!({
                "integration": connector, "tenant_id": "t", "authentication_method": "api_key",
                "context": { "host": shop.host() }, "credentials": { "key": "of-cups" },
            }),
        );
        let connected = text(&connected.await["id"]);
        let path = format!("/integrated-account/{connected}/mcp");
        let server = json!({ "name": "Agent" });
        let server = shop.world.ask(maker, Method::POST, &path, server).await;
        let server = server.expect(201);
        let link = made("/link-token", json!({ "tenant_id": "customer" })).await;
        Self {
            another_connector: cups(&format!("made-{number}")),
            host: shop.host().to_owned(),
            server: text(&server["id"]),
            token: text(&server["token"]),
            link: text(&link["id"]),
            connector,
            unused,
            connected,
        }
    }
}

fn cups(slug: &str) -> Value {
    let mut body = Shop::tea_file();
    body["slug"] = slug.into();
    body["credentials"]["oauth2"] = json!({
        "authorization_url": "https://auth.example.com/authorize",
        "token_url": "https://auth.example.com/token", "scopes": ["orders.read"],
    });
    body["resources"]["orders"]["methods"] = json!({
        "list": { "http": "GET /orders" },
        "get": { "http": "GET /orders/{id}" },
        "create": { "http": "POST /orders" },
        "update": { "http": "PATCH /orders/{id}" },
        "delete": { "http": "DELETE /orders/{id}" },
        "refund": { "http": "POST /orders/{id}/refunds" },
    });
    body
}
