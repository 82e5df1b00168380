//! Tenants: accounts with a project and credentials of every role.

use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{Environment, PlainKey};
use claviger_domain::role::Role;
use claviger_server::first_start::{self, NewAccessKey};
use claviger_store::accounts::{self, Account};
use claviger_store::projects::{self, Project};
use claviger_store::{Change, StoreError, Tx};
use serde_json::{Value, json};

use crate::TestApp;

/// An account with a project, a connected account and credentials of every role.
#[derive(Debug)]
pub struct Tenant {
    /// The account.
    pub account: Account,
    /// Its project, for live keys.
    pub project: Project,
    /// The built-in connector, connected to the account.
    pub connected_account: Id<id::ConnectedAccount>,
    on_account: Vec<(Role, PlainKey)>,
    on_project: Vec<(Role, PlainKey)>,
}

impl Tenant {
    /// The access key that holds `role` on the account.
    pub fn key(&self, role: Role) -> &str {
        of_role(&self.on_account, role)
    }

    /// The owner's access key.
    pub fn owner(&self) -> &str {
        self.key(Role::Owner)
    }

    /// The access key that holds `role` on the project: developer, viewer or verifier.
    pub fn project_key(&self, role: Role) -> &str {
        of_role(&self.on_project, role)
    }
}

fn of_role(keys: &[(Role, PlainKey)], role: Role) -> &str {
    let found = keys.iter().find(|(one, _)| *one == role);
    let (_, key) = found.unwrap_or_else(|| panic!("{} needs an account", role.as_str()));
    key.expose()
}

impl TestApp {
    /// Makes a tenant, foreign to all others.
    pub async fn tenant(&self, name: &str) -> Tenant {
        self.make_tenant(name, None).await
    }

    /// Makes a child account of a tenant's, with a project and credentials of its own.
    pub async fn child_of(&self, parent: &Tenant, name: &str) -> Tenant {
        self.make_tenant(name, Some(parent.account.id.clone()))
            .await
    }

    /// Makes an API key with the tenant's owner key, and gives the answer, which has the full key.
    ///
    /// `members` go into the body, beside a name and the project.
    pub async fn api_key(&self, tenant: &Tenant, members: Value) -> Value {
        let mut body = json!({"name": "A key", "projectId": tenant.project.id});
        if let (Value::Object(body), Value::Object(members)) = (&mut body, members) {
            body.extend(members);
        }
        let request = self.request("POST", "/api-keys").key(tenant.owner());
        request.json(body).send().await.expect(201)
    }

    async fn make_tenant(&self, name: &str, parent: Option<Id<id::Account>>) -> Tenant {
        let change = self.core.change(&Actor::System);
        let core = self.core.clone();
        let master = self.master.clone();
        let name = name.to_owned();
        let made: Result<_, StoreError> = self
            .core
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let verifier = &*core.verifier;
                    let account = accounts::create(tx, &change, &name, parent.as_ref()).await?;
                    let live = Environment::Live;
                    let project = projects::create(tx, &change, &account, &name, live).await?;
                    let mut keys = Keys {
                        tx,
                        change: &change,
                        app: &core,
                        account: &account,
                    };
                    let on_account = keys.make(&Role::ALL, None).await?;
                    let roles: Vec<_> = Role::ALL
                        .into_iter()
                        .filter(|role| !role.needs_account())
                        .collect();
                    let on_project = keys.make(&roles, Some(&project)).await?;
                    let connected_account =
                        first_start::connect_itself(tx, &change, verifier, &master, &account)
                            .await?;
                    Ok(Tenant {
                        account,
                        project,
                        connected_account,
                        on_account,
                        on_project,
                    })
                })
            })
            .await;
        match made {
            Ok(tenant) => tenant,
            Err(error) => panic!("the fixture cannot be made: {error:?}"),
        }
    }
}

struct Keys<'a> {
    tx: &'a mut Tx,
    change: &'a Change,
    app: &'a claviger_edge::Core,
    account: &'a Account,
}

impl Keys<'_> {
    async fn make(
        &mut self,
        roles: &[Role],
        project: Option<&Project>,
    ) -> Result<Vec<(Role, PlainKey)>, StoreError> {
        let mut made = Vec::new();
        for role in roles {
            let key = NewAccessKey {
                name: role.as_str(),
                role: *role,
                projects: project.map(|project| [project.id.clone()].into()),
            };
            let verifier = &self.app.verifier;
            let plain = key
                .make(self.tx, self.change, verifier, self.account)
                .await?;
            made.push((*role, plain));
        }
        Ok(made)
    }
}
