//! Two programs over one PostgreSQL: what one changes, the other forgets once it has heard of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use claviger_domain::decision::{Presented, Verdict};
use claviger_domain::event::EventKind;
use claviger_domain::key_hash::KeyHash;
use claviger_domain::key_string::PlainKey;
use claviger_domain::role::Role;
use claviger_store::access_keys::{self, AccessKey};
use claviger_store::api_keys::{ApiKey, Selector, Status};
use claviger_store::{FeedError, StoreError};
use claviger_testkit::postgres::Server;
use claviger_testkit::world::{World, everything};
use claviger_verify::{
    Bounds, Brought, Counting, Creation, Edit, Imported, LookError, Looked, Question, Verifier,
};
use futures::future::join_all;
use serde_json::Value;

use crate::{Gate, ask, edit, start};

/// Bounds in seconds of a clock that stands still.
const BOUNDS: Bounds = Bounds {
    staleness: Duration::from_secs(10),
    away: Duration::from_mins(1),
};

/// One program, and another over the same database that follows it.
struct Pair {
    near: Gate,
    far: Arc<Verifier>,
}

impl Pair {
    async fn new() -> Self {
        Self::over(World::on_postgres().await).await
    }

    async fn over(world: World) -> Self {
        let near = Gate::new(world).await;
        let far = start(&near.world).await;
        far.follow(BOUNDS).await.unwrap();
        Self { near, far }
    }

    /// Checks a key where it was not changed.
    async fn check(&self, plain: &PlainKey) -> Verdict {
        let reach = self.near.reach();
        ask(&self.far, &reach, plain, 1, Counting::Counts)
            .await
            .verdict
    }

    async fn hear(&self) {
        self.far.hear().await.unwrap();
    }

    /// How often the other program asked the database for keys.
    fn looks(&self) -> u64 {
        let looks = self.far.looks_for_keys();
        looks
            .filter(|(outcome, _)| *outcome == Looked::Found)
            .map(|(_, count)| count)
            .sum()
    }

    /// Whether the other program takes it for an access key that is live.
    async fn presents(&self, plain: &PlainKey) -> bool {
        let presenter = self.far.presenter(plain.expose(), None).await;
        presenter.unwrap().is_some()
    }

    async fn custom_key(&self, text: &str) -> (ApiKey, PlainKey) {
        let (key, plain) = self.near.world.custom_api_key(&self.near.project, text);
        assert_eq!(self.near.create(&key, &plain).await, Creation::Done);
        (key, plain)
    }

    async fn import(&self, row: Brought) {
        let (key, _) = self.near.world.custom_api_key(&self.near.project, "");
        let (change, project) = (self.near.world.change(), &self.near.project);
        let verifier = &self.near.verifier;
        let outcomes = verifier.import_api_keys(&change, project, vec![(key, row)]);
        let outcomes = outcomes.await.unwrap();
        assert!(matches!(outcomes[..], [Imported::Created(_)]));
    }

    async fn access_key(&self, projects: Option<&[&claviger_store::projects::Project]>) -> Access {
        let world = &self.near.world;
        let (key, plain) = world.draw_access_key(&self.near.account, projects, Role::Admin);
        let change = world.change();
        let made = self
            .near
            .verifier
            .create_access_key(change, key.clone(), &plain);
        assert!(made.await.unwrap());
        assert!(self.presents(&plain).await);
        Access { key, plain }
    }

    async fn delete_project(&self) {
        let (change, id) = (self.near.world.change(), self.near.project.id.clone());
        let verifier = &self.near.verifier;
        let deleted = verifier.delete_project(change, everything(), id).await;
        assert!(deleted.unwrap().is_some());
    }
}

struct Access {
    key: AccessKey,
    plain: PlainKey,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_program_changed_is_looked_at_anew() {
    let pair = Pair::new().await;
    let near = &pair.near;
    let changes: [fn(&mut ApiKey) -> Edit; 3] = [
        |key| {
            key.status = Status::Inactive;
            Edit::Save(EventKind::ApiKeyDeleted, Value::Null)
        },
        |key| {
            key.expires_at = Some(key.base.created_at);
            Edit::Save(EventKind::ApiKeyUpdated, Value::Null)
        },
        |_| Edit::Purge,
    ];
    for change in changes {
        let (key, plain) = near.key(|_| {}).await;
        assert_eq!(pair.check(&plain).await, Verdict::Valid);
        edit(&near.verifier, &near.world, &key, change).await;
        // It was told to this one alone, and the other has it in memory still.
        assert_eq!(pair.check(&plain).await, Verdict::Valid);
        pair.hear().await;
        assert_ne!(pair.check(&plain).await, Verdict::Valid);
    }
    let (key, plain) = near.key(|key| key.status = Status::Inactive).await;
    assert_eq!(pair.check(&plain).await, Verdict::Revoked);
    near.edit(&key, |key| key.status = Status::Active).await;
    pair.hear().await;
    assert_eq!(pair.check(&plain).await, Verdict::Valid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_program_rotated_stops() {
    let pair = Pair::new().await;
    let (key, plain) = pair.near.key(|_| {}).await;
    assert_eq!(pair.check(&plain).await, Verdict::Valid);
    let which = Selector::Id(key.id.clone());
    let (change, reach) = (pair.near.world.change(), pair.near.reach());
    let verifier = &pair.near.verifier;
    let rotated = verifier.rotate_api_key(change, reach, which, 0).await;
    pair.hear().await;
    assert_eq!(pair.check(&plain).await, Verdict::Revoked);
    let new = rotated.unwrap().unwrap();
    assert_eq!(pair.check(&new.plain).await, Verdict::Valid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_key_that_another_program_gave_another_string_has_that_one_alone() {
    let pair = Pair::new().await;
    let (key, old) = pair.custom_key("custom-key-of-before").await;
    let new = PlainKey::new("custom-key-of-after");
    assert_eq!(pair.check(&old).await, Verdict::Valid);
    assert_eq!(pair.check(&new).await, Verdict::NotFound);
    let given = new.clone();
    edit(&pair.near.verifier, &pair.near.world, &key, |_| {
        Edit::Rekey(given, EventKind::ApiKeyUpdated, Value::Null)
    })
    .await;
    pair.hear().await;
    assert_eq!(pair.check(&old).await, Verdict::NotFound);
    assert_eq!(pair.check(&new).await, Verdict::Valid);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_were_known_to_be_absent_are_found_once_another_program_made_them() {
    let pair = Pair::new().await;
    let no_checksum: String = std::iter::repeat_n('a', 58).collect();
    let foreign = format!("live_{no_checksum}000000");
    let created = [PlainKey::new("custom-key-of-mine"), PlainKey::new(foreign)];
    let brought = PlainKey::new("custom-key-of-import");
    let hashed = PlainKey::new("custom-key-of-a-hash");
    for plain in created.iter().chain([&brought, &hashed]) {
        assert_eq!(pair.check(plain).await, Verdict::NotFound);
    }
    for plain in &created {
        pair.custom_key(plain.expose()).await;
        assert_eq!(pair.check(plain).await, Verdict::NotFound);
        pair.hear().await;
        assert_eq!(pair.check(plain).await, Verdict::Valid);
    }
    pair.import(Brought::Plain(brought.clone())).await;
    pair.import(Brought::Hash(KeyHash::of(hashed.expose())))
        .await;
    pair.hear().await;
    assert_eq!(pair.check(&brought).await, Verdict::Valid);
    assert_eq!(pair.check(&hashed).await, Verdict::Valid);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_hash_of_a_family_is_heard_of() {
    let pair = Pair::new().await;
    let hashed = PlainKey::new("custom-key-of-a-hash");
    assert_eq!(pair.check(&hashed).await, Verdict::NotFound);
    pair.import(Brought::Hash(KeyHash::of(hashed.expose())))
        .await;
    pair.hear().await;
    assert_eq!(pair.check(&hashed).await, Verdict::Valid);
    // And the string that it got by that is known where it was brought.
    assert_eq!(pair.near.check(&hashed).await, Verdict::Valid);
}

#[tokio::test(flavor = "multi_thread")]
async fn access_keys_that_another_program_changed_are_looked_at_anew() {
    let pair = Pair::new().await;
    let near = &pair.near;
    let off = pair.access_key(None).await;
    let which = access_keys::Selector::Id(off.key.id.clone());
    let (change, reach) = (near.world.change(), near.reach());
    let switch_off = |key: &mut AccessKey| {
        key.is_active = false;
        Ok(Some((EventKind::AccessKeyDeleted, Value::Null)))
    };
    let edited = near
        .verifier
        .edit_access_key::<StoreError>(change, reach, which, switch_off);
    assert!(edited.await.unwrap().is_some());

    let old = pair.access_key(None).await;
    let which = access_keys::Selector::Id(old.key.id.clone());
    let (change, reach) = (near.world.change(), near.reach());
    let anybody = |_: &AccessKey| Ok::<_, StoreError>(());
    let rotated = near
        .verifier
        .rotate_access_key(change, reach, which, 0, anybody);
    let new = rotated.await.unwrap().unwrap();
    pair.hear().await;
    assert!(!pair.presents(&off.plain).await);
    assert!(!pair.presents(&old.plain).await);
    assert!(pair.presents(&new.plain).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_with_a_project_or_an_account_is_forgotten() {
    let pair = Pair::new().await;
    let near = &pair.near;
    let other = near.world.project(&near.account, "other").await;
    let (_, plain) = near.key(|_| {}).await;
    assert_eq!(pair.check(&plain).await, Verdict::Valid);
    let one = pair.access_key(Some(&[&near.project])).await;
    let both = pair.access_key(Some(&[&near.project, &other])).await;
    let whole = pair.access_key(None).await;
    pair.delete_project().await;
    pair.hear().await;
    assert_eq!(pair.check(&plain).await, Verdict::NotFound);
    assert!(!pair.presents(&one.plain).await);
    let narrowed = pair.far.presenter(both.plain.expose(), None).await;
    let rights = narrowed.unwrap().unwrap().rights();
    let reach = rights.reach(claviger_domain::permission::Permission::KeysRead);
    assert_eq!(reach.unwrap().projects, [other.id.clone()]);

    let (key, plain) = near.world.draw_api_key(&other, "left");
    assert_eq!(near.create(&key, &plain).await, Creation::Done);
    assert_eq!(pair.check(&plain).await, Verdict::Valid);
    let (change, id) = (near.world.change(), near.account.id.clone());
    let deleted = near.verifier.delete_account(change, everything(), id);
    deleted.await.unwrap();
    pair.hear().await;
    assert_eq!(pair.check(&plain).await, Verdict::NotFound);
    assert!(!pair.presents(&whole.plain).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_that_another_program_made_or_deleted_are_looked_at_anew() {
    let pair = Pair::new().await;
    let (near, reach) = (&pair.near, everything());
    let account = near.account.reference();
    let only = async || {
        let found = pair.far.only_project(&reach, &account).await;
        found.unwrap().map(|project| project.id)
    };
    let is_there = async |id| pair.far.project(&reach, id).await.unwrap().is_some();
    assert_eq!(only().await.as_ref(), Some(&near.project.id));
    assert!(is_there(&near.project.id).await);
    let other = near.world.project(&near.account, "other").await;
    pair.hear().await;
    assert_eq!(only().await, None);
    pair.delete_project().await;
    pair.hear().await;
    assert_eq!(only().await, Some(other.id));
    assert!(!is_there(&near.project.id).await);
    let (change, id) = (near.world.change(), near.account.id.clone());
    let deleted = near.verifier.delete_account(change, everything(), id);
    deleted.await.unwrap();
    pair.hear().await;
    assert_eq!(only().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_leaves_what_it_does_not_concern_in_memory() {
    let pair = Pair::new().await;
    let (hot, plain) = pair.near.key(|_| {}).await;
    assert_eq!(pair.check(&plain).await, Verdict::Valid);
    pair.near.verifier.flush().await.unwrap();
    pair.far.flush().await.unwrap();
    let looks = pair.looks();
    for _ in 0..3 {
        let (key, _) = pair.near.key(|_| {}).await;
        pair.near.revoke(&key).await;
        pair.import(Brought::Plain(PlainKey::new(
            key.id.as_str().replace('_', "-"),
        )))
        .await;
        pair.hear().await;
    }
    assert_eq!(pair.check(&plain).await, Verdict::Valid);
    assert_eq!(pair.looks(), looks);
    pair.near
        .edit(&hot, |key| key.name = "new".to_owned())
        .await;
    pair.hear().await;
    assert_eq!(pair.check(&plain).await, Verdict::Valid);
    assert_eq!(pair.looks(), looks + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_hears_nothing_for_longer_than_its_bound_asks_the_database() {
    let pair = Pair::new().await;
    let (key, plain) = pair.near.key(|_| {}).await;
    let absent = PlainKey::new("custom-key-of-later");
    let access = pair.access_key(None).await;
    assert_eq!(pair.check(&plain).await, Verdict::Valid);
    assert_eq!(pair.check(&absent).await, Verdict::NotFound);
    pair.near.revoke(&key).await;
    pair.custom_key(absent.expose()).await;
    let which = access_keys::Selector::Id(access.key.id.clone());
    let (change, reach) = (pair.near.world.change(), pair.near.reach());
    let switch_off = |key: &mut AccessKey| {
        key.is_active = false;
        Ok(Some((EventKind::AccessKeyDeleted, Value::Null)))
    };
    let verifier = &pair.near.verifier;
    let edited = verifier.edit_access_key::<StoreError>(change, reach, which, switch_off);
    edited.await.unwrap();

    pair.near.world.clock.advance(10);
    assert_eq!(pair.check(&plain).await, Verdict::Valid);
    pair.near.world.clock.advance(1);
    assert_eq!(pair.check(&plain).await, Verdict::Revoked);
    assert_eq!(pair.check(&absent).await, Verdict::Valid);
    assert!(!pair.presents(&access.plain).await);
    assert!(pair.far.known_access_key(access.plain.expose()).is_none());

    // What it read meanwhile is as good as what it read before: it is told of what came after.
    pair.near
        .edit(&key, |key| key.status = Status::Active)
        .await;
    pair.hear().await;
    assert_eq!(pair.check(&plain).await, Verdict::Valid);
    let looks = pair.looks();
    assert_eq!(pair.check(&plain).await, Verdict::Valid);
    assert_eq!(pair.looks(), looks);
}

/// Bounds of a program that gives up waiting soon.
const SHORT: Bounds = Bounds {
    staleness: Duration::from_millis(500),
    away: Duration::from_millis(500),
};

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_put_back_lengthens_no_bound() {
    let pair = Pair::new().await;
    pair.far.follow(SHORT).await.unwrap();
    let (key, plain) = pair.near.key(|_| {}).await;
    assert_eq!(pair.check(&plain).await, Verdict::Valid);
    pair.near.revoke(&key).await;
    let _held = pair.near.world.hold_table("events").await;
    pair.near.world.clock.advance(-3_600);
    assert!(matches!(pair.far.hear().await, Err(FeedError::Silent(_))));
    assert_eq!(pair.check(&plain).await, Verdict::Revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_is_made_anew_and_nothing_is_missed() {
    const CUT: &str = "SELECT CAST(pg_terminate_backend(pid) AS TEXT) FROM pg_stat_activity \
                       WHERE application_name = 'claviger feed' AND datname = current_database()";
    let pair = Pair::new().await;
    let (key, plain) = pair.near.key(|_| {}).await;
    let (other, unchanged) = pair.near.key(|_| {}).await;
    for plain in [&plain, &unchanged] {
        assert_eq!(pair.check(plain).await, Verdict::Valid);
    }
    let looks = pair.looks();
    assert_eq!(pair.near.world.raw(false, CUT).await, ["true"]);
    pair.near.revoke(&key).await;
    pair.hear().await;
    assert_eq!(pair.check(&plain).await, Verdict::Revoked);
    assert_eq!(pair.check(&unchanged).await, Verdict::Valid);
    assert_eq!(pair.looks(), looks + 1, "{} is in memory", other.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_memory_is_believed_up_to_a_bound_of_its_own() {
    let mut server = Server::start().unwrap();
    let pair = Pair::over(World::on(&server).await).await;
    let clock = Arc::clone(&pair.near.world.clock);
    let (key, plain) = pair.near.key(|_| {}).await;
    let (_, unchanged) = pair.near.key(|_| {}).await;
    let access = pair.access_key(None).await;
    for plain in [&plain, &unchanged] {
        assert_eq!(pair.check(plain).await, Verdict::Valid);
    }
    let looks = pair.looks();
    server.kill().unwrap();
    clock.advance(60);
    assert!(matches!(pair.far.hear().await, Err(FeedError::Away(_))));
    assert_eq!(pair.check(&plain).await, Verdict::Valid);
    assert!(pair.presents(&access.plain).await);
    clock.advance(1);
    let reach = pair.near.reach();
    let question = Question {
        presented: Presented::default(),
        cost: 1,
        counting: Counting::Counts,
    };
    let refused = pair.far.check(None, &reach, plain.expose(), &question);
    let refused = refused.await;
    assert!(
        matches!(&refused, Err(LookError::Store(error)) if error.is_unavailable()),
        "{refused:?}"
    );
    server.start_again().unwrap();
    pair.near.revoke(&key).await;
    pair.hear().await;
    assert_eq!(pair.check(&plain).await, Verdict::Revoked);
    // What did not change is in memory still.
    assert_eq!(pair.check(&unchanged).await, Verdict::Valid);
    assert_eq!(pair.looks(), looks + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_changes_by_many_at_once_none_is_missed() {
    const WRITERS: usize = 16;
    const KEYS: usize = 24;
    let pair = Arc::new(Pair::new().await);
    let is_over = Arc::new(AtomicBool::new(false));
    let (listening, over) = (Arc::clone(&pair), Arc::clone(&is_over));
    let listener = tokio::spawn(async move {
        while !over.load(Ordering::SeqCst) {
            listening.hear().await;
        }
    });
    let writers = (0..WRITERS).map(|_| {
        let pair = Arc::clone(&pair);
        tokio::spawn(async move {
            let mut revoked = Vec::new();
            for _ in 0..KEYS {
                let (key, plain) = pair.near.key(|_| {}).await;
                assert_eq!(pair.check(&plain).await, Verdict::Valid);
                pair.near.revoke(&key).await;
                revoked.push(plain);
            }
            revoked
        })
    });
    let revoked = join_all(writers.collect::<Vec<_>>()).await;
    is_over.store(true, Ordering::SeqCst);
    listener.await.unwrap();
    pair.hear().await;
    let looks = pair.looks();
    for plain in revoked.into_iter().flat_map(Result::unwrap) {
        assert_eq!(pair.check(&plain).await, Verdict::Revoked);
    }
    // None but by looking anew: each was forgotten.
    assert_eq!(pair.looks() - looks, (WRITERS * KEYS) as u64);
}
