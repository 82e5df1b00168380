//! A change is true when its call returns.

use std::sync::Arc;

use claviger_domain::decision::Verdict;
use claviger_domain::event::EventKind;
use claviger_domain::key_string::{KeyPurpose, PlainKey};
use claviger_store::api_keys::{self, Selector, Status};
use claviger_store::{StoreError, events};
use claviger_testkit::world::{World, everything, only, whole};
use claviger_testkit::{SeededRandom, in_both_worlds};
use claviger_verify::{Creation, Edit, RotationRefused};
use serde_json::Value;

use crate::{Gate, edit};

in_both_worlds![
    a_key_that_was_unknown_is_known_once_it_is_made,
    each_change_is_told_to_the_cache,
    rotation_makes_a_clone_under_a_new_string,
    what_cannot_be_rotated_is_refused,
    a_key_whose_successor_is_not_stored_goes_on,
    a_grace_does_not_outlive_the_key_s_expiry,
    a_rekeyed_key_answers_to_its_new_string_at_once,
    a_key_that_is_rekeyed_and_switched_off_tells_that_it_was_switched_off,
    a_refused_change_changes_nothing,
    nothing_is_made_in_a_project_that_is_gone,
    a_deletion_leaves_what_is_known_of_others,
];

async fn a_key_that_was_unknown_is_known_once_it_is_made(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) = gate.world.draw_api_key(&gate.project, "key");
    assert_eq!(gate.check(&plain).await, Verdict::NotFound);
    assert_eq!(gate.create(&key, &plain).await, Creation::Done);
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
    let (again, _) = gate.world.custom_api_key(&gate.project, "");
    assert_eq!(gate.create(&again, &plain).await, Creation::Duplicate);
}

async fn each_change_is_told_to_the_cache(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) = gate.key(|_| {}).await;
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
    gate.revoke(&key).await;
    assert_eq!(gate.check(&plain).await, Verdict::Revoked);
    gate.edit(&key, |key| key.status = Status::Active).await;
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
    edit(&gate.verifier, &gate.world, &key, |_| Edit::Purge)
        .await
        .unwrap();
    assert_eq!(gate.check(&plain).await, Verdict::NotFound);

    let doomed = gate.world.project(&gate.account, "doomed").await;
    let (key, plain) = gate.world.draw_api_key(&doomed, "key");
    gate.create(&key, &plain).await;
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
    let change = gate.world.change();
    let deleted = gate
        .verifier
        .delete_project(change, gate.reach(), doomed.id)
        .await;
    assert!(deleted.unwrap().is_some());
    assert_eq!(gate.check(&plain).await, Verdict::NotFound);

    let (_, plain) = gate.key(|_| {}).await;
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
    let (change, id) = (gate.world.change(), gate.account.id.clone());
    gate.verifier
        .delete_account(change, everything(), id)
        .await
        .unwrap();
    assert_eq!(gate.check(&plain).await, Verdict::NotFound);
}

async fn rotation_makes_a_clone_under_a_new_string(world: World) {
    let gate = Gate::new(world).await;
    let end = gate.world.now().plus_seconds(1000);
    let (old, plain) = gate
        .key(|key| {
            key.metadata = r#"{"plan":"pro"}"#.to_owned();
            key.custom_user_id = Some("user".to_owned());
            key.scopes = vec!["read".to_owned()];
            key.expires_at = Some(end);
        })
        .await;
    gate.check(&plain).await;
    gate.verifier.flush().await.unwrap();
    gate.world.clock.advance(1);
    let which = Selector::Id(old.id.clone());
    let rotate = |which| {
        gate.verifier
            .rotate_api_key(gate.world.change(), gate.reach(), which, 0)
    };
    let new = rotate(which.clone()).await.unwrap().unwrap();
    assert_eq!(gate.check(&plain).await, Verdict::Revoked);
    assert_eq!(gate.check(&new.plain).await, Verdict::Valid);
    assert_ne!(new.key.id, old.id);
    assert_eq!(new.key.rotated_from, Some(old.id.clone()));
    assert_eq!(new.key.first_used_at, None);
    assert_eq!(new.key.lineage, old.lineage);
    assert_eq!(
        (
            &new.key.metadata,
            &new.key.custom_user_id,
            &new.key.scopes,
            new.key.expires_at
        ),
        (
            &old.metadata,
            &old.custom_user_id,
            &old.scopes,
            old.expires_at
        )
    );
    let stored = api_keys::find(&gate.world.db, &everything(), &which)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.rotated_to, Some(new.key.id.clone()));
    assert_eq!(stored.status, Status::Inactive);

    let trail = events::of_account(&gate.world.db, &gate.account.id, 100)
        .await
        .unwrap();
    let told: Vec<_> = trail.iter().map(|event| event.kind.as_str()).collect();
    let expected = ["api-key.created", "api-key.rotated"];
    assert_eq!(told[told.len() - 2..], expected);
    let data: Value = serde_json::from_str(&trail.last().unwrap().data).unwrap();
    assert_eq!(data["oldId"], old.id.as_str());
    assert_eq!(data["newId"], new.key.id.as_str());
    assert!(
        !trail
            .iter()
            .any(|event| event.data.contains(new.plain.expose()))
    );
}

async fn what_cannot_be_rotated_is_refused(world: World) {
    let gate = Gate::new(world).await;
    let end = gate.world.now();
    let (revoked, _) = gate.key(|_| {}).await;
    gate.revoke(&revoked).await;
    let (expired, _) = gate.key(|key| key.expires_at = Some(end)).await;
    let (fine, _) = gate.key(|_| {}).await;
    let beside = gate.world.project(&gate.account, "beside").await;
    let rotate = async |reach, id: &claviger_store::api_keys::ApiKey| {
        let which = Selector::Id(id.id.clone());
        let rotated = gate
            .verifier
            .rotate_api_key(gate.world.change(), reach, which, 60)
            .await;
        rotated.unwrap().map(|new| new.key.rotated_from)
    };
    assert_eq!(
        rotate(gate.reach(), &revoked).await,
        Err(RotationRefused::Absent)
    );
    assert_eq!(
        rotate(gate.reach(), &expired).await,
        Err(RotationRefused::Absent)
    );
    assert_eq!(
        rotate(only(&[&beside]), &fine).await,
        Err(RotationRefused::Absent)
    );
    assert!(rotate(gate.reach(), &fine).await.is_ok());
    assert_eq!(
        rotate(gate.reach(), &fine).await,
        Err(RotationRefused::InGrace)
    );
}

async fn a_key_whose_successor_is_not_stored_goes_on(world: World) {
    let mut gate = Gate::new(world).await;
    let (key, plain) = gate.key(|_| {}).await;
    // What the next rotation draws is the key string of a key already.
    let drawn = KeyPurpose::ApiKey(key.environment).draw(&SeededRandom::new(42));
    let (other, _) = gate.world.custom_api_key(&gate.project, "");
    assert_eq!(gate.create(&other, &drawn.plain).await, Creation::Done);
    gate.world.random = Arc::new(SeededRandom::new(42));
    gate.restart().await;
    let which = Selector::Id(key.id.clone());
    let rotated = gate
        .verifier
        .rotate_api_key(gate.world.change(), gate.reach(), which, 0)
        .await;
    let refused = rotated.unwrap().map(|new| new.key.id);
    assert_eq!(refused, Err(RotationRefused::Absent));
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
}

async fn a_grace_does_not_outlive_the_key_s_expiry(world: World) {
    let gate = Gate::new(world).await;
    let end = gate.world.now().plus_seconds(10);
    let (short, short_plain) = gate.key(|key| key.expires_at = Some(end)).await;
    let (long, long_plain) = gate.key(|_| {}).await;
    for key in [&short, &long] {
        let which = Selector::Id(key.id.clone());
        let change = gate.world.change();
        let rotated = gate
            .verifier
            .rotate_api_key(change, gate.reach(), which, 60)
            .await;
        assert!(rotated.unwrap().is_ok());
    }
    assert_eq!(gate.check(&short_plain).await, Verdict::Valid);
    gate.world.clock.advance(10);
    assert_ne!(gate.check(&short_plain).await, Verdict::Valid);
    assert_eq!(gate.check(&long_plain).await, Verdict::Valid);
    // Revoking wins over grace.
    gate.revoke(&long).await;
    assert_eq!(gate.check(&long_plain).await, Verdict::Revoked);
}

async fn a_rekeyed_key_answers_to_its_new_string_at_once(world: World) {
    let gate = Gate::new(world).await;
    let (key, old) = gate
        .world
        .custom_api_key(&gate.project, "custom-key-of-old");
    let new = PlainKey::new("custom-key-of-new");
    gate.create(&key, &old).await;
    assert_eq!(gate.check(&old).await, Verdict::Valid);
    assert_eq!(gate.check(&new).await, Verdict::NotFound);
    let plain = new.clone();
    edit(&gate.verifier, &gate.world, &key, |_| {
        Edit::Rekey(plain, EventKind::ApiKeyUpdated, Value::Null)
    })
    .await
    .unwrap();
    assert_eq!(gate.check(&old).await, Verdict::NotFound);
    assert_eq!(gate.check(&new).await, Verdict::Valid);
}

async fn a_key_that_is_rekeyed_and_switched_off_tells_that_it_was_switched_off(world: World) {
    let gate = Gate::new(world).await;
    let (key, old) = gate
        .world
        .custom_api_key(&gate.project, "custom-key-of-old");
    gate.create(&key, &old).await;
    let new = PlainKey::new("custom-key-of-new");
    let plain = new.clone();
    edit(&gate.verifier, &gate.world, &key, |key| {
        key.status = Status::Inactive;
        Edit::Rekey(plain, EventKind::ApiKeyDeleted, Value::Null)
    })
    .await
    .unwrap();
    assert_eq!(gate.check(&new).await, Verdict::Revoked);
    let trail = events::of_account(&gate.world.db, &gate.account.id, 100)
        .await
        .unwrap();
    assert_eq!(trail.last().unwrap().kind, "api-key.deleted");
}

async fn a_refused_change_changes_nothing(world: World) {
    let gate = Gate::new(world).await;
    let (taken, taken_plain) = gate
        .world
        .custom_api_key(&gate.project, "custom-key-of-one");
    let (key, plain) = gate
        .world
        .custom_api_key(&gate.project, "custom-key-of-two");
    gate.create(&taken, &taken_plain).await;
    gate.create(&key, &plain).await;
    let change = async |reach, edit: Result<Edit, StoreError>| {
        let which = Selector::Id(key.id.clone());
        gate.verifier
            .edit_api_key::<StoreError>(
                gate.world.change(),
                reach,
                which,
                move |key| {
                    key.status = Status::Inactive;
                    edit
                },
                || StoreError::Unsealing("taken"),
            )
            .await
    };
    let rekey = Edit::Rekey(taken_plain.clone(), EventKind::ApiKeyUpdated, Value::Null);
    let refused = change(gate.reach(), Ok(rekey)).await;
    assert!(
        matches!(refused, Err(StoreError::Unsealing("taken"))),
        "{refused:?}"
    );
    let refused = change(gate.reach(), Err(StoreError::Unsealing("no"))).await;
    assert!(
        matches!(refused, Err(StoreError::Unsealing("no"))),
        "{refused:?}"
    );
    assert!(
        change(gate.reach(), Ok(Edit::Nothing))
            .await
            .unwrap()
            .is_some()
    );
    let foreign = gate.world.account("foreign").await;
    let save = Edit::Save(EventKind::ApiKeyDeleted, Value::Null);
    assert!(change(whole(&foreign), Ok(save)).await.unwrap().is_none());
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
    let trail = events::of_account(&gate.world.db, &gate.account.id, 100)
        .await
        .unwrap();
    assert_eq!(trail.last().unwrap().kind, "api-key.created");
}

async fn nothing_is_made_in_a_project_that_is_gone(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) = gate.world.draw_api_key(&gate.project, "key");
    let (change, id) = (gate.world.change(), gate.project.id.clone());
    gate.verifier
        .delete_project(change, gate.reach(), id)
        .await
        .unwrap();
    assert_eq!(gate.create(&key, &plain).await, Creation::NoProject);
    assert_eq!(gate.check(&plain).await, Verdict::NotFound);
}

async fn a_deletion_leaves_what_is_known_of_others(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) = gate.key(|_| {}).await;
    assert_eq!(gate.check(&plain).await, Verdict::Valid);
    let stranger = gate.world.account("stranger").await;
    for doomed in [&stranger, &gate.account] {
        let doomed = gate.world.project(doomed, "doomed").await;
        let (change, id) = (gate.world.change(), doomed.id.clone());
        let deleted = gate.verifier.delete_project(change, everything(), id).await;
        assert!(deleted.unwrap().is_some());
    }
    let change = gate.world.change();
    gate.verifier
        .delete_account(change, everything(), stranger.id)
        .await
        .unwrap();
    // Past the store, so that only what is in memory knows the key.
    gate.world.raw(false, "DELETE FROM api_keys").await;
    assert_eq!(gate.check(&plain).await, Verdict::Valid, "{}", key.id);
}
