//! Changes beside checks: what was changed is not undone by a look that was under way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use claviger_domain::address::parse_network;
use claviger_domain::decision::Verdict;
use claviger_domain::event::EventKind;
use claviger_domain::key_string::PlainKey;
use claviger_domain::rights::Reach;
use claviger_store::StoreError;
use claviger_store::api_keys::{ApiKey, Selector, Status};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;
use claviger_verify::{Brought, Counting, Creation, Edit, Imported, Verifier};
use futures::future::join_all;
use serde_json::Value;

use crate::{Gate, ask, edit};

in_both_worlds![
    no_check_that_starts_after_a_change_returned_sees_what_was_before,
    a_change_whose_caller_goes_away_is_told_all_the_same,
    no_key_outlives_its_project_by_being_made_beside_its_deletion,
    no_access_key_outlives_its_account_by_being_rotated_beside_its_deletion,
    no_access_key_is_rotated_as_it_was_before_it_was_changed,
    imports_that_are_written_together_are_each_told_their_own,
];

const TASKS: usize = 64;
const TRIES: usize = 16;

/// Checks a key until `stop`, and counts the acceptances of checks that started after `returned`.
async fn watch(
    verifier: Arc<Verifier>,
    reach: Reach,
    plain: PlainKey,
    returned: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
) -> usize {
    let mut late = 0;
    while !stop.load(Ordering::SeqCst) {
        let started_late = returned.load(Ordering::SeqCst);
        let checked = ask(&verifier, &reach, &plain, 1, Counting::Counts).await;
        late += usize::from(started_late && checked.verdict == Verdict::Valid);
        tokio::task::yield_now().await;
    }
    late
}

async fn no_check_that_starts_after_a_change_returned_sees_what_was_before(world: World) {
    let gate = Arc::new(Gate::new(world).await);
    let tasks = (0..TASKS).map(|task| {
        let gate = Arc::clone(&gate);
        tokio::spawn(async move {
            let mut late = 0;
            for attempt in 0..TRIES {
                // The budget for keys that are not there, such as purged ones, is a second's.
                gate.world.clock.advance(1);
                let (key, plain) = gate.key(|_| {}).await;
                let (returned, stop) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
                let watcher = tokio::spawn(watch(
                    Arc::clone(&gate.verifier),
                    gate.reach(),
                    plain.clone(),
                    Arc::clone(&returned),
                    Arc::clone(&stop),
                ));
                if attempt % 2 == 0 {
                    // So that the key is cached; else the first look is under way.
                    gate.check(&plain).await;
                }
                close(&gate, &key, task + attempt).await;
                returned.store(true, Ordering::SeqCst);
                for _ in 0..4 {
                    late += usize::from(gate.check(&plain).await == Verdict::Valid);
                    tokio::task::yield_now().await;
                }
                stop.store(true, Ordering::SeqCst);
                late += watcher.await.unwrap();
            }
            late
        })
    });
    let late: usize = join_all(tasks).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(late, 0);
}

/// Makes a key useless, in one of the ways there are.
async fn close(gate: &Gate, key: &ApiKey, way: usize) {
    match way % 4 {
        0 => gate.revoke(key).await,
        1 => {
            let network = parse_network("10.0.0.1").unwrap();
            gate.edit(key, move |key| key.allowed_ips = vec![network])
                .await;
        }
        2 => {
            let which = Selector::Id(key.id.clone());
            let change = gate.world.change();
            let rotated = gate
                .verifier
                .rotate_api_key(change, gate.reach(), which, 0)
                .await;
            assert!(rotated.unwrap().is_ok());
        }
        _ => {
            let purged = edit(&gate.verifier, &gate.world, key, |_| Edit::Purge).await;
            assert!(purged.is_some());
        }
    }
}

async fn a_change_whose_caller_goes_away_is_told_all_the_same(world: World) {
    let gate = Gate::new(world).await;
    let mut keys = Vec::new();
    for patience in 0..40 {
        let (key, plain) = gate.key(|_| {}).await;
        assert_eq!(gate.check(&plain).await, Verdict::Valid);
        let change = gate.verifier.edit_api_key::<StoreError>(
            gate.world.change(),
            gate.reach(),
            Selector::Id(key.id.clone()),
            |key| {
                key.status = Status::Inactive;
                Ok(Edit::Save(EventKind::ApiKeyDeleted, Value::Null))
            },
            || StoreError::Unsealing("taken"),
        );
        let waiting = async {
            for _ in 0..patience {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            changed = change => { changed.unwrap(); }
            () = waiting => {}
        }
        keys.push(plain);
    }
    // Each change goes on by itself to its end; one whose end the cache is not told never gets there.
    let all_closed = async {
        for plain in &keys {
            while gate.check(plain).await != Verdict::Revoked {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_closed)
        .await
        .expect("every key is closed");
}

async fn no_key_outlives_its_project_by_being_made_beside_its_deletion(world: World) {
    let gate = Gate::new(world).await;
    for round in 0..20 {
        let project = gate.world.project(&gate.account, "doomed").await;
        let (first, first_plain) = gate.world.draw_api_key(&project, "first");
        let (second, second_plain) = gate.world.draw_api_key(&project, "second");
        assert_eq!(gate.create(&first, &first_plain).await, Creation::Done);
        let delete = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            let (change, id) = (gate.world.change(), project.id.clone());
            gate.verifier
                .delete_project(change, gate.reach(), id)
                .await
                .unwrap()
        };
        let rotate = gate.verifier.rotate_api_key(
            gate.world.change(),
            gate.reach(),
            Selector::Id(first.id.clone()),
            60,
        );
        let (_, rotated, deleted) =
            tokio::join!(gate.create(&second, &second_plain), rotate, delete);
        assert!(deleted.is_some());
        let successor = rotated.unwrap().ok().map(|new| new.plain);
        for plain in [&first_plain, &second_plain].into_iter().chain(&successor) {
            assert_eq!(gate.check(plain).await, Verdict::NotFound);
        }
    }
}

async fn no_access_key_outlives_its_account_by_being_rotated_beside_its_deletion(world: World) {
    use claviger_domain::role::Role;
    use claviger_store::access_keys;

    let gate = Gate::new(world).await;
    for _ in 0..20 {
        let account = gate.world.account("doomed").await;
        let reach = claviger_testkit::world::whole(&account);
        let (key, plain) = gate.world.draw_access_key(&account, None, Role::Owner);
        let change = gate.world.change();
        assert!(
            gate.verifier
                .create_access_key(change, key.clone(), &plain)
                .await
                .unwrap()
        );
        let rotate = gate.verifier.rotate_access_key(
            gate.world.change(),
            reach.clone(),
            access_keys::Selector::Id(key.id),
            60,
            |_| Ok::<_, claviger_store::StoreError>(()),
        );
        let delete = gate
            .verifier
            .delete_account(gate.world.change(), reach, account.id);
        let (rotated, deleted) = tokio::join!(rotate, delete);
        deleted.unwrap();
        let successor = rotated.unwrap().ok().map(|new| new.plain);
        for plain in std::iter::once(&plain).chain(&successor) {
            let presenter = gate.verifier.presenter(plain.expose(), None).await.unwrap();
            assert!(presenter.is_none());
        }
    }
}

async fn no_access_key_is_rotated_as_it_was_before_it_was_changed(world: World) {
    use claviger_domain::role::Role;
    use claviger_store::access_keys::{self, AccessKey};

    let gate = Gate::new(world).await;
    for _ in 0..20 {
        let (mut key, plain) = gate.world.draw_access_key(&gate.account, None, Role::Owner);
        key.expires_at = Some(gate.world.now().plus_seconds(60));
        let which = access_keys::Selector::Id(key.id.clone());
        let made = gate
            .verifier
            .create_access_key(gate.world.change(), key, &plain);
        assert!(made.await.unwrap());
        // Whoever rotates ends with the key's expiry, which its owner clears meanwhile.
        let rotate = gate.verifier.rotate_access_key(
            gate.world.change(),
            gate.reach(),
            which.clone(),
            60,
            |key| match key.expires_at {
                Some(_) => Ok(()),
                None => Err(StoreError::Unsealing("outlives its maker")),
            },
        );
        let clear = |key: &mut AccessKey| {
            key.expires_at = None;
            Ok::<_, StoreError>(Some((EventKind::AccessKeyUpdated, Value::Null)))
        };
        let change = gate.world.change();
        let edit = gate
            .verifier
            .edit_access_key(change, gate.reach(), which, clear);
        let (rotated, edited) = tokio::join!(rotate, edit);
        edited.unwrap();
        if let Ok(successor) = rotated {
            assert!(successor.unwrap().key.expires_at.is_some());
        }
    }
}

async fn imports_that_are_written_together_are_each_told_their_own(world: World) {
    const IMPORTS: usize = 20;
    const KEYS: usize = 30;
    let gate = Gate::new(world).await;
    let (key, _) = gate.world.custom_api_key(&gate.project, "");
    // The last of each is the first of the next.
    let plain = |place: usize| PlainKey::new(format!("moved-here-beside-others-{place:04}"));
    let imports = (0..IMPORTS).map(|import| {
        let rows = (0..=KEYS).map(|row| (key.clone(), Brought::Plain(plain(import * KEYS + row))));
        let (verifier, change) = (Arc::clone(&gate.verifier), gate.world.change());
        let (project, rows) = (gate.project.clone(), rows.collect());
        tokio::spawn(async move { verifier.import_api_keys(&change, &project, rows).await })
    });
    let mut told = HashMap::<usize, Vec<Imported>>::new();
    for (import, outcomes) in join_all(imports).await.into_iter().enumerate() {
        for (row, outcome) in outcomes.unwrap().unwrap().into_iter().enumerate() {
            told.entry(import * KEYS + row).or_default().push(outcome);
        }
    }
    assert_eq!(told.len(), IMPORTS * KEYS + 1);
    let mut ids = HashSet::new();
    for (place, outcomes) in told {
        let mut created = 0;
        let mut of_one = HashSet::new();
        for outcome in outcomes {
            match outcome {
                Imported::Created(id) => {
                    created += 1;
                    of_one.insert(id);
                }
                Imported::Exists(id) => drop(of_one.insert(id)),
                other => panic!("{place}: {other:?}"),
            }
        }
        assert_eq!((created, of_one.len()), (1, 1), "of key {place}");
        ids.extend(of_one);
        assert_eq!(gate.check(&plain(place)).await, Verdict::Valid);
    }
    assert_eq!(ids.len(), IMPORTS * KEYS + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_an_import_has_begun_does_not_end_with_whoever_asked_for_it() {
    const WAITING: &str = "SELECT 'waiting' FROM pg_stat_activity \
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let gate = Gate::new(World::on_postgres().await).await;
    let held = gate.world.hold_table("projects").await;
    let (key, _) = gate.world.custom_api_key(&gate.project, "");
    let plain = PlainKey::new("moved-here-in-a-slice");
    let import = |key: &ApiKey, plain: &PlainKey| {
        let (verifier, change) = (Arc::clone(&gate.verifier), gate.world.change());
        let row = (key.clone(), Brought::Plain(plain.clone()));
        let project = gate.project.clone();
        tokio::spawn(async move {
            verifier
                .import_api_keys(&change, &project, vec![row])
                .await
                .unwrap()
        })
    };
    let first = import(&key, &plain);
    while !first.is_finished() && gate.world.raw(false, WAITING).await.is_empty() {}
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let second = import(&key, &plain);
    drop(held);
    let told = second.await.unwrap();
    assert!(matches!(&told[..], [Imported::Exists(_)]), "{told:?}");
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
}
