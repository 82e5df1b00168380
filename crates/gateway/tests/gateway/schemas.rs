//! The schemas of tools are what the strictest client accepts.

use serde_json::{Map, Value, json};

use claviger_gateway::openapi::Document;
use claviger_gateway::profile::SchemaProfile;
use claviger_gateway::tool::Schemas;
use claviger_gateway::{Catalogue, Connector};

use crate::built_in::catalogue;

fn compile(methods: &str, paths: &Value) -> Result<Catalogue, String> {
    let text = format!(
        "slug: tea\nlabel: Tea\ntool_prefix: tea\nopenapi: tea.json\nbase_url: http://tea\n\
         resources:\n  pots:\n    singular: pot\n    methods:\n{methods}"
    );
    let document = json!({ "openapi": "3.1.0", "paths": paths });
    let connector = Connector::parse(&text).map_err(|faults| faults.to_string())?;
    let document = Document::parse(document.to_string().as_bytes()).unwrap();
    Catalogue::compile(&connector, &document).map_err(|faults| faults.to_string())
}

fn input(methods: &str, paths: &Value) -> Value {
    compile(methods, paths).unwrap().tools()[0]
        .schemas
        .input
        .clone()
}

fn operation(more: &Value) -> Value {
    let mut operation = json!({ "description": "Does it." });
    operation
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    operation
}

/// Every rule of the strictest client, at every depth.
pub(crate) fn assert_strict(schema: &Value, path: &str, strict_profile: bool) {
    let members = schema
        .as_object()
        .unwrap_or_else(|| panic!("{path}: {schema}"));
    let allowed = [
        "type",
        "description",
        "properties",
        "required",
        "items",
        "enum",
        "format",
        "pattern",
        "anyOf",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "additionalProperties",
    ];
    for name in members.keys() {
        assert!(allowed.contains(&name.as_str()), "{path}: {name}");
    }
    assert!(
        members.contains_key("type") || members.contains_key("anyOf"),
        "{path}"
    );
    if let Some(values) = members.get("enum") {
        assert!(
            values.as_array().unwrap().iter().all(Value::is_string),
            "{path}"
        );
    }
    let properties = members.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let path = format!("{path}.{name}");
        assert!((1..=64).contains(&name.len()), "{path}");
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)),
            "{path}"
        );
        assert!(
            property["description"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{path}"
        );
        if strict_profile {
            assert!(
                members["required"]
                    .as_array()
                    .unwrap()
                    .contains(&json!(name)),
                "{path}"
            );
            let nullable = property["type"]
                .as_array()
                .is_some_and(|k| k.contains(&json!("null")))
                || property["anyOf"]
                    .as_array()
                    .is_some_and(|k| k.contains(&json!({ "type": "null" })));
            assert!(nullable, "{path}");
        }
        assert_strict(property, &path, strict_profile);
    }
    if strict_profile && properties.is_some() {
        assert_eq!(members["additionalProperties"], false, "{path}");
    }
    if let Some(items) = members.get("items") {
        assert_strict(items, &format!("{path}[]"), strict_profile);
    }
}

#[test]
fn every_tool_of_the_built_in_connector_is_strict() {
    for tool in catalogue().tools() {
        let schema = &tool.schemas.input;
        assert_eq!(schema["type"], "object");
        assert!(schema.get("anyOf").is_none());
        assert_strict(schema, &tool.name, false);
        assert_strict(&SchemaProfile::OpenaiStrict.shape(schema), &tool.name, true);
    }
}

/// A schema as one line a property.
fn lines(tool: &str, schema: impl Fn(&Schemas) -> &Value) -> String {
    let catalogue = catalogue();
    let tool = catalogue
        .tools()
        .iter()
        .find(|known| known.name == tool)
        .unwrap();
    let schema = schema(&tool.schemas);
    let properties = schema["properties"].as_object().unwrap().iter();
    let properties = properties.map(|(name, property)| format!("{name}: {property}"));
    std::iter::once(format!("required: {}", schema["required"]))
        .chain(properties)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn create_api_key_in_full() {
    let schema = lines("create_a_the_auth_api_api_key", |schemas| &schemas.input);
    insta::assert_snapshot!(schema, @r#"
    required: ["name"]
    name: {"type":"string","description":"The key's name: 1 to 255 characters. Required when creating. Example: `Production key of Acme`."}
    projectId: {"type":["string","null"],"description":"The project that the key is made in: an id from listing projects. Not needed when the caller has one project only. A key cannot be moved later."}
    key: {"type":["string","null"],"description":"A key string of your own, 12 to 255 characters, where your customers have one already. Without it a key is generated."}
    customMetaData: {"type":["object","null"],"description":"Whatever you want to get back when the key is checked: any JSON, up to 16 KiB.","additionalProperties":true}
    customAccountId: {"type":["string","null"],"description":"Your own id of the customer that the key is for."}
    customUserId: {"type":["string","null"],"description":"Your own id of the user that the key is for."}
    rateLimitConfigs: {"type":["object","null"],"description":"How often the key may be used; null: without a limit.","properties":{"rateLimit":{"type":["integer","null"],"description":"Requests in a window, at least 1; null: without a limit. Example: `100`.","minimum":1},"rateLimitTtl":{"type":["integer","null"],"description":"Seconds in a window, 1 to 2678400; 60 when it is not given. Example: `60`.","minimum":1,"maximum":2678400}}}
    expiry: {"type":["string","null"],"format":"date-time","description":"When the key ends, such as `2034-11-04T17:16:00.000Z`; null: never. A past date is taken."}
    clientIP: {"type":["string","null"],"description":"The address that the key was asked for from, to be shown in `creationContext`."}
    clientUserAgent: {"type":["string","null"],"description":"The program that the key was asked for with, to be shown in `creationContext`."}
    allowedDomains: {"type":["array","null"],"description":"Locks the key to origins: host names, `*.example.com` for all below one. Checks must then tell the origin.","items":{"type":"string"}}
    allowedIps: {"type":["array","null"],"description":"Locks the key to networks: addresses or CIDR. Checks must then tell the address.","items":{"type":"string"}}
    scopes: {"type":["array","null"],"description":"Scopes that the key has, for checks that ask for some.","items":{"type":"string"}}
    quota: {"type":["object","null"],"description":"How much the key may be used in a day or a month; null: without a quota.","properties":{"limit":{"type":"integer","description":"Requests in a period, at least 1. Example: `10000`.","minimum":1},"period":{"type":"string","description":"The period, UTC.","enum":["day","month"]}},"required":["limit","period"]}
    "#);
}

#[test]
fn list_api_keys_in_full() {
    let schema = lines("list_all_the_auth_api_api_keys", |schemas| &schemas.query);
    insta::assert_snapshot!(schema, @r#"
    required: null
    projectId: {"type":"string","description":"Only keys of this project: an id from listing projects."}
    accountId: {"type":"string","description":"Only keys of this account: an id from listing accounts."}
    name: {"type":"string","description":"Only keys with this name, in any case."}
    customAccountId: {"type":"string","description":"Only keys of this customer of yours; `null` for keys of none."}
    customUserId: {"type":"string","description":"Only keys of this user of yours; `null` for keys of none."}
    isActive: {"type":"boolean","description":"Only keys that are switched on (`true`), or that are not (`false`)."}
    key: {"type":"string","description":"Only this key: its id, its reference, or the key itself."}
    limit: {"type":"integer","minimum":1,"maximum":1000,"description":"How many items to answer. Default: `50`."}
    next_cursor: {"type":"string","description":"The `next_cursor` of the previous answer, exactly as received, to go on from there with the same arguments. Leave it out for the first page."}
    "#);
}

#[test]
fn every_hint_is_given() {
    let hints: Map<String, Value> = catalogue()
        .tools()
        .iter()
        .map(|tool| {
            let hints = &tool.annotations;
            let told = [
                ("read-only", hints.read_only_hint),
                ("destructive", hints.destructive_hint),
                ("idempotent", hints.idempotent_hint),
                ("open world", hints.open_world_hint),
            ];
            let told: Vec<_> = told
                .iter()
                .filter(|(_, is)| *is)
                .map(|(word, _)| *word)
                .collect();
            (
                format!("{}.{}", tool.resource, tool.method),
                format!("{} ({})", hints.title, told.join(", ")).into(),
            )
        })
        .collect();
    insta::assert_json_snapshot!(hints, @r#"
    {
      "misc.list": "Tell what this service is (read-only, idempotent)",
      "access_keys.list": "List access keys (read-only, idempotent)",
      "access_keys.create": "Create an access key ()",
      "access_keys.update": "Change an access key (destructive, idempotent)",
      "access_keys.delete": "Deactivate an access key (destructive, idempotent)",
      "access_key_reactivate.update": "Reactivate an access key (idempotent)",
      "projects.list": "List projects (read-only, idempotent)",
      "projects.create": "Create a project ()",
      "projects.get": "Show a project (read-only, idempotent)",
      "projects.update": "Change a project (destructive, idempotent)",
      "projects.delete": "Delete a project (destructive, idempotent)",
      "accounts.list": "List accounts (read-only, idempotent)",
      "accounts.create": "Create an account ()",
      "accounts.get": "Show an account (read-only, idempotent)",
      "accounts.update": "Change an account (destructive, idempotent)",
      "accounts.delete": "Delete an account (destructive, idempotent)",
      "account_users.create": "Bring somebody into an account ()",
      "users.update": "Rename yourself (destructive, idempotent)",
      "user_roles.list": "List roles (read-only, idempotent)",
      "user_roles.update": "Give a user a role (destructive, idempotent)",
      "user_roles.delete": "Take a role away (destructive, idempotent)",
      "teammates.list": "List teammates (read-only, idempotent)",
      "invitations.list": "List invitations (read-only, idempotent)",
      "invitations.create": "Invite people ()",
      "invitations.get": "Show an invitation (read-only, idempotent)",
      "invitations.update": "Change an invitation (destructive, idempotent)",
      "invitations.delete": "Take an invitation back (destructive, idempotent)",
      "invitation_accept.create": "Accept an invitation ()",
      "invitation_info.list": "Show what an invitation is for (read-only, idempotent)",
      "auth_signup.create": "Sign up ()",
      "auth_login.create": "Sign in with a password ()",
      "auth_add_user_from_firebase.create": "Sign in with Firebase ()",
      "auth_email_otc.create": "Mail a code to sign in ()",
      "auth_validate_login_code.create": "Sign in with a mailed code ()",
      "auth_refresh_access_token.create": "Exchange a refresh token for new tokens ()",
      "webhooks.list": "List webhooks (read-only, idempotent)",
      "webhooks.create": "Create a webhook ()",
      "webhooks.get": "Show a webhook (read-only, idempotent)",
      "webhooks.update": "Change a webhook (destructive, idempotent)",
      "webhooks.delete": "Delete a webhook (destructive, idempotent)",
      "webhooks_ping.create": "Ping a webhook (open world)",
      "webhooks_topics.list": "List webhook topics (read-only, idempotent)",
      "notifications.list": "List notifications (read-only, idempotent)",
      "auth_authenticate.create": "Authenticate an API key, which counts ()",
      "api_keys.list": "List API keys (read-only, idempotent)",
      "api_keys.create": "Create an API key ()",
      "api_keys.list_2": "Look up an API key by id, reference or full key (read-only, idempotent)",
      "api_keys.update": "Change an API key (destructive, idempotent)",
      "api_keys.delete": "Revoke an API key (destructive, idempotent)",
      "api_keys.get": "Show an API key (read-only, idempotent)",
      "api_keys_auths.list": "Check a full API key without counting (read-only, idempotent)",
      "api_keys_auths.create": "Explain whether an API key would pass, from given circumstances (read-only, idempotent)",
      "api_keys_auths.get": "Explain whether an API key would pass (read-only, idempotent)",
      "api_key_reactivate.update": "Reactivate an API key (idempotent)",
      "api_key_rotate.create": "Rotate an API key (destructive)",
      "analytics_project_totals.list": "Count the checks of a project (read-only, idempotent)",
      "analytics_api_key_totals.list": "Count the checks of each key (read-only, idempotent)"
    }
    "#);
}

#[test]
fn one_name_in_path_query_and_body_stays_apart() {
    let schema = input(
        "      update: { http: 'PATCH /pots/{id}' }\n",
        &json!({ "/pots/{id}": { "patch": operation(&json!({
            "parameters": [
                { "name": "id", "in": "path" }, { "name": "id", "in": "query" },
                { "name": "name", "in": "query", "schema": { "type": "string" } }
            ],
            "requestBody": { "required": true, "content": { "application/json": { "schema": {
                "type": "object", "required": ["name"],
                "properties": { "id": { "type": "string" }, "name": { "type": "string" } } } } } }
        })) } }),
    );
    let names: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["id", "name", "id_body", "name_body"]);
    assert_eq!(schema["required"], json!(["id", "name_body"]));
}

#[test]
fn names_go_back_to_what_the_upstream_calls_them() {
    let catalogue = compile(
        "      create: { http: 'POST /pots' }\n",
        &json!({ "/pots": { "post": operation(&json!({
            "parameters": [{ "name": "filter[of]", "in": "query", "schema": { "type": "string" } }],
            "requestBody": { "content": { "application/json": { "schema": { "type": "object", "properties": {
                "colour scheme": { "type": "object", "properties": { "x y": { "type": "string" } } }
            } } } } }
        })) } }),
    )
    .unwrap();
    let tool = &catalogue.tools()[0];
    let given = json!({ "filter_of_": "a", "colour_scheme": { "x_y": "b" } });
    let checked = tool
        .checked(given.as_object().unwrap().clone(), SchemaProfile::Default)
        .unwrap();
    let sent = tool.request(&checked).unwrap();
    assert_eq!(sent.path_and_query(), "/pots?filter%5Bof%5D=a");
    assert_eq!(sent.body, Some(json!({ "colour scheme": { "x y": "b" } })));
}

#[test]
fn a_body_that_is_no_object_is_one_property() {
    for body in [
        json!({ "type": "array", "items": { "type": "string" } }),
        json!({ "type": "string" }),
    ] {
        let catalogue = compile(
            "      create: { http: 'POST /pots' }\n",
            &json!({ "/pots": { "post": operation(&json!({
                "requestBody": { "required": true, "content": { "application/json": { "schema": body } } }
            })) } }),
        )
        .unwrap();
        let tool = &catalogue.tools()[0];
        assert_eq!(tool.required, ["body"]);
        let given = if body["type"] == "array" {
            json!(["a"])
        } else {
            json!("a")
        };
        let arguments = Map::from_iter([("body".to_owned(), given.clone())]);
        assert_eq!(tool.request(&arguments).unwrap().body, Some(given));
    }
}

#[test]
fn parameters_before_the_last_are_required_properties() {
    let schema = input(
        "      get: { http: 'GET /shelves/{shelfId}/pots/{potId}' }\n",
        &json!({ "/shelves/{shelf}/pots/{pot}": { "get": operation(&json!({})) } }),
    );
    assert_eq!(schema["required"], json!(["shelfId", "id"]));
}

#[test]
fn a_vague_text_whose_values_are_known_is_an_enumeration() {
    let schema = input(
        "      list: { http: 'GET /pots', query: { size: { values: [small, large] } } }\n",
        &json!({ "/pots": { "get": operation(&json!({
            "parameters": [{ "name": "size", "in": "query", "schema": { "type": "string" } }]
        })) } }),
    );
    assert_eq!(
        schema["properties"]["size"]["enum"],
        json!(["small", "large"])
    );
}

#[test]
fn an_operation_without_words_is_no_tool() {
    let catalogue = compile(
        "      list: { http: 'GET /pots' }\n",
        &json!({ "/pots": { "get": { "operationId": "pots" } } }),
    )
    .unwrap();
    assert!(catalogue.tools().is_empty());
    assert_eq!(catalogue.left_out()[0].reason, "it has no description");
}

#[test]
fn what_the_file_says_of_arguments_that_are_not_there_is_a_fault() {
    let paths = || json!({ "/pots": { "get": operation(&json!({})) } });
    let fault = |members: &str| {
        compile(
            &format!("      list: {{ http: 'GET /pots', {members} }}\n"),
            &paths(),
        )
        .unwrap_err()
    };
    assert!(fault("required: [size]").contains("`required` names `size`"));
    assert!(fault("query: { size: { description: x } }").contains("`query` names `size`"));
    assert!(fault("body: { size: { description: x } }").contains("`body` names `size`"));
    assert!(fault("accepts_sealed: [size]").contains("`accepts_sealed` names `size`"));
}

#[test]
fn two_tools_of_one_name_are_a_fault() {
    let two = "      list: { http: 'GET /pots' }\n  pot_s:\n    methods:\n      list: { http: 'GET /pots' }\n";
    let paths = json!({ "/pots": { "get": operation(&json!({})) } });
    assert!(compile(two, &paths).is_ok());
    let same = "      a_b: { http: 'GET /pots' }\n  pots_a:\n    methods:\n      b: { http: 'GET /pots' }\n";
    let fault = compile(same, &paths).unwrap_err();
    assert!(fault.contains("are both named `tea_pots_a_b`"), "{fault}");
}
