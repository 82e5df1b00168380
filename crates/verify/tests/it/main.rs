//! The hot path through its front door: a verifier over a database, on both engines.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where what it stands on is missing"
)]
#![expect(
    clippy::assigning_clones,
    clippy::cloned_ref_to_slice_refs,
    reason = "what a test says counts for more than an allocation"
)]

mod callers;
mod changes;
mod checks;
mod counting;
mod crossings;
mod foreign;
mod limits;
mod others;
mod races;

use std::sync::Arc;

use claviger_domain::decision::{Presented, Verdict};
use claviger_domain::event::EventKind;
use claviger_domain::key_storage::KeyStorage;
use claviger_domain::key_string::{Pepper, PlainKey};
use claviger_domain::rights::Reach;
use claviger_store::StoreError;
use claviger_store::accounts::Account;
use claviger_store::api_keys::{ApiKey, Selector, Status};
use claviger_store::projects::Project;
use claviger_store::sealing::SealingKey;
use claviger_testkit::world::{World, everything, whole};
use claviger_verify::{
    Checked, Counting, Creation, Edit, KEY_CACHE_BYTES, Question, Settings, Verifier,
};
use serde_json::Value;

/// A verifier over a world with one account and one project.
struct Gate {
    world: World,
    verifier: Arc<Verifier>,
    account: Account,
    project: Project,
}

impl Gate {
    async fn new(world: World) -> Self {
        let account = world.account("mine").await;
        let project = world.project(&account, "project").await;
        Self {
            verifier: start(&world).await,
            world,
            account,
            project,
        }
    }

    /// Starts the program anew over the same database.
    async fn restart(&mut self) {
        self.verifier = start(&self.world).await;
    }

    fn reach(&self) -> Reach {
        whole(&self.account)
    }

    /// Makes a key as `fill` says.
    async fn key(&self, fill: impl FnOnce(&mut ApiKey)) -> (ApiKey, PlainKey) {
        let (mut key, plain) = self.world.draw_api_key(&self.project, "key");
        fill(&mut key);
        assert_eq!(self.create(&key, &plain).await, Creation::Done);
        (key, plain)
    }

    async fn create(&self, key: &ApiKey, plain: &PlainKey) -> Creation {
        self.verifier
            .create_api_key(
                self.world.change(),
                key.clone(),
                plain,
                KeyStorage::Hashed,
                Value::Null,
            )
            .await
            .unwrap()
    }

    async fn check(&self, plain: &PlainKey) -> Verdict {
        self.ask(plain, 1, Counting::Counts).await.verdict
    }

    async fn ask(&self, plain: &PlainKey, cost: u64, counting: Counting) -> Checked {
        ask(&self.verifier, &self.reach(), plain, cost, counting).await
    }

    /// Changes a key as `change` says.
    async fn edit(&self, key: &ApiKey, change: impl FnOnce(&mut ApiKey) + Send + 'static) {
        edit(&self.verifier, &self.world, key, move |key| {
            change(key);
            Edit::Save(EventKind::ApiKeyUpdated, Value::Null)
        })
        .await
        .expect("the key is there");
    }

    async fn revoke(&self, key: &ApiKey) {
        self.edit(key, |key| key.status = Status::Inactive).await;
    }
}

async fn start(world: &World) -> Arc<Verifier> {
    let settings = Settings {
        db: world.db.clone(),
        pepper: Pepper::new(&[7; 32]),
        sealing: Arc::new(SealingKey::new([8; 32])),
        clock: Arc::<claviger_testkit::MockClock>::clone(&world.clock),
        random: Arc::<claviger_testkit::SeededRandom>::clone(&world.random),
        key_cache_bytes: KEY_CACHE_BYTES,
    };
    Verifier::start(settings).await.unwrap()
}

async fn ask(
    verifier: &Verifier,
    reach: &Reach,
    plain: &PlainKey,
    cost: u64,
    counting: Counting,
) -> Checked {
    let question = Question {
        presented: Presented::default(),
        cost,
        counting,
    };
    verifier
        .check(None, reach, plain.expose(), &question)
        .await
        .unwrap()
}

async fn edit(
    verifier: &Arc<Verifier>,
    world: &World,
    key: &ApiKey,
    edit: impl FnOnce(&mut ApiKey) -> Edit + Send + 'static,
) -> Option<ApiKey> {
    let which = Selector::Id(key.id.clone());
    let taken = || StoreError::Unsealing("taken");
    verifier
        .edit_api_key::<StoreError>(
            world.change(),
            everything(),
            which,
            |key| Ok(edit(key)),
            taken,
        )
        .await
        .unwrap()
}
