//! People who are signed in.

use claviger_domain::email::Email;
use claviger_domain::event::Actor;
use claviger_domain::id::{self, Id};
use claviger_domain::role::Role;
use claviger_store::projects::Project;
use claviger_store::roles::{self, Place};
use claviger_store::sessions::{self, Begun};
use claviger_store::users::{self, NewUser};
use claviger_store::{StoreError, accounts::Account};
use secrecy::SecretString;

use crate::TestApp;

/// A person who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their id.
    pub id: Id<id::User>,
    /// Their address, which is verified.
    pub email: String,
    /// Their access token.
    pub access: String,
    /// Their refresh token.
    pub refresh: String,
}

impl Person {
    /// The password of each of them.
    pub const PASSWORD: &str = "correct horse battery";
}

impl TestApp {
    /// Makes a person who holds a role on an account, and signs them in.
    pub async fn person(&self, account: &Account, role: Role) -> Person {
        self.person_in(account, None, role).await
    }

    /// Makes a person who holds a role on an account or on a project of it, and signs them in.
    pub async fn person_in(
        &self,
        account: &Account,
        project: Option<&Project>,
        role: Role,
    ) -> Person {
        let core = &self.core;
        let id = Id::<id::User>::draw(&*core.random);
        let email = format!("{}@example.com", id.as_str().replace('_', "-"));
        let queued = core.people.passwords.queue().expect("nobody else waits");
        let password = SecretString::from(Person::PASSWORD);
        let hash = queued.digest(password, &*core.random).await;
        let new = NewUser {
            email: Email::parse(&email).expect("an id is short"),
            name: role.as_str().to_owned(),
            password: Some(hash.expect("a password is short")),
            is_verified: true,
        };
        let tokens = core.verifier.draw_tokens();
        let place = Place {
            account: account.reference(),
            project: project.map(|project| project.id.clone()),
        };
        let (change, pair) = (core.change(&Actor::System), tokens.pair.clone());
        let person = Person {
            id: id.clone(),
            email,
            access: tokens.access.expose().to_owned(),
            refresh: tokens.refresh.expose().to_owned(),
        };
        let made = core.db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                users::create(tx, &change, &id, &new).await?;
                roles::give(tx, &change, &id, &place, role).await?;
                sessions::begin(tx, &change, &id, &Begun::default(), &pair).await
            })
        });
        made.await.expect("the tests' own database takes rows");
        person
    }
}
