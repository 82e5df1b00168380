//! Tenants: accounts with a project and credentials of every role.

use std::collections::BTreeSet;

use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{Environment, PlainKey};
use claviger_domain::role::Role;
use claviger_server::first_start::{self, NewAccessKey};
use claviger_store::access_keys::{self, Selector};
use claviger_store::accounts::{self, Account};
use claviger_store::connected_accounts::{self, ConnectedAccount, Status};
use claviger_store::projects::{self, Project};
use claviger_store::sealing::Purpose;
use claviger_store::{Base, Change, StoreError, Tx};
use serde_json::{Value, json};

use crate::TestApp;
use crate::world::everything;

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

/// An access key that was made, with its key string.
#[derive(Debug)]
pub struct MadeAccessKey {
    /// Its id.
    pub id: Id<id::AccessKey>,
    /// Its key string.
    pub plain: String,
}

impl TestApp {
    /// Makes an access key of an account, or of projects of it.
    pub async fn access_key(
        &self,
        account: &Account,
        role: Role,
        projects: Option<BTreeSet<Id<id::Project>>>,
    ) -> MadeAccessKey {
        let change = self.core.change(&Actor::System);
        let (core, account) = (self.core.clone(), account.clone());
        let made: Result<_, StoreError> = self
            .core
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let key = NewAccessKey {
                        name: role.as_str(),
                        role,
                        projects,
                    };
                    key.make(tx, &change, &core.verifier, &account).await
                })
            })
            .await;
        let plain = made.expect("the tests' own database takes rows");
        let which = Selector::Digest(self.core.verifier.digest(plain.expose()));
        let found = access_keys::find(&self.core.db, &everything(), &which).await;
        let found = found.expect("the tests' own database is there");
        MadeAccessKey {
            id: found.expect("it was made just now").id,
            plain: plain.expose().to_owned(),
        }
    }

    /// Connects the built-in connector to an account, with that credential.
    pub async fn connect(&self, account: &Account, stored: &str) -> Id<id::ConnectedAccount> {
        self.connect_to(account, None, stored).await
    }

    /// Connects the built-in connector to a project of an account, with that credential.
    pub async fn connect_project(
        &self,
        account: &Account,
        project: &Project,
        stored: &str,
    ) -> Id<id::ConnectedAccount> {
        self.connect_to(account, Some(project), stored).await
    }

    async fn connect_to(
        &self,
        account: &Account,
        project: Option<&Project>,
        stored: &str,
    ) -> Id<id::ConnectedAccount> {
        let change = self.core.change(&Actor::System);
        let connected = ConnectedAccount {
            id: Id::draw(&*self.core.random),
            account: account.reference(),
            project: project.map(|project| project.id.clone()),
            integration: "theauthapi".to_owned(),
            tenant_id: account.id.to_string(),
            authentication_method: "api_key".to_owned(),
            context: "{}".to_owned(),
            overrides: "{}".to_owned(),
            status: Status::Active,
            base: Base::made_by(&change),
        };
        let id = connected.id.clone();
        let content = json!({ "api_key": stored }).to_string();
        let sealed = self.sealing.seal(
            Purpose::Credentials,
            id.as_str(),
            content.as_bytes(),
            &*self.core.random,
        );
        let made: Result<_, StoreError> = self
            .core
            .db
            .write(move |tx| {
                Box::pin(async move {
                    connected_accounts::create(tx, &change, &connected, &sealed).await
                })
            })
            .await;
        made.expect("the tests' own database takes rows");
        id
    }

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
        let sealing = self.sealing.clone();
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
                        first_start::connect_itself(tx, &change, verifier, &sealing, &account)
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
