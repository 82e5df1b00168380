//! Every operation, against every role, a foreign tenant and no credential at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use claviger_domain::role::Role;
use claviger_edge::SignUp;
use claviger_testkit::{Engine, IdentityProvider, Tenant, TestApp};
use serde_json::Value;

use crate::operations::{Kind, OPERATIONS, Objects, Operation};

/// The published table, in its own words: `x` and `own` on an account or a project, `acc` on an account
/// only. What is for people who are signed in is for no key.
const TABLE: &str = "
| permission         | owner | admin | developer | viewer | analyst | verifier |
| accounts:read      | x | x | x   | x   | x |     |
| projects:read      | x | x | x   | x   | x |     |
| accounts:write     | x | x |     |     |   |     |
| projects:write     | x | x |     |     |   |     |
| projects:delete    | x | x |     |     |   |     |
| accounts:delete    | x |   |     |     |   |     |
| accounts:create    | x |   |     |     |   |     |
| keys:read          | x | x | own | own |   |     |
| keys:write         | x | x | own |     |   |     |
| keys:check         | x | x | own |     |   | own |
| access-keys:read   | x | x | own |     |   |     |
| access-keys:write  | x | x | own |     |   |     |
| notifications:read | x | x | x   | x   | x |     |
| webhooks:read      | x | x | own | own |   |     |
| webhooks:write     | x | x | own |     |   |     |
| usage:read         | x | x | own | own | x |     |
| members:read       | x | x | acc | acc |   |     |
| members:write      | x | x |     |     |   |     |
| invitations:read   | x | x |     |     |   |     |
| invitations:write  | x | x |     |     |   |     |
| signed in          |   |   |     |     |   |     |
| audit:read         | x | x |     |     |   |     |
| keys:reveal grant  |   |   |     |     |   |     |
";

fn is_allowed(permission: &str, role: Role, on_project: bool) -> bool {
    let rows: Vec<Vec<&str>> = TABLE
        .trim()
        .lines()
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let column = rows[0].iter().position(|name| *name == role.as_str());
    let row = rows.iter().find(|row| row[0] == permission);
    match (row, column) {
        (Some(row), Some(column)) => match row[column] {
            "acc" => !on_project,
            cell => !cell.is_empty(),
        },
        _ => panic!("{permission} of {} is not in the table", role.as_str()),
    }
}

#[test]
fn every_operation_of_the_document_is_covered() {
    let document = claviger_api::document();
    let mut described = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            described.insert(operation["operationId"].as_str().unwrap().to_owned());
        }
    }
    let covered: BTreeSet<_> = OPERATIONS.iter().map(|one| one.id.to_owned()).collect();
    assert_eq!(described, covered);
}

/// What the document says of an operation that needs that row of the table.
fn needs(permission: Option<&str>) -> String {
    let permission = match permission {
        None => return "Needs no credential.".to_owned(),
        Some("signed in") => {
            let words =
                "Needs the access token of a user who is signed in: no key may, whatever its role.";
            return words.to_owned();
        }
        // Only an owner in person has it, which the operation says beside that.
        Some("keys:reveal grant") => "projects:write",
        Some(permission) => permission,
    };
    let on_account = Role::ALL
        .into_iter()
        .filter(|role| is_allowed(permission, *role, false));
    let roles = on_account.map(|role| {
        let is_enough = role.needs_account() || is_allowed(permission, role, true);
        format!(
            "{}{}",
            role.as_str(),
            if is_enough { "" } else { " on an account" }
        )
    });
    let roles = roles.collect::<Vec<_>>().join(", ");
    format!("Needs `{permission}` (roles: {roles}).")
}

#[test]
fn every_operation_of_the_document_says_what_it_needs() {
    let paths = claviger_api::document()["paths"].as_object().unwrap();
    let operations = paths.values().flat_map(|item| item.as_object().unwrap());
    for (_, described) in operations {
        let id = described["operationId"].as_str().unwrap();
        let one = OPERATIONS.iter().find(|one| one.id == id).unwrap();
        assert_eq!(described["x-needs"], needs(one.permission), "{id}");
        let is_open = described.get("security").is_some();
        assert_eq!(is_open, one.permission.is_none(), "{id}");
    }
}

/// An operation that asks for a permission, and where somebody holds which role.
#[derive(Clone, Copy)]
struct Asked {
    operation: &'static Operation,
    permission: &'static str,
    role: Role,
    on_project: bool,
}

fn every_role() -> impl Iterator<Item = Asked> {
    let of_operation = |operation: &'static Operation| {
        let permission = operation.permission?;
        Some(Role::ALL.into_iter().flat_map(move |role| {
            let levels = [false, true].into_iter();
            let levels = levels.filter(move |on_project| !(*on_project && role.needs_account()));
            levels.map(move |on_project| Asked {
                operation,
                permission,
                role,
                on_project,
            })
        }))
    };
    OPERATIONS.iter().filter_map(of_operation).flatten()
}

impl Asked {
    /// What the table says of it.
    fn expected(self) -> u16 {
        match self.role {
            role if is_allowed(self.permission, role, self.on_project) => self.operation.success,
            Role::Verifier => 404,
            _ => 403,
        }
    }

    fn fault(self, status: u16, expected: u16) -> Option<String> {
        let level = if self.on_project {
            "project"
        } else {
            "account"
        };
        let (id, role) = (self.operation.id, self.role.as_str());
        let told = || format!("{id} as {role} on the {level}: {status}, not {expected}");
        (status != expected).then(told)
    }
}

/// A tenant of its own for what removes the project.
async fn target_of(app: &TestApp, asked: Asked, tenant: &Arc<Tenant>) -> Arc<Tenant> {
    if asked.operation.id == "deleteProject" {
        Arc::new(app.tenant("Acme again").await)
    } else {
        Arc::clone(tenant)
    }
}

#[tokio::test]
async fn every_role_on_every_operation() {
    let app = TestApp::start().await;
    let tenant = Arc::new(app.tenant("Acme").await);
    let mut faults = Vec::new();
    for asked in every_role() {
        let target = target_of(&app, asked, &tenant).await;
        let key = if asked.on_project {
            target.project_key(asked.role)
        } else {
            target.key(asked.role)
        };
        let objects = Objects::of(&app, &target).await;
        let request = asked.operation.request(&app, &objects).key(key);
        let status = request.send().await.status.as_u16();
        faults.extend(asked.fault(status, asked.expected()));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn every_role_of_a_person_on_every_operation() {
    let app = TestApp::start().await;
    let tenant = Arc::new(app.tenant("Acme").await);
    let mut faults = Vec::new();
    for asked in every_role() {
        let target = target_of(&app, asked, &tenant).await;
        let project = asked.on_project.then_some(&target.project);
        let person = app.person_in(&target.account, project, asked.role).await;
        let mut objects = Objects::of(&app, &target).await;
        let access = person.access.clone();
        if asked.permission == "signed in" {
            // What people do with themselves.
            objects.user = person;
        }
        let request = asked.operation.request(&app, &objects).bearer(&access);
        let status = request.send().await.status.as_u16();
        let expected = match (asked.operation.id, asked.permission, asked.role) {
            // It is to somebody else, and comes without its token.
            ("acceptInvitation", ..) => 404,
            // An owner in person has keys read back, and no key of theirs.
            ("createRevealGrant", _, Role::Owner) if !asked.on_project => asked.operation.success,
            (_, "signed in", _) => asked.operation.success,
            _ => asked.expected(),
        };
        faults.extend(asked.fault(status, expected));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn no_operation_without_a_credential() {
    let provider = IdentityProvider::start().await;
    let engine = Engine::of_this_run();
    let app = TestApp::with_firebase(engine, SignUp::Open, provider.url()).await;
    let tenant = app.tenant("Acme").await;
    let objects = Objects::of(&app, &tenant).await;
    for operation in OPERATIONS {
        let absent = operation.request(&app, &objects).send().await;
        if operation.permission.is_none() {
            absent.expect(operation.success);
            continue;
        }
        assert_eq!(
            absent.header("www-authenticate"),
            "Bearer",
            "{}",
            operation.id
        );
        let absent = absent.expect(401);
        assert_eq!(absent["message"], "Unauthorized", "{}", operation.id);
        let unknown = format!("live_access_{}", "a".repeat(64));
        for wrong in [&unknown, &objects.key, "", "Bearer", "ack_0123456789abcdef"] {
            let refused = operation
                .request(&app, &objects)
                .key(wrong)
                .send()
                .await
                .expect(401);
            assert_eq!(
                without_id(refused),
                without_id(absent.clone()),
                "{}",
                operation.id
            );
        }
    }
}

#[tokio::test]
async fn an_object_of_another_account_is_as_if_it_were_not_there() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let foreign = app.tenant("Foreign").await;
    let theirs = Objects::of(&app, &foreign).await;
    let nobodys = Objects::unknown();
    for operation in OPERATIONS {
        for key in [tenant.owner(), tenant.project_key(Role::Developer)] {
            if operation.kind == Kind::Plain {
                continue;
            }
            let about_theirs = operation.request(&app, &theirs).key(key).send().await;
            let about_nobodys = operation.request(&app, &nobodys).key(key).send().await;
            assert_eq!(
                about_theirs.status, about_nobodys.status,
                "{}",
                operation.id
            );
            let (status, answer) = (about_theirs.status.as_u16(), about_theirs.body);
            match operation.kind {
                Kind::List if status == 200 => {
                    assert!(
                        !answer.to_string().contains(&theirs.account),
                        "{}",
                        operation.id
                    );
                }
                Kind::Verification => {
                    let first = if answer.is_array() {
                        &answer[0]
                    } else {
                        &answer
                    };
                    assert_eq!(first["code"], "NOT_FOUND", "{}", operation.id);
                    assert_eq!(answer, about_nobodys.body, "{}", operation.id);
                }
                _ => {
                    assert!(status == 404 || status == 403, "{}: {status}", operation.id);
                    let others = without_id(about_nobodys.body);
                    assert_eq!(without_id(answer), others, "{}", operation.id);
                }
            }
        }
    }
    // Nothing of theirs was changed.
    let path = format!("/api-keys/{}", theirs.key_id);
    let key = app
        .request("GET", &path)
        .key(foreign.owner())
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&key["name"], &key["isActive"]),
        (&"A key".into(), &true.into())
    );
}

#[tokio::test]
async fn a_verifier_key_meets_nothing_but_checks_whatever_the_method() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let objects = Objects::of(&app, &tenant).await;
    let verifier = tenant.project_key(Role::Verifier);
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/api-keys",
        "/accounts",
        "/projects",
        "/nowhere",
        "/api-keys/verify/x",
        "/access-keys",
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
            let answer = app.request(method, path).key(verifier).send().await;
            // A preflight has no credential, and is answered before one is looked at.
            if method != "OPTIONS" {
                assert_eq!(answer.status, 404, "{method} {path}");
            }
        }
    }
    let checked = app
        .request("POST", &format!("/api-keys/auth/{}", objects.key))
        .key(verifier);
    checked.send().await.expect(200);
}

fn without_id(mut body: Value) -> Value {
    if let Some(body) = body.as_object_mut() {
        body.remove("requestId");
    }
    body
}
