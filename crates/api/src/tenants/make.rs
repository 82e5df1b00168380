//! Making a tenant: all of it in one transaction.

use std::sync::Arc;

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{Environment, KeyPurpose};
use claviger_domain::limit::Level;
use claviger_domain::rights::{Grant, Reach, Rights};
use claviger_domain::role::Role;
use claviger_edge::permission::AccountsCreate;
use claviger_edge::{ApiError, Caller, Core, ErrorCode, mask_secrets};
use claviger_outbound::mail::Inviter;
use claviger_store::access_keys::{self, AccessKey};
use claviger_store::accounts::{self, Account};
use claviger_store::api_keys::{self, Incoming, Stored};
use claviger_store::projects::{self, Project};
use claviger_store::roles::{self, Place};
use claviger_store::tenants::{self, TenantKey};
use claviger_store::{Base, Change, Tx};
use serde_json::{Value, json};

use super::read::Wanted;
use crate::access_keys::AccessKeyBody;
use crate::accounts::AccountBody;
use crate::api_keys::{duplicate, new_key};
use crate::invitations::{Drawn, InvitationBody, Names, inviter, shows_link};
use crate::projects::ProjectBody;
use crate::role_place::{RolePlace, exceeds};
use crate::wire::{ApiKeyInput, api_key_body_of};

/// Makes a tenant, or answers the one that has that id already, with its secrets masked.
pub(super) async fn make(
    core: &Core,
    caller: &Caller<AccountsCreate>,
    key: TenantKey,
    parent: Option<Id<id::Account>>,
    wanted: Wanted,
) -> Result<Value, ApiError> {
    let maker = Maker {
        core: core.clone(),
        change: core.change(&caller.actor),
        rights: Arc::clone(&caller.rights),
        reach: caller.reach.clone(),
        owner: caller.identity.in_person().cloned(),
        inviter: inviter(core, &caller.actor).await?,
        shows_link: shows_link(&caller.identity),
    };
    if let Some(user) = caller.identity.in_person() {
        // They own it from then on.
        let made = core.verifier.change_person(user.clone(), move |tx| {
            Box::pin(async move { maker.make(tx, &key, parent, wanted).await })
        });
        return made.await;
    }
    let made = core
        .db
        .write(move |tx| Box::pin(async move { maker.make(tx, &key, parent, wanted).await }));
    made.await
}

/// Who makes it, and with what.
struct Maker {
    core: Core,
    change: Change,
    rights: Arc<Rights>,
    reach: Reach,
    /// The person who makes it for themselves.
    owner: Option<Id<id::User>>,
    inviter: Inviter,
    shows_link: bool,
}

impl Maker {
    async fn make(
        &self,
        tx: &mut Tx,
        key: &TenantKey,
        parent: Option<Id<id::Account>>,
        wanted: Wanted,
    ) -> Result<Value, ApiError> {
        let change = &self.change;
        if let Some(answer) = tenants::claim(tx, change, key).await? {
            return serde_json::from_str(&answer)
                .map_err(|_| ApiError::new(ErrorCode::Internal, "Internal server error"));
        }
        if let Some(parent) = &parent
            && !accounts::hold(tx, &self.reach, parent).await?
        {
            return Err(crate::accounts::absent());
        }
        let account = accounts::create(tx, change, &wanted.account, parent.as_ref()).await?;
        if let Some(user) = &self.owner {
            let place = Place {
                account: account.reference(),
                project: None,
            };
            roles::give(tx, change, user, &place, Role::Owner).await?;
        }
        let mut projects = Vec::new();
        for (name, environment) in &wanted.projects {
            projects.push(projects::create(tx, change, &account, name, *environment).await?);
        }
        let shown: Vec<ProjectBody> = projects.iter().map(Into::into).collect();
        let mut answer = json!({
            "externalId": key.external_id,
            "account": AccountBody::from(&account),
            "projects": shown,
        });
        if let (Some(input), Some(project)) = (wanted.api_key, projects.first()) {
            answer["apiKey"] = self.api_key(tx, project, input).await?;
        }
        if let Some((name, role)) = wanted.access_key {
            self.judge(&account, role)?;
            answer["accessKey"] = self.access_key(tx, &account, name, role).await?;
        }
        if let Some((email, role)) = wanted.invite {
            self.judge(&account, role)?;
            let place = RolePlace {
                account: account.reference(),
                projects: None,
            };
            let names = Names {
                account: Some(account.name.clone()),
                projects: Vec::new(),
            };
            let drawn = Drawn::new(
                &self.core,
                change,
                place,
                &names,
                &self.inviter,
                role,
                email,
            );
            drawn.store(tx, change, &self.rights).await?;
            let body = InvitationBody::made(drawn, self.shows_link, change.now);
            answer["invitation"] = json!(body);
        }
        let mut masked = answer.clone();
        mask_secrets(&mut masked);
        tenants::keep(tx, key, account.id.as_str(), &masked.to_string()).await?;
        Ok(answer)
    }

    /// Whether what is made exceeds its maker. Who makes an account of their own holds all of it.
    fn judge(&self, account: &Account, role: Role) -> Result<(), ApiError> {
        let grant = Grant::on_account(role, account.reference());
        if self.owner.is_some() || self.rights.cover(&grant) {
            Ok(())
        } else {
            Err(exceeds(role))
        }
    }

    async fn api_key(
        &self,
        tx: &mut Tx,
        project: &Project,
        input: ApiKeyInput,
    ) -> Result<Value, ApiError> {
        let now = self.change.now;
        let (key, plain) = new_key(input, project, &self.change, &*self.core.random)?;
        let incoming = Incoming {
            digest: self.core.verifier.digest(plain.expose()),
            digest_of_hash: None,
            sealed: None,
            data: json!({"name": key.name, "customAccountId": key.custom_account_id}),
            key: key.clone(),
        };
        if api_keys::store_new(tx, &[(&self.change, &incoming)]).await? != [Stored::Created] {
            return Err(duplicate());
        }
        let level = key.quota.map(|quota| Level {
            limit: quota.limit,
            used: 0,
            resets_at: quota.period.end(now),
        });
        Ok(json!(api_key_body_of(
            &key.view(),
            Some(&plain),
            now,
            level
        )?))
    }

    async fn access_key(
        &self,
        tx: &mut Tx,
        account: &Account,
        name: String,
        role: Role,
    ) -> Result<Value, ApiError> {
        let environment = Environment::Live;
        let drawn = KeyPurpose::AccessKey(environment).draw(&*self.core.random);
        let key = AccessKey {
            lineage: Id::from_suffix(&drawn.public),
            id: Id::from_suffix(&drawn.public),
            account: account.reference(),
            projects: None,
            name,
            role,
            environment,
            is_active: true,
            rate_limit: None,
            expires_at: None,
            stops_at: None,
            rotated_from: None,
            rotated_to: None,
            base: Base::made_by(&self.change),
        };
        let digest = self.core.verifier.digest(drawn.plain.expose());
        access_keys::create(tx, &self.change, &key, &digest).await?;
        let body = AccessKeyBody::of(&key, Some(&drawn.plain), self.change.now);
        Ok(json!(body))
    }
}
