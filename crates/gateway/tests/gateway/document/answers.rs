//! Operations asked in every way, and what they answer held against the document.

use std::collections::BTreeSet;

use claviger_domain::permission::Permission;
use claviger_domain::role::Role;
use http::Method;
use serde_json::{Value, json};

use super::{DOCUMENT, described, fault, resolved};
use crate::operations::{Kind, OPERATIONS, Objects, Operation};
use crate::shop::{Shop, in_both_shops};

// Every role on every operation, and each answer as the document says.
in_both_shops!(every_role_on_every_operation, async |shop| {
    let world = &shop.world;
    let (mut faults, mut number) = (Vec::new(), 0);
    for role in Role::ALL {
        let key = world.access_key(&world.account, role, None).await.plain;
        for one in OPERATIONS {
            let Some(permission) = one.permission else {
                continue;
            };
            number += 1;
            let may_make = role.permissions().contains(Permission::McpWrite);
            let maker = if may_make { &key } else { &world.owner };
            let objects = Objects::made_by(&shop, number, maker).await;
            let answer = one.request(&world.app, &objects).key(&key).send().await;
            let expected = match role {
                role if role.permissions().contains(permission) => one.success,
                Role::Verifier => 404,
                _ => 403,
            };
            if answer.status != expected {
                let told = &answer.body;
                faults.push(format!(
                    "{role:?} {}: {} and not {expected}: {told}",
                    one.id, answer.status
                ));
            }
            faults.extend(fault(one, &answer));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
});

in_both_shops!(no_operation_is_there_without_a_credential, async |shop| {
    let objects = Objects::of(&shop, 0).await;
    for one in OPERATIONS {
        let answer = one.request(&shop.world.app, &objects).send().await;
        let expected = if one.permission.is_some() {
            401
        } else {
            one.success
        };
        assert_eq!(answer.status, expected, "{}: {}", one.id, answer.body);
        assert_eq!(fault(one, &answer), None);
    }
});

// Every operation on objects of another account, and each answer as that on objects that there are not.
in_both_shops!(
    an_object_of_another_account_is_as_an_unknown_one,
    async |shop| {
        let world = &shop.world;
        let (other, _) = world.account("Other").await;
        let stranger = world.access_key(&other, Role::Owner, None).await.plain;
        let theirs = Objects::of(&shop, 0).await;
        let unknown = Objects {
            connector: "none".to_owned(),
            unused: "none-either".to_owned(),
            connected: "cac_00000000000000000000".to_owned(),
            server: "mcp_00000000000000000000".to_owned(),
            link: "lnk_00000000000000000000".to_owned(),
            another_connector: Value::Null,
            ..Objects::of(&shop, 1).await
        };
        let has_objects = |one: &&Operation| matches!(one.kind, Kind::List | Kind::Object);
        for one in OPERATIONS.iter().filter(has_objects) {
            let mut bodies = Vec::new();
            for objects in [&theirs, &unknown] {
                let answer = one.request(&world.app, objects).key(&stranger).send().await;
                let expected = if one.kind == Kind::List {
                    one.success
                } else {
                    404
                };
                assert_eq!(answer.status, expected, "{}: {}", one.id, answer.body);
                assert_eq!(fault(one, &answer), None);
                let mut body = answer.body;
                body["requestId"] = Value::Null;
                let told = body.to_string();
                for secret in [
                    &theirs.connected,
                    &theirs.server,
                    &theirs.link,
                    &theirs.connector,
                ] {
                    assert!(!told.contains(secret.as_str()), "{}: {told}", one.id);
                }
                bodies.push(body);
            }
            assert_eq!(bodies[0], bodies[1], "{}", one.id);
        }
        for id in ["showConnectedAccount", "showMcpServer", "showConnector"] {
            let one = OPERATIONS.iter().find(|one| one.id == id).unwrap();
            let answer = one
                .request(&world.app, &theirs)
                .key(&world.owner)
                .send()
                .await;
            assert_eq!(answer.status, 200, "{id}");
        }
    }
);

/// Where a request takes the name of an account or a project, as the document says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TakenIn {
    Body,
    Query,
}

/// By which names an operation takes an account or a project.
fn places_of(one: &Operation) -> Vec<(&'static str, TakenIn)> {
    let said = described(one.path, one.method);
    let body = resolved(&said["requestBody"]["content"]["application/json"]["schema"]);
    let parameters = said["parameters"].as_array();
    let names = ["account_id", "project_id"].into_iter();
    let taken = names.filter_map(|name| {
        let mut parameters = parameters.into_iter().flatten();
        if parameters.any(|one| one["name"] == name && one["in"] == "query") {
            return Some((name, TakenIn::Query));
        }
        let is_member = body["properties"][name].is_object();
        is_member.then_some((name, TakenIn::Body))
    });
    taken.collect()
}

// Every operation that is about an account or a project that can be named.
in_both_shops!(
    an_account_or_a_project_of_another_tenant_is_as_an_unknown_one,
    async |shop| {
        let world = &shop.world;
        let (other, project) = world.account("Other").await;
        let theirs = [other.id.to_string(), project.id.to_string()];
        let own = [world.account.id.to_string(), world.project.id.to_string()];
        let unknown = ["acc_00000000000000000000", "prj_00000000000000000000"];
        let mut tried = 0;
        for one in OPERATIONS {
            let places = places_of(one);
            match one.kind {
                Kind::Plain => assert!(places.is_empty(), "{}", one.id),
                Kind::Placed => assert!(!places.is_empty(), "{}", one.id),
                // Its objects are another tenant's already.
                Kind::List | Kind::Object => continue,
            }
            for (name, taken_in) in places {
                tried += 1;
                let objects = Objects::of(&shop, tried).await;
                let ask = async |place: &str| {
                    let request = if taken_in == TakenIn::Query {
                        one.request_with(&world.app, &objects, Some((name, place)))
                    } else {
                        let mut body = (one.body)(&objects);
                        body[name] = place.into();
                        one.request(&world.app, &objects).json(body)
                    };
                    let answer = request.key(&world.owner).send().await;
                    assert_eq!(fault(one, &answer), None);
                    answer
                };
                let which = usize::from(name == "project_id");
                let code = ["account_not_found", "project_not_found"][which];
                let mut bodies = Vec::new();
                for place in [&*theirs[which], unknown[which]] {
                    let mut refused = ask(place).await.expect(404);
                    assert_eq!(refused["code"], code, "{}: {refused}", one.id);
                    refused["requestId"] = Value::Null;
                    bodies.push(refused);
                }
                assert_eq!(bodies[0], bodies[1], "{}", one.id);
                let answer = ask(&own[which]).await;
                assert_eq!(answer.status, one.success, "{}: {}", one.id, answer.body);
            }
        }
        // Two that take both, and three that take an account.
        assert_eq!(tried, 7);
    }
);

/// What a refusal of a member that is not known says of those that are.
fn known(refused: &Value) -> BTreeSet<&str> {
    assert_eq!(refused["code"], "unknown_member", "{refused}");
    let message = refused["details"][0]["message"].as_str().unwrap();
    let (_, list) = message.split_once("(known: ").unwrap();
    list.split('`').skip(1).step_by(2).collect()
}

fn members(schema: &str) -> BTreeSet<&'static str> {
    let schema = &DOCUMENT["components"]["schemas"][schema];
    assert_eq!(schema["additionalProperties"], false, "{schema}");
    schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn bodies_have_the_members_that_the_document_names_and_no_others() {
    let shop = Shop::open(claviger_testkit::Engine::of_this_run()).await;
    let objects = Objects::of(&shop, 0).await;
    let send = async |one: &Operation, body: Value| {
        let request = one
            .request(&shop.world.app, &objects)
            .key(&shop.world.owner);
        request.json(body).send().await.expect(400)
    };
    for one in OPERATIONS {
        let body = &described(one.path, one.method)["requestBody"]["content"]["application/json"];
        let name = body["schema"]["$ref"]
            .as_str()
            .and_then(|name| name.rsplit('/').next());
        let is_read_here = !one.path.starts_with("/mcp") && !one.id.ends_with("Connector");
        let Some(name) = name.filter(|_| is_read_here) else {
            continue;
        };
        let refused = send(one, json!({ "not-a-member": 1 })).await;
        assert_eq!(known(&refused), members(name), "{}", one.id);
    }
    let of = |id: &str| OPERATIONS.iter().find(|one| one.id == id).unwrap();
    for id in ["createMcpServer", "updateMcpServer"] {
        let refused = send(of(id), json!({ "config": { "not-a-member": 1 } })).await;
        assert_eq!(known(&refused), members("McpServerConfigInput"), "{id}");
    }
    for (place, schema) in [
        (json!({ "not-a-member": 1 }), "ConnectedAccountOverride"),
        (
            json!({ "resources": { "orders": { "not-a-member": 1 } } }),
            "OverrideOfResource",
        ),
        (
            json!({ "resources": { "orders": { "methods": { "list": { "not-a-member": 1 } } } } }),
            "OverrideOfMethod",
        ),
    ] {
        let refused = send(of("updateConnectedAccount"), json!({ "override": place })).await;
        assert_eq!(known(&refused), members(schema), "{schema}");
    }
}

// What each member may be, by bodies that have them all.
in_both_shops!(
    answers_with_everything_in_them_are_as_the_document_says,
    async |shop| {
        let objects = Objects::of(&shop, 0).await;
        let of = |id: &str| OPERATIONS.iter().find(|one| one.id == id).unwrap();
        let account = shop.world.account.id.to_string();
        let said = json!({ "resources": { "orders": { "methods": {
        "list": { "description": "Lists what was ordered", "hidden": false },
        "get": { "map": { "number": "id" } },
    } } } });
        for (id, body) in [
            (
                "updateConnectedAccount",
                json!({ "tenant_id": "x", "override": said }),
            ),
            (
                "changeCredentials",
                json!({ "authentication_method": "api_key", "credentials": { "key": "x" } }),
            ),
            (
                "createMcpServer",
                json!({
                    "name": "All", "expires_at": "2030-01-02T00:00:00Z", "config": {
                        "methods": ["read"], "require_api_token_auth": true, "tool_exposure": "discovery",
                        "name_style": "short", "schema_profile": "openai_strict", "secrets": "seal",
                        "calls_per_minute": 9, "calls_in_flight": 2, "result_kib": 64,
                    },
                }),
            ),
            (
                "setLinkSettings",
                json!({
                    "account_id": account, "redirect_uris": ["https://app.example.com/done"],
                    "origins": ["https://app.example.com"],
                }),
            ),
            (
                "createLink",
                json!({
                    "tenant_id": "x", "integration": objects.connector, "account_id": account,
                    "redirect_uri": "https://app.example.com/done", "scopes": ["orders.read"],
                    "expires_at": "2030-01-01T00:10:00Z", "project_id": shop.world.project.id,
                }),
            ),
            (
                "createLink",
                json!({ "integrated_account_id": objects.connected }),
            ),
        ] {
            let one = of(id);
            let request = &described(one.path, one.method)["requestBody"]["content"];
            let mut schema = request["application/json"]["schema"].clone();
            schema["components"] = DOCUMENT["components"].clone();
            let validator = jsonschema::validator_for(&schema).unwrap();
            let faults: Vec<_> = validator
                .iter_errors(&body)
                .map(|it| it.to_string())
                .collect();
            assert!(faults.is_empty(), "{id}: {faults:?}");
            let request = one
                .request(&shop.world.app, &objects)
                .key(&shop.world.owner);
            let answer = request.json(body).send().await;
            assert_eq!(answer.status, one.success, "{id}: {}", answer.body);
            assert_eq!(fault(one, &answer), None);
        }
        // A dry run, a page, a failure of the upstream, what is no JSON, and a log with all of it.
        let ask = async |id: &str, rest: &str, status: u16| {
            let one = of(id);
            let path = one
                .path
                .replace("{resource}", "orders")
                .replace("{id}", &objects.connected);
            let path = path
                .replace("{path}", "orders")
                .replace("{server}", &objects.server);
            let sign = if rest.is_empty() { "" } else { "?" };
            let path = format!("{path}{sign}{rest}");
            let method = Method::from_bytes(one.method.as_bytes()).unwrap();
            let answer = shop.owner(method, &path, Value::Null).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
            assert_eq!(fault(one, &answer), None);
        };
        let with = format!("integrated_account_id={}", objects.connected);
        ask("callList", &format!("{with}&dry_run=true"), 200).await;
        ask("callList", &format!("{with}&limit=1"), 200).await;
        ask("callList", &format!("{with}&misspelt=1"), 400).await;
        ask("callList", "", 400).await;
        ask(
            "listTools",
            "schema_profile=openai_strict&name_style=short&methods=read",
            200,
        )
        .await;
        ask("listTools", "methods=misspelt", 400).await;
        ask("showClientConfig", "client=vscode", 200).await;
        ask("showClientConfig", "client=misspelt", 400).await;
        shop.says(|_| crate::shop::answer(418, &json!({ "message": "a teapot" })));
        ask("callList", &with, 418).await;
        ask("callUpstreamGet", &with, 418).await;
        shop.says(|_| crate::shop::content_type("image/png", "not JSON"));
        ask("callGet", &with, 200).await;
        ask("listCalls", "limit=2&log_type=proxy", 200).await;
        ask("listCalls", "status=misspelt", 400).await;
    }
);
