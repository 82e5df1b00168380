//! The built-in connector, over the document that The Auth API serves, yields the published tools: every
//! column of the published table is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use claviger_gateway::catalogue::filter::{Filter, FilterError};
use claviger_gateway::openapi::Document;
use claviger_gateway::{Catalogue, Catalogues, Connector, Tool};

const CONNECTOR: &str = include_str!("../../../../connectors/theauthapi.yaml");
const TABLE: &str = include_str!("../data/tools.tsv");

/// What The Auth API serves.
fn document() -> Document {
    Document::parse(claviger_api::document().to_string().as_bytes()).unwrap()
}

pub(crate) fn catalogue() -> Catalogue {
    let connector = Connector::parse(CONNECTOR).unwrap();
    let document = document();
    Catalogue::compile(&connector, &document).unwrap()
}

struct Row {
    name: &'static str,
    resource: &'static str,
    method: &'static str,
    operation: &'static str,
    required: Vec<&'static str>,
    optional: Vec<&'static str>,
    tag: &'static str,
    read_only: bool,
    secrets: Vec<&'static str>,
}

fn rows() -> Vec<Row> {
    let list = |cell: &'static str| cell.split(',').filter(|name| !name.is_empty()).collect();
    TABLE
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<_> = line.split('\t').collect();
            let [
                name,
                resource,
                method,
                operation,
                required,
                optional,
                tag,
                read_only,
                secrets,
            ] = cells[..]
            else {
                panic!("{line}");
            };
            let read_only = read_only == "yes";
            let (required, optional, secrets) = (list(required), list(optional), list(secrets));
            Row {
                name,
                resource,
                method,
                operation,
                required,
                optional,
                tag,
                read_only,
                secrets,
            }
        })
        .collect()
}

fn properties(tool: &Tool) -> BTreeSet<&str> {
    tool.schemas.input["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// Those of the table and no others, and every column of the table holds.
#[test]
fn the_tools_are_the_published_ones() {
    let catalogue = catalogue();
    let by_name: BTreeMap<&str, &Arc<Tool>> = catalogue
        .tools()
        .iter()
        .map(|tool| (tool.name.as_str(), tool))
        .collect();
    let published: BTreeSet<&str> = rows().iter().map(|row| row.name).collect();
    assert_eq!(by_name.keys().copied().collect::<BTreeSet<_>>(), published);
    assert_eq!(catalogue.tools().len(), 57);
    for row in rows() {
        let tool = by_name[row.name];
        assert_eq!(
            (tool.resource.as_str(), tool.method.as_str()),
            (row.resource, row.method)
        );
        assert_eq!(tool.tags, [row.tag], "{}", row.name);
        assert_eq!(tool.read_only, row.read_only, "{}", row.name);
        assert_eq!(
            tool.annotations.read_only_hint, row.read_only,
            "{}",
            row.name
        );
        assert_eq!(tool.secret_fields, row.secrets, "{}", row.name);
        for name in row.required {
            assert!(
                tool.required.iter().any(|known| known == name),
                "{}: {name}",
                row.name
            );
        }
        for name in row.optional {
            assert!(properties(tool).contains(name), "{}: {name}", row.name);
            assert!(
                !tool.required.iter().any(|known| known == name),
                "{}: {name}",
                row.name
            );
        }
    }
}

/// What the operation itself requires comes to what the table says, and nothing else does.
#[test]
fn beyond_the_table_only_the_operation_requires() {
    let catalogue = catalogue();
    let more: BTreeMap<&str, Vec<&str>> = catalogue
        .tools()
        .iter()
        .filter_map(|tool| {
            let row = rows()
                .into_iter()
                .find(|row| row.name == tool.name)
                .unwrap();
            let more: Vec<&str> = tool
                .required
                .iter()
                .map(String::as_str)
                .filter(|name| !row.required.contains(name))
                .collect();
            (!more.is_empty()).then_some((row.name, more))
        })
        .collect();
    insta::assert_json_snapshot!(more, @r#"
    {
      "create_a_the_auth_api_access_key": [
        "name"
      ],
      "create_a_the_auth_api_account": [
        "name"
      ],
      "create_a_the_auth_api_account_user": [
        "email"
      ],
      "create_a_the_auth_api_api_key": [
        "name"
      ],
      "create_a_the_auth_api_auth_add_user_from_firebase": [
        "idToken"
      ],
      "create_a_the_auth_api_auth_authenticate": [
        "credentials"
      ],
      "create_a_the_auth_api_auth_login": [
        "email",
        "password"
      ],
      "create_a_the_auth_api_auth_signup": [
        "email",
        "password",
        "name"
      ],
      "create_a_the_auth_api_auth_validate_login_code": [
        "code"
      ],
      "create_a_the_auth_api_invitation": [
        "role"
      ],
      "create_a_the_auth_api_project": [
        "name"
      ],
      "create_a_the_auth_api_webhook": [
        "url"
      ],
      "update_a_the_auth_api_user_role_by_id": [
        "role"
      ]
    }
    "#);
}

#[test]
fn each_tool_sends_the_published_request() {
    let catalogue = catalogue();
    for row in rows() {
        let tool = catalogue
            .tools()
            .iter()
            .find(|tool| tool.name == row.name)
            .unwrap();
        let mut arguments = serde_json::Map::new();
        for name in &row.required {
            arguments.insert((*name).to_owned(), "X".into());
        }
        let sent = tool.request(&arguments).unwrap();
        let operation = row.operation.split(" (").next().unwrap();
        let (verb, path) = operation.split_once(' ').unwrap();
        assert_eq!(sent.verb.as_str(), verb, "{}", row.name);
        let expected = match row.method {
            _ if path.contains("?key=") => path.replace("?key=", "?key=X"),
            "list" if !row.required.is_empty() && !path.contains("{id}") => {
                let query: Vec<_> = row
                    .required
                    .iter()
                    .map(|name| format!("{name}=X"))
                    .collect();
                format!("{path}?{}", query.join("&"))
            }
            _ => path.replace("{id}", "X"),
        };
        assert_eq!(sent.path_and_query(), expected, "{}", row.name);
    }
}

#[test]
fn an_argument_that_is_always_sent_cannot_be_given() {
    let catalogue = catalogue();
    let tool = catalogue
        .tools()
        .iter()
        .find(|tool| tool.resource == "api_keys_auths")
        .unwrap();
    assert_eq!(tool.method, "list");
    assert!(!properties(tool).contains("explain"));
}

#[test]
fn operations_without_a_tool_are_told_with_the_reason() {
    let catalogue = catalogue();
    let left: Vec<String> = catalogue
        .left_out()
        .iter()
        .map(|left| format!("{}: {}", left.operation, left.reason))
        .collect();
    insta::assert_json_snapshot!(left, @r#"
    [
      "POST /access-keys/{id}/rotate: the connector does not name it",
      "GET /analytics/first-calls: the connector does not name it",
      "GET /api-keys/auth/{key}: the connector does not name it",
      "POST /api-keys/auth/{key}: the connector does not name it",
      "POST /api-keys/import: the connector does not name it",
      "POST /api-keys/verify: the connector does not name it",
      "POST /api-keys/verify/batch: the connector does not name it",
      "GET /audit-events: the connector does not name it",
      "POST /auth/logout: the connector does not name it",
      "POST /auth/password: the connector does not name it",
      "POST /auth/password-reset: the connector does not name it",
      "GET /auth/sessions: the connector does not name it",
      "DELETE /auth/sessions: the connector does not name it",
      "PATCH /notifications/{id}: the connector does not name it",
      "GET /projects/{id}/reveal-grants: the connector does not name it",
      "POST /projects/{id}/reveal-grants: the connector does not name it",
      "DELETE /projects/{id}/reveal-grants/{grantId}: the connector does not name it",
      "POST /tenants: the connector does not name it",
      "GET /users/me: the connector does not name it",
      "GET /webhooks/{id}/deliveries: the connector does not name it",
      "POST /webhooks/{id}/deliveries/replay: the connector does not name it",
      "POST /webhooks/{id}/deliveries/{deliveryId}/replay: the connector does not name it",
      "POST /webhooks/{id}/rotate-secret: the connector does not name it"
    ]
    "#);
}

#[test]
fn an_operation_that_the_document_lacks_is_a_fault_with_its_line() {
    let text = CONNECTOR.replace("GET /projects\"", "GET /projetcs\"");
    let connector = Connector::parse(&text).unwrap();
    let document = document();
    let faults = Catalogue::compile(&connector, &document)
        .unwrap_err()
        .to_string();
    let line = 1 + text
        .lines()
        .position(|line| line.contains("/projetcs"))
        .unwrap();
    assert!(faults.starts_with(&format!("line {line} ")), "{faults}");
    assert!(
        faults.contains("the document has no `GET /projetcs`"),
        "{faults}"
    );
}

#[test]
fn one_content_is_compiled_once() {
    let connector = Connector::parse(CONNECTOR).unwrap();
    let document = document();
    let catalogues = Catalogues::default();
    let first = catalogues.of(&connector, &document).unwrap();
    assert!(Arc::ptr_eq(
        &first,
        &catalogues.of(&connector, &document).unwrap()
    ));
    let other = Connector::parse(&format!("{CONNECTOR}\n# changed\n")).unwrap();
    assert_ne!(
        first.version(),
        catalogues.of(&other, &document).unwrap().version()
    );
}

fn select(methods: Option<&[&str]>, tags: Option<&[&str]>) -> Result<Vec<String>, FilterError> {
    let owned = |list: &[&str]| list.iter().map(|value| (*value).to_owned()).collect();
    let filter = Filter::new(methods.map(owned), tags.map(owned))?;
    let chosen = filter.select(catalogue().tools())?;
    Ok(chosen
        .iter()
        .map(|tool| format!("{}.{}", tool.resource, tool.method))
        .collect())
}

#[test]
fn read_has_no_effects_and_write_goes_by_method() {
    let read = select(Some(&["read"]), None).unwrap();
    assert!(read.contains(&"api_keys.list_2".to_owned()));
    assert!(!read.iter().any(|tool| tool.ends_with(".create")));
    let write = select(Some(&["write"]), None).unwrap();
    assert!(write.contains(&"api_keys_auths.create".to_owned()));
    assert_eq!(read.len() + write.len(), 57);
}

#[test]
fn one_value_of_each_list_must_fit() {
    assert_eq!(
        select(Some(&["get", "list_2"]), Some(&["api_keys", "misc"])).unwrap(),
        ["api_keys.list_2", "api_keys.get", "api_keys_auths.get"]
    );
    assert_eq!(select(None, Some(&["misc"])).unwrap(), ["misc.list"]);
}

#[test]
fn capitals_as_published_are_understood() {
    let same = |one: &str, other: &[&str]| {
        assert_eq!(
            select(Some(&[one]), None),
            select(Some(other), None),
            "{one}"
        );
    };
    same("READ", &["read"]);
    same("WRITE", &["write"]);
    same("GET", &["get", "list"]);
    same("LIST", &["list"]);
    same("POST", &["create"]);
    same("PATCH", &["update"]);
    same("PUT", &["update"]);
    same("DELETE", &["delete"]);
    same("CREATE", &["create"]);
    same("LIST_2", &["list_2"]);
}

#[test]
fn a_filter_that_says_nothing_or_something_unknown_is_an_error() {
    assert_eq!(select(Some(&[]), None), Err(FilterError::Empty("methods")));
    assert_eq!(select(None, Some(&[])), Err(FilterError::Empty("tags")));
    let message = |methods: Option<&[&str]>, tags: Option<&[&str]>| {
        select(methods, tags).unwrap_err().to_string()
    };
    insta::assert_snapshot!(message(Some(&["raed"]), None), @"`methods` has the unknown value `raed`, did you mean `read`?; known are `read`, `write`, `custom`, `list`, `get`, `create`, `update`, `delete`, `list_2`");
    insta::assert_snapshot!(message(None, Some(&["apikeys"])), @"`tags` has the unknown value `apikeys`, did you mean `api_keys`?; known are `misc`, `access_keys`, `projects`, `accounts`, `users`, `invitations`, `auth`, `webhooks`, `notifications`, `api_keys`, `analytics`");
    insta::assert_snapshot!(message(Some(&["custom"]), None), @"no tool is left: none has one of the `methods` `custom` and one of the `tags` (all)");
    insta::assert_snapshot!(message(Some(&["list_2"]), Some(&["misc", "auth"])), @"no tool is left: none has one of the `methods` `list_2` and one of the `tags` `auth`, `misc`");
    assert!(message(Some(&["Read"]), None).contains("`Read`"));
}
