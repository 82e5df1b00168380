//! The contract of the store: one body a test, run on SQLite and on PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where what it stands on is missing"
)]
#![expect(
    clippy::assigning_clones,
    clippy::cloned_ref_to_slice_refs,
    reason = "what a test says counts for more than an allocation"
)]

mod access_keys;
mod accounts;
mod api_key_lists;
mod api_keys;
mod broken_rows;
mod call_blocks;
mod call_log;
mod connected_accounts;
mod connectors;
mod events;
mod feed;
mod files;
mod generations;
mod idempotency;
mod jobs;
mod links;
mod mails;
mod mcp_servers;
mod new_keys;
mod notifications;
mod operator_keys;
mod projects;
mod races;
mod restore;
mod retention;
mod schema;
mod sealed_keys;
mod secrets;
mod session_races;
mod sessions;
mod shared_commits;
mod upgrade;
mod usage;
mod webhooks;

use claviger_domain::email::Email;
use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::key_hash::KeyHash;
use claviger_domain::key_string::{KeyDigest, Pepper, PlainKey};
use claviger_domain::rights::Rights;
use claviger_domain::role::Role;
use claviger_store::accounts::Account;
use claviger_store::api_keys::{ApiKey, Incoming, Selector};
use claviger_store::invitations::{Invitation, Invited};
use claviger_store::projects::Project;
use claviger_store::{
    access_keys as stored_access_keys, api_keys as stored_api_keys,
    invitations as stored_invitations,
};
use claviger_testkit::world::{World, everything};
use serde_json::Value;

/// The digest under which a key is stored.
fn digest(plain: &PlainKey) -> KeyDigest {
    Pepper::new(&[7; 32]).digest(plain.expose())
}

/// A key on its way in, as creating it brings it.
fn incoming(key: ApiKey, plain: &PlainKey) -> Incoming {
    Incoming {
        digest: digest(plain),
        digest_of_hash: key
            .is_custom
            .then(|| KeyHash::of(plain.expose()).digest(&Pepper::new(&[7; 32]))),
        sealed: None,
        key,
        data: Value::Null,
    }
}

/// Stores a key; `false` when its family has one with that key string.
async fn store(world: &World, key: &ApiKey, plain: &PlainKey) -> bool {
    let (key, digest) = (key.clone(), digest(plain));
    world
        .write(move |tx, change| {
            Box::pin(async move {
                stored_api_keys::create(tx, &change, &key, &digest, Value::Null).await
            })
        })
        .await
}

/// Makes a key of a project.
async fn made(world: &World, project: &Project, name: &str) -> ApiKey {
    let (key, plain) = world.draw_api_key(project, name);
    assert!(store(world, &key, &plain).await);
    key
}

/// The key with that id, whoever's it is.
async fn found(world: &World, id: &Id<id::ApiKey>) -> Option<ApiKey> {
    stored_api_keys::find(&world.db, &everything(), &Selector::Id(id.clone()))
        .await
        .unwrap()
}

/// Changes a stored key under its lock.
async fn changed(
    world: &World,
    id: &Id<id::ApiKey>,
    edit: impl FnOnce(&mut ApiKey) + Send + 'static,
) -> ApiKey {
    let which = Selector::Id(id.clone());
    world
        .write(move |tx, change| {
            Box::pin(async move {
                let locked = stored_api_keys::lock(tx, &everything(), &which).await?;
                let (mut key, _) = locked.expect("the key is there");
                edit(&mut key);
                let kind = EventKind::ApiKeyUpdated;
                stored_api_keys::save(tx, &change, &mut key, kind, Value::Null).await?;
                Ok(key)
            })
        })
        .await
}

/// Stores an access key.
async fn store_access_key(world: &World, key: &stored_access_keys::AccessKey, plain: &PlainKey) {
    let (key, digest) = (key.clone(), digest(plain));
    world
        .write(move |tx, change| {
            Box::pin(async move { stored_access_keys::create(tx, &change, &key, &digest).await })
        })
        .await;
}

/// Invites somebody into an account, as the program itself does.
async fn invited(world: &World, account: &Account, email: &str) -> Invitation {
    let email = Email::parse(email).expect("it is one");
    let invitation = Invitation::new(
        &world.change(),
        account.reference(),
        None,
        email,
        Role::Viewer,
    );
    let (stored, token) = (
        invitation.clone(),
        digest(&PlainKey::new(invitation.id.to_string())),
    );
    let invited = world.write(move |tx, change| {
        Box::pin(async move {
            stored_invitations::create(tx, &change, &Rights::operator(), &stored, &token).await
        })
    });
    assert_eq!(invited.await, Invited::Done);
    invitation
}
