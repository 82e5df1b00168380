//! Every operation, against every role, a foreign tenant and no credential at all.

use std::collections::BTreeSet;

use claviger_domain::role::Role;
use claviger_edge::SignUp;
use claviger_testkit::{Engine, IdentityProvider, TestApp};
use serde_json::Value;

use crate::operations::{Kind, OPERATIONS, Objects};

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

#[tokio::test]
async fn every_role_on_every_operation() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let mut faults = Vec::new();
    for operation in OPERATIONS {
        let Some(permission) = operation.permission else {
            continue;
        };
        for role in Role::ALL {
            for on_project in [false, true] {
                if on_project && role.needs_account() {
                    continue;
                }
                // A tenant of its own for what removes the project.
                let target = if operation.id == "deleteProject" {
                    &app.tenant("Acme again").await
                } else {
                    &tenant
                };
                let key = if on_project {
                    target.project_key(role)
                } else {
                    target.key(role)
                };
                let objects = Objects::of(&app, target).await;
                let status = operation
                    .request(&app, &objects)
                    .key(key)
                    .send()
                    .await
                    .status
                    .as_u16();
                let expected = match role {
                    _ if is_allowed(permission, role, on_project) => operation.success,
                    Role::Verifier => 404,
                    _ => 403,
                };
                if status != expected {
                    let level = if on_project { "project" } else { "account" };
                    faults.push(format!(
                        "{} as {} on the {level}: {status}, not {expected}",
                        operation.id,
                        role.as_str(),
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn every_role_of_a_person_on_every_operation() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let mut faults = Vec::new();
    for operation in OPERATIONS {
        let Some(permission) = operation.permission else {
            continue;
        };
        for role in Role::ALL {
            for on_project in [false, true] {
                if on_project && role.needs_account() {
                    continue;
                }
                // A tenant of its own for what removes the project.
                let target = if operation.id == "deleteProject" {
                    &app.tenant("Acme again").await
                } else {
                    &tenant
                };
                let project = on_project.then_some(&target.project);
                let person = app.person_in(&target.account, project, role).await;
                let mut objects = Objects::of(&app, target).await;
                let access = person.access.clone();
                if permission == "signed in" {
                    // What people do with themselves.
                    objects.user = person;
                }
                let request = operation.request(&app, &objects).bearer(&access);
                let status = request.send().await.status.as_u16();
                let expected = match (operation.id, permission, role) {
                    // It is to somebody else, and comes without its token.
                    ("acceptInvitation", ..) => 404,
                    // An owner in person has keys read back, and no key of theirs.
                    ("createRevealGrant", _, Role::Owner) if !on_project => operation.success,
                    (_, "signed in", _) => operation.success,
                    _ if is_allowed(permission, role, on_project) => operation.success,
                    (_, _, Role::Verifier) => 404,
                    _ => 403,
                };
                if status != expected {
                    let level = if on_project { "project" } else { "account" };
                    let (id, role) = (operation.id, role.as_str());
                    faults.push(format!(
                        "{id} as {role} on the {level}: {status}, not {expected}"
                    ));
                }
            }
        }
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
