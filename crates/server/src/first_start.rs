//! What the first start makes: somebody to be, something to hold, and the connector to itself.

use std::collections::BTreeSet;

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{DrawnKey, Environment, KeyPurpose, PlainKey};
use claviger_domain::role::Role;
use claviger_store::access_keys::{self, AccessKey};
use claviger_store::accounts::{self, Account};
use claviger_store::connected_accounts::{self, ConnectedAccount, Status};
use claviger_store::projects::{self, Project};
use claviger_store::sealing::{Purpose, SealingKey};
use claviger_store::{Base, Change, StoreError, Tx, operator_keys};
use claviger_verify::Verifier;
use serde_json::json;

use crate::bootstrap::{Bootstrap, Member};

/// The connector to this program's own API.
const BUILT_IN_CONNECTOR: &str = "theauthapi";

/// What the first start made.
#[derive(Debug)]
pub struct FirstStart {
    /// The account.
    pub account: Account,
    /// Its project, for live keys.
    pub project: Project,
    /// The owner's access key.
    pub owner_key: PlainKey,
    /// An access key that checks keys of the project and does nothing else.
    pub verifier_key: PlainKey,
    /// The key of whoever runs the instance.
    pub operator_key: PlainKey,
    /// The built-in connector, connected to the account.
    pub connected_account: Id<id::ConnectedAccount>,
}

impl FirstStart {
    /// What of it is handed over.
    pub(crate) fn bootstrap(&self) -> Bootstrap {
        Bootstrap::new(&[
            (Member::AccountId, self.account.id.as_str()),
            (Member::ProjectId, self.project.id.as_str()),
            (Member::AccessKey, self.owner_key.expose()),
            (Member::VerifierKey, self.verifier_key.expose()),
            (Member::OperatorKey, self.operator_key.expose()),
            (Member::IntegratedAccountId, self.connected_account.as_str()),
        ])
    }
}

/// Makes all of it within one transaction.
pub async fn make(
    tx: &mut Tx,
    change: &Change,
    verifier: &Verifier,
    sealing: &SealingKey,
) -> Result<FirstStart, StoreError> {
    let account = accounts::create(tx, change, "My account", None).await?;
    let project = projects::create(tx, change, &account, "My project", Environment::Live).await?;
    let operator_key = make_operator_key(tx, change, verifier).await?;

    let owner = NewAccessKey::of_account("Owner", Role::Owner);
    let owner_key = owner.make(tx, change, verifier, &account).await?;
    let checker = NewAccessKey {
        name: "Verifier",
        role: Role::Verifier,
        projects: Some([project.id.clone()].into()),
    };
    let verifier_key = checker.make(tx, change, verifier, &account).await?;
    let connected_account = connect_itself(tx, change, verifier, sealing, &account).await?;
    Ok(FirstStart {
        account,
        project,
        owner_key,
        verifier_key,
        operator_key,
        connected_account,
    })
}

/// Connects the built-in connector to an account, with an access key of its own: calls through it
/// can be told apart, and ended, without ending the owner's key.
pub async fn connect_itself(
    tx: &mut Tx,
    change: &Change,
    verifier: &Verifier,
    sealing: &SealingKey,
    account: &Account,
) -> Result<Id<id::ConnectedAccount>, StoreError> {
    let credential = NewAccessKey::of_account("Built-in connector", Role::Owner);
    let key = credential.make(tx, change, verifier, account).await?;
    let connected = ConnectedAccount {
        id: Id::draw(&*change.random),
        account: account.reference(),
        project: None,
        integration: BUILT_IN_CONNECTOR.to_owned(),
        tenant_id: account.id.to_string(),
        authentication_method: "api_key".to_owned(),
        context: "{}".to_owned(),
        overrides: "{}".to_owned(),
        status: Status::Active,
        base: Base::made_by(change),
    };
    let content = json!({"api_key": key.expose()}).to_string();
    let sealed = sealing.seal(
        Purpose::Credentials,
        connected.id.as_str(),
        content.as_bytes(),
        &*change.random,
    );
    connected_accounts::create(tx, change, &connected, &sealed).await?;
    Ok(connected.id)
}

async fn make_operator_key(
    tx: &mut Tx,
    change: &Change,
    verifier: &Verifier,
) -> Result<PlainKey, StoreError> {
    let DrawnKey { plain, public } = KeyPurpose::Operator.draw(&*change.random);
    let id = Id::<id::OperatorKey>::from_suffix(&public);
    operator_keys::create(tx, change, &id, &verifier.digest(plain.expose())).await?;
    Ok(plain)
}

/// An access key that is to be made.
#[derive(Clone, Debug)]
pub struct NewAccessKey<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it may do.
    pub role: Role,
    /// The projects that it is for; `None`: the whole account.
    pub projects: Option<BTreeSet<Id<id::Project>>>,
}

impl<'a> NewAccessKey<'a> {
    /// A key of the whole account.
    pub fn of_account(name: &'a str, role: Role) -> Self {
        Self {
            name,
            role,
            projects: None,
        }
    }

    /// Makes it in an account, and gives the key string.
    pub async fn make(
        self,
        tx: &mut Tx,
        change: &Change,
        verifier: &Verifier,
        account: &Account,
    ) -> Result<PlainKey, StoreError> {
        let environment = Environment::Live;
        let DrawnKey { plain, public } = KeyPurpose::AccessKey(environment).draw(&*change.random);
        let key = AccessKey {
            lineage: Id::from_suffix(&public),
            id: Id::from_suffix(&public),
            account: account.reference(),
            projects: self.projects,
            name: self.name.to_owned(),
            role: self.role,
            environment,
            is_active: true,
            rate_limit: None,
            expires_at: None,
            stops_at: None,
            rotated_from: None,
            rotated_to: None,
            base: Base::made_by(change),
        };
        access_keys::create(tx, change, &key, &verifier.digest(plain.expose())).await?;
        Ok(plain)
    }
}
