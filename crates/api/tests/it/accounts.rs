//! Accounts and projects.

use claviger_domain::role::Role;
use claviger_testkit::{TestApp, on_both_engines};
use serde_json::json;

on_both_engines!(an_owner_makes_children_one_level, async |app| {
    let tenant = app.tenant("Acme").await;
    let child = app
        .request("POST", "/accounts")
        .key(tenant.owner())
        .json(json!({"name": "Child"}));
    let child = child.send().await.expect(201);
    assert_eq!(child["parentAccountId"], json!(tenant.account.id));
    // In it the parent has its rights.
    let body = json!({"name": "In the child", "accountId": child["id"]});
    let project = app
        .request("POST", "/projects")
        .key(tenant.owner())
        .json(body)
        .send()
        .await
        .expect(201);
    let body = json!({"name": "k", "projectId": project["id"]});
    let key = app
        .request("POST", "/api-keys")
        .key(tenant.owner())
        .json(body)
        .send()
        .await
        .expect(201);
    assert_eq!(key["accountId"], child["id"]);
    let body = json!({"name": "owner", "role": "owner", "accountId": child["id"]});
    let owner = app
        .request("POST", "/access-keys")
        .key(tenant.owner())
        .json(body)
        .send()
        .await
        .expect(201);
    let owner = owner["key"].as_str().unwrap();
    let grandchild = app
        .request("POST", "/accounts")
        .key(owner)
        .json(json!({"name": "No"}));
    assert_eq!(
        grandchild.send().await.expect(409)["code"],
        "child_of_child"
    );
    // And the child does not reach its parent.
    let parent = format!("/accounts/{}", tenant.account.id);
    app.request("GET", &parent)
        .key(owner)
        .send()
        .await
        .expect(404);
    let list = app
        .request("GET", "/accounts")
        .key(owner)
        .send()
        .await
        .expect(200);
    assert_eq!(list.as_array().unwrap().len(), 1);
    let list = app
        .request("GET", "/accounts?name=cHILD")
        .key(tenant.owner())
        .send()
        .await
        .expect(200);
    assert_eq!(list[0]["id"], child["id"]);
});

on_both_engines!(an_account_goes_with_all_that_is_in_it, async |app| {
    let tenant = app.tenant("Acme").await;
    let child = app.child_of(&tenant, "Child").await;
    let key = app.api_key(&child, json!({})).await;
    let check = format!("/api-keys/auth/{}", key["key"].as_str().unwrap());
    app.request("POST", &check)
        .key(child.owner())
        .send()
        .await
        .expect(200);
    let own = format!("/accounts/{}", tenant.account.id);
    let refused = app
        .request("DELETE", &own)
        .key(tenant.owner())
        .send()
        .await
        .expect(409);
    assert_eq!(refused["code"], "own_account");
    let operator = app.operator_key.expose();
    let refused = app
        .request("DELETE", &own)
        .key(operator)
        .send()
        .await
        .expect(409);
    assert_eq!(refused["code"], "account_has_children");
    let path = format!("/accounts/{}", child.account.id);
    let gone = app
        .request("DELETE", &path)
        .key(tenant.owner())
        .send()
        .await;
    assert_eq!((gone.status.as_u16(), gone.body), (204, json!(null)));
    app.request("POST", &check)
        .key(child.owner())
        .send()
        .await
        .expect(401);
    app.request("POST", &check)
        .key(tenant.owner())
        .send()
        .await
        .expect(404);
    app.request("GET", &path)
        .key(tenant.owner())
        .send()
        .await
        .expect(404);
    app.request("DELETE", &own)
        .key(operator)
        .send()
        .await
        .expect(204);
    app.request("GET", "/accounts")
        .key(tenant.owner())
        .send()
        .await
        .expect(401);
});

#[tokio::test]
async fn the_operator_makes_accounts_of_their_own_and_must_name_one() {
    let app = TestApp::start().await;
    let operator = app.operator_key.expose();
    let made = app
        .request("POST", "/accounts")
        .key(operator)
        .json(json!({"name": "New"}));
    let made = made.send().await.expect(201);
    assert_eq!(made["parentAccountId"], json!(null));
    let unnamed = app
        .request("POST", "/projects")
        .key(operator)
        .json(json!({"name": "x"}));
    assert_eq!(unnamed.send().await.expect(400)["code"], "account_needed");
    let named = json!({"name": "x", "accountId": made["id"]});
    app.request("POST", "/projects")
        .key(operator)
        .json(named)
        .send()
        .await
        .expect(201);
}

#[tokio::test]
async fn a_project_level_holder_sees_its_project_and_its_account() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let second = app
        .request("POST", "/projects")
        .key(tenant.owner())
        .json(json!({"name": "Second"}));
    let second = second.send().await.expect(201);
    let developer = tenant.project_key(Role::Developer);
    let list = app.request("GET", "/projects").key(developer).send().await;
    assert_eq!(list.header("x-total-count"), "1");
    assert_eq!(list.expect(200)[0]["id"], json!(tenant.project.id));
    let path = format!("/projects/{}", second["id"].as_str().unwrap());
    app.request("GET", &path)
        .key(developer)
        .send()
        .await
        .expect(404);
    let accounts = app
        .request("GET", "/accounts")
        .key(developer)
        .send()
        .await
        .expect(200);
    assert_eq!(accounts[0]["id"], json!(tenant.account.id));
    let in_second = json!({"name": "x", "projectId": second["id"]});
    app.request("POST", "/api-keys")
        .key(developer)
        .json(in_second)
        .send()
        .await
        .expect(404);
}

#[tokio::test]
async fn a_project_is_renamed_and_says_who_did_it() {
    let app = TestApp::start().await;
    let tenant = app.tenant("Acme").await;
    let path = format!("/projects/{}", tenant.project.id);
    app.advance(10);
    let rename = app
        .request("PATCH", &path)
        .key(tenant.owner())
        .json(json!({"name": "Renamed"}));
    let renamed = rename.send().await.expect(200);
    assert_eq!(renamed["name"], "Renamed");
    assert_eq!(renamed["lastChangedByType"], "ACCESS_KEY");
    assert_ne!(renamed["updatedAt"], renamed["createdAt"]);
    // What was read can be sent back.
    let again = app.request("PATCH", &path).key(tenant.owner());
    let again = again.json(renamed.clone()).send().await.expect(200);
    assert_eq!(again, renamed);
}
