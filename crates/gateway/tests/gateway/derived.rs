//! Tools of connectors whose file names no resources: they follow from the document alone.

use std::collections::HashSet;

use claviger_gateway::openapi::{Bounds, Document};
use claviger_gateway::profile::SchemaProfile;
use claviger_gateway::{Catalogue, Connector};
use serde_json::{Value, json};

use crate::schemas::assert_strict;

const FILE: &str = "slug: tea\nlabel: Tea\ntool_prefix: tea\nopenapi: tea.json\n\
    base_url: https://tea.example\n";

fn derived(document: &Value) -> Catalogue {
    let document = Document::parse(document.to_string().as_bytes()).unwrap();
    Catalogue::compile(&Connector::parse(FILE).unwrap(), &document).unwrap()
}

fn of_paths(paths: &Value) -> Catalogue {
    derived(&json!({ "openapi": "3.1.0", "paths": paths }))
}

/// A document whose one operation has that body.
fn of_body(schema: &Value) -> Catalogue {
    let content = json!({ "application/json": { "schema": schema } });
    of_paths(&json!({ "/pots": { "post": { "requestBody": { "content": content } } } }))
}

#[test]
fn an_operation_without_words_is_described_by_verb_and_path() {
    let catalogue = of_paths(&json!({ "/v1/pots": {
        "get": { "summary": "Lists" },
        "post": { "summary": "Makes", "description": "Makes a pot." },
        "delete": { "operationId": "clear" }
    } }));
    let told: Vec<_> = catalogue
        .tools()
        .iter()
        .map(|tool| format!("{}: {}", tool.name, tool.description))
        .collect();
    assert_eq!(
        told,
        [
            "list_all_tea_pots: Lists",
            "create_a_tea_pots: Makes a pot.",
            "tea_pots_clear: DELETE /v1/pots",
        ]
    );
}

#[test]
fn parameters_in_the_middle_are_required_and_the_last_is_the_id() {
    let catalogue = of_paths(&json!({ "/users/{user}/pots/{pot}": { "patch": {} } }));
    let tool = catalogue.tool("pots", "update").unwrap();
    assert_eq!(tool.required, ["user", "id"]);
}

#[test]
fn the_id_is_the_last_one_s_whatever_the_document_calls_those_above() {
    let user = "/orgs/{id}/users/{user_id}";
    let catalogue = of_paths(&json!({ user: { "delete": {}, "put": {} } }));
    for method in ["delete", "update"] {
        let tool = catalogue.tool("users", method).unwrap();
        assert_eq!(tool.required, ["orgs_id", "id"]);
        let arguments = json!({ "orgs_id": "o", "id": "u" });
        let request = tool.request(arguments.as_object().unwrap()).unwrap();
        assert_eq!(request.path, "/orgs/o/users/u");
    }
}

#[test]
fn a_parameter_that_has_the_name_of_what_is_above_is_not_lost() {
    let user = "/orgs/{id}/users/{user_id}";
    let parameter = |name: &str| json!({ "name": name, "in": "query", "required": true, "schema": { "type": "string" } });
    let parameters = json!([parameter("orgs_id"), parameter("id"), parameter("orgs_id")]);
    let catalogue = of_paths(&json!({ user: { "put": { "parameters": parameters } } }));
    let tool = catalogue.tool("users", "update").unwrap();
    assert_eq!(tool.required, ["orgs_id", "id", "orgs_id_2"]);
    let arguments = json!({ "orgs_id": "o", "id": "u", "orgs_id_2": "q" });
    let request = tool.request(arguments.as_object().unwrap()).unwrap();
    assert_eq!(request.path_and_query(), "/orgs/o/users/u?orgs_id=q");
    let rotate = format!("{user}/rotate");
    let catalogue = of_paths(&json!({ rotate: { "put": { "operationId": "rotate" } } }));
    let tool = &catalogue.tools()[0];
    assert_eq!(tool.required, ["id", "user_id"], "as the document has them");
}

#[test]
fn what_is_always_in_the_query_of_a_path_stays_there() {
    let leaf = json!({ "name": "leaf", "in": "query", "schema": { "type": "string" } });
    let kind =
        json!({ "name": "Kind", "in": "query", "required": true, "schema": { "type": "string" } });
    let catalogue = of_paths(&json!({
        "/pots?kind=tea%20pot": { "post": { "parameters": [leaf, kind] } },
        "/pots?of={user}": { "post": {} },
        "/pots#other": { "post": {} },
    }));
    let [tool] = catalogue.tools() else {
        panic!("one is a tool: {:?}", catalogue.tools());
    };
    let arguments = json!({ "leaf": "green" });
    let request = tool.request(arguments.as_object().unwrap()).unwrap();
    assert_eq!(request.path_and_query(), "/pots?leaf=green&kind=tea%20pot");
    let names = tool.schemas.input["properties"].as_object().unwrap();
    assert_eq!(names.keys().collect::<Vec<_>>(), ["leaf"]);
}

#[test]
fn what_an_argument_brings_along_is_no_credential_page_or_other_parameter() {
    let file = format!(
        "{FILE}credentials: {{ api_key: {{ authorization: {{ query: {{ name: token, \
         value: \"{{{{credentials.api_key}}}}\" }} }} }} }}\nquery: {{ version: \"2\" }}\n\
         pagination: {{ style: page, page: \"page[number]\", limit: size }}\n"
    );
    let parameter =
        |name: &str, kind: &str| json!({ "name": name, "in": "query", "schema": { "type": kind } });
    let mut deep = parameter("page", "object");
    deep["style"] = json!("deepObject");
    let parameters = json!([
        parameter("filter", "object"),
        parameter("leaf", "string"),
        parameter("token", "string"),
        parameter("version", "string"),
        deep,
    ]);
    let paths = json!({ "/pots": { "get": { "summary": "Lists", "parameters": parameters } } });
    let document = json!({ "openapi": "3.1.0", "paths": paths }).to_string();
    let document = Document::parse(document.as_bytes()).unwrap();
    let catalogue = Catalogue::compile(&Connector::parse(&file).unwrap(), &document).unwrap();
    let tool = catalogue.tool("pots", "list").unwrap();
    let names = tool.schemas.input["properties"].as_object().unwrap();
    let names: Vec<_> = names.keys().collect();
    assert_eq!(names, ["filter", "leaf", "page", "limit", "next_cursor"]);
    let ask_of = |argument: &str, member: &str| {
        let arguments = json!({ argument: { member: "x" } });
        let request = tool.request(arguments.as_object().unwrap());
        request.map(|request| request.path_and_query())
    };
    let ask = |member: &str| ask_of("filter", member);
    for taken in [
        "token",
        "version",
        "page",
        "size",
        "leaf",
        "Token",
        "version[]",
        "page[number]",
        "Leaf",
    ] {
        assert!(ask(taken).is_err(), "{taken}");
    }
    assert!(ask_of("page", "number").is_err());
    assert_eq!(
        ask_of("page", "colour").unwrap(),
        "/pots?page%5Bcolour%5D=x"
    );
    assert_eq!(ask("colour").unwrap(), "/pots?colour=x");
}

#[test]
fn what_is_said_in_parts_alone_makes_no_tool_that_could_say_nothing() {
    let of = |kind: &str| json!({ "requestBody": { "content": { kind: { "schema": { "type": "object" } } } } });
    let catalogue = of_paths(&json!({
        "/pots": { "post": of("multipart/form-data") },
        "/lids": { "post": of("text/csv") },
    }));
    let names: Vec<_> = catalogue
        .tools()
        .iter()
        .map(|tool| tool.name.as_str())
        .collect();
    assert_eq!(names, ["create_a_tea_lids"]);
    assert_eq!(catalogue.left_out()[0].operation, "POST /pots");
}

#[test]
fn a_form_is_written_as_the_document_says() {
    let schema = json!({ "type": "object", "required": ["leaf"], "properties": {
        "leaf": { "type": "string" },
        "cups": { "type": "array", "items": { "type": "integer" } },
        "with": { "type": "array", "items": { "type": "string" } },
        "meta": { "type": "object", "properties": { "a b": { "type": "string" } } },
        "lines": { "type": "array", "items": { "type": "object" } },
        "raw": { "type": "object" },
    } });
    let deep = json!({ "style": "deepObject", "explode": true });
    let encoding =
        json!({ "meta": deep, "lines": deep, "with": { "style": "form", "explode": false } });
    let form = json!({ "schema": schema, "encoding": encoding });
    let body = json!({ "content": { "application/x-www-form-urlencoded": form } });
    let catalogue = of_paths(&json!({ "/pots": { "post": { "requestBody": body } } }));
    let tool = catalogue.tool("pots", "create").unwrap();
    let arguments = json!({
        "leaf": "a&b=ü", "cups": [1, 2], "with": ["x", "y"], "meta": { "a_b": "c d" },
        "lines": [{ "id": 7 }], "raw": { "z": null },
    });
    let request = tool.request(arguments.as_object().unwrap()).unwrap();
    let expected = "leaf=a%26b%3D%C3%BC&cups=1&cups=2&with=x%2Cy&meta%5Ba%20b%5D=c%20d&lines%5B0%5D%5Bid%5D=7\
        &raw=%7B%22z%22%3Anull%7D";
    assert_eq!(request.form.as_deref(), Some(expected));
    assert_eq!(
        request.body.unwrap()["meta"],
        json!({ "a b": "c d" }),
        "for templates"
    );
}

#[test]
fn two_derived_tools_of_one_name_stay_apart() {
    let paths = json!({
        "/a": { "patch": { "operationId": "b_c" } },
        "/a/b": { "patch": { "operationId": "c" } }
    });
    let (once, again) = (of_paths(&paths), of_paths(&paths));
    let names = |catalogue: &Catalogue| {
        let tools = catalogue.tools().iter();
        tools
            .flat_map(|tool| [tool.name.clone(), tool.short_name.clone()])
            .collect::<Vec<_>>()
    };
    let unique: HashSet<_> = names(&once).into_iter().collect();
    assert_eq!(unique.len(), 4, "{unique:?}");
    assert!(unique.iter().all(|name| name.len() <= 64), "{unique:?}");
    assert_eq!(
        names(&once),
        names(&again),
        "the same from one day to the next"
    );
}

#[test]
fn what_cannot_be_sent_is_left_out_with_the_reason() {
    let catalogue = of_paths(&json!({
        "/pots": { "post": { "requestBody": { "required": true, "content": { "text/plain": {} } } } },
        "pots": { "get": {} }
    }));
    let left_out: Vec<_> = catalogue
        .left_out()
        .iter()
        .map(|one| format!("{}: {}", one.operation, one.reason))
        .collect();
    assert_eq!(
        left_out,
        [
            "POST /pots: its body is neither JSON nor a URL-encoded form",
            "GET pots: its path is no path template",
        ]
    );
}

#[test]
fn schemas_that_are_large_in_any_way_make_small_tools() {
    let many = |count: usize, one: &dyn Fn(usize) -> Value| (0..count).map(one).collect::<Value>();
    let members = |count: usize, one: &dyn Fn(usize) -> Value| -> Value {
        let members = (0..count).map(|at| (format!("member {at}"), one(at)));
        Value::Object(members.collect())
    };
    let words = "words ".repeat(100_000);
    let part = json!({ "properties": members(5_000, &|_| json!({ "type": "string" })) });
    let of_member = |schema: Value| json!({ "type": "object", "properties": { "x": schema } });
    let cases = [
        of_member(json!({ "type": "string", "description": words })),
        of_member(
            json!({ "type": "string", "enum": many(100_000, &|at| json!(format!("v{at}"))) }),
        ),
        of_member(json!({ "type": "integer", "enum": many(100_000, &|at| json!(at)) })),
        of_member(
            json!({ "oneOf": many(50_000, &|at| json!({ "type": "array", "maxItems": at })) }),
        ),
        of_member(json!({ "allOf": many(50, &|_| part.clone()) })),
        of_member(json!({ "type": "string", "pattern": "a".repeat(100_000) })),
        json!({ "type": "object", "properties": members(900, &|at| {
            json!({ "type": "string", "pattern": format!("^[a-z]{{1,{}}}$", at + 1) })
        }) }),
        json!({ "type": "object", "properties": members(100_000, &|_| json!({ "type": "string" })) }),
    ];
    for (number, schema) in cases.iter().enumerate() {
        let catalogue = of_body(schema);
        let tool = &catalogue.tools()[0];
        let size = tool.schemas.input.to_string().len();
        assert!(size < 300_000, "case {number}: {size} bytes");
        for profile in [SchemaProfile::Default, SchemaProfile::OpenaiStrict] {
            let schema = profile.shape(&tool.schemas.input);
            assert_strict(&schema, &tool.name, profile == SchemaProfile::OpenaiStrict);
        }
    }
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let catalogue = derived(&json!({
        "openapi": "3.0.0",
        "paths": { "/pots": { "post": { "requestBody": { "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/Pot" }
        } } } } } },
        "components": { "schemas": {
            "Pot": { "type": "object", "properties": {
                "inside": { "$ref": "#/components/schemas/Pot" },
                "all": { "type": "array", "items": { "$ref": "#/components/schemas/Pot" } },
                "self": { "allOf": [{ "$ref": "#/components/schemas/Pot" }] },
                "never": { "$ref": "#/components/schemas/Circle" }
            } },
            "Circle": { "$ref": "#/components/schemas/Circle" }
        } }
    }));
    let tool = &catalogue.tools()[0];
    assert!(tool.schemas.input.to_string().len() < 100_000);
    assert_strict(&tool.schemas.input, &tool.name, false);
}

#[test]
fn a_document_of_very_many_large_tools_is_refused_by_name() {
    let properties: serde_json::Map<String, Value> = (0..900)
        .map(|at| {
            (
                format!("m{at}"),
                json!({ "type": "string", "description": "x".repeat(200) }),
            )
        })
        .collect();
    let paths: serde_json::Map<String, Value> = (0..2_000)
        .map(|at| {
            let schema = json!({ "$ref": "#/components/schemas/Large" });
            let content = json!({ "application/json": { "schema": schema } });
            (
                format!("/p{at}"),
                json!({ "post": { "requestBody": { "content": content } } }),
            )
        })
        .collect();
    let document = json!({
        "openapi": "3.0.0", "paths": paths,
        "components": { "schemas": { "Large": { "type": "object", "properties": properties } } },
    });
    let document = Document::parse(document.to_string().as_bytes()).unwrap();
    let connector = Connector::parse(FILE).unwrap();
    let told = Catalogue::compile(&connector, &document).unwrap_err();
    assert!(
        told.to_string().contains("name fewer in `resources`"),
        "{told}"
    );
    let late = Bounds {
        aliases: false,
        has_time: &|| false,
    };
    let told = Catalogue::compile_within(&connector, &document, &late).unwrap_err();
    assert!(told.to_string().contains("takes too long"), "{told}");
}
