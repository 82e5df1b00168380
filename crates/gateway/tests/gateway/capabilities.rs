//! What a connector can do, and how well a model is told of it.

use claviger_testkit::on_both_engines;
use serde_json::json;

use crate::world::World;

on_both_engines!(capabilities_tell_tools_formats_and_readiness, async |app| {
    let world = World::of(app).await;
    let query = "?methods=get&tags=projects&name_style=short&schema_profile=openai_strict";
    let of_account = world
        .get(&world.path(&format!("/capabilities{query}")))
        .await;
    let of_account = of_account.expect(200);
    let of_connector = world
        .get(&format!("/integration/theauthapi/capabilities{query}"))
        .await;
    assert_eq!(of_connector.expect(200), of_account);
    assert_eq!(of_account["result"].as_array().unwrap().len(), 1);
    let tool = &of_account["result"][0];
    assert_eq!(tool["name"], "projects_get");
    assert_eq!(tool["input_schema"]["additionalProperties"], false);
    assert_eq!(of_account["authentication_formats"], json!(["api_key"]));
    assert_eq!(
        of_account["ai_readiness"],
        json!({
            "proxy_methods": 57, "proxy_methods_with_descriptions": 57, "ai_ready_score": 100,
        })
    );
    for bad in ["methods=", "name_style=tiny", "schema_profile=x"] {
        let answer = world
            .get(&world.path(&format!("/capabilities?{bad}")))
            .await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    let unknown = world.get("/integration/none/capabilities").await;
    assert_eq!(unknown.expect(404)["code"], "connector_not_found");
});
