//! The protocol's official Rust client, over a socket, in each way that it opens a connection.

use claviger_domain::id::{self, Id};
use rmcp::RoleClient;
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::{Value, json};

use crate::world::World;

fn lifecycles() -> [ClientLifecycleMode; 3] {
    let current = || vec![ProtocolVersion::V_2026_07_28];
    [
        ClientLifecycleMode::Initialize,
        ClientLifecycleMode::Discover {
            preferred_versions: current(),
        },
        ClientLifecycleMode::Auto {
            preferred_versions: current(),
            legacy_version: None,
        },
    ]
}

async fn connect(
    base: &str,
    token: &str,
    lifecycle: ClientLifecycleMode,
) -> Result<RunningService<RoleClient, ()>, String> {
    // A process has one provider; that another test has chosen it already is no failure.
    drop(rustls::crypto::ring::default_provider().install_default());
    let transport = StreamableHttpClientTransport::from_uri(format!("{base}/mcp/{token}"));
    let connecting = ().serve_with_lifecycle(transport, lifecycle);
    connecting.await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_official_client_lists_and_calls_tools_however_it_opens() {
    let world = World::new().await;
    let (_, token) = world.server(json!({})).await;
    let base = world.listen().await;
    for lifecycle in lifecycles() {
        let client = connect(&base, &token, lifecycle.clone()).await.unwrap();
        let tools = client.list_all_tools().await.unwrap();
        assert_eq!(tools.len(), 57, "{lifecycle:?}");

        let name = "create_a_the_auth_api_api_key";
        let arguments = json!({ "name": "Ada" }).as_object().unwrap().clone();
        let call = CallToolRequestParams::new(name).with_arguments(arguments);
        let called = client.call_tool(call).await.unwrap();
        assert_ne!(called.is_error, Some(true));
        let envelope = called.structured_content.unwrap();
        let id = envelope["result"]["id"].as_str().unwrap();
        assert!(Id::<id::ApiKey>::parse(id).is_some());

        let wrong = client
            .call_tool(CallToolRequestParams::new("create_api_key"))
            .await
            .unwrap();
        assert_eq!(wrong.is_error, Some(true));
        client.cancel().await.unwrap();
    }
    let keys = world.get("/api-keys").await.body;
    assert_eq!(keys.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn the_official_client_is_refused_when_the_server_has_ended() {
    let world = World::new().await;
    let (id, token) = world.server(json!({})).await;
    let base = world.listen().await;
    let path = world.path(&format!("/mcp/{id}"));
    world
        .ask(&world.owner, http::Method::DELETE, &path, Value::Null)
        .await;
    for lifecycle in lifecycles() {
        assert!(connect(&base, &token, lifecycle).await.is_err());
    }
}
