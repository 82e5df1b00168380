//! Callers by the credential that they present.

use claviger_domain::event::EventKind;
use claviger_domain::key_string::{KeyPurpose, PlainKey};
use claviger_domain::limit::RateLimit;
use claviger_domain::permission::Permission;
use claviger_domain::role::Role;
use claviger_store::access_keys::{self, AccessKey, Selector};
use claviger_store::projects::Project;
use claviger_store::{StoreError, operator_keys};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything};
use claviger_verify::{CallerLimit, Presenter};
use serde_json::Value;

use crate::Gate;

in_both_worlds![
    an_access_key_is_known_from_the_moment_it_is_made_until_it_is_switched_off,
    a_rotated_access_key_stops_at_once_or_after_its_grace,
    what_is_judged_not_to_be_rotated_stays_as_it_is,
    an_access_key_goes_with_its_account,
    an_access_key_goes_with_its_last_project,
    no_access_key_is_made_for_a_project_that_is_gone,
    an_operator_key_holds_everything,
    what_is_no_credential_is_nobody,
    a_caller_s_limit_is_counted_over_changes_and_restarts,
    a_caller_s_limit_follows_the_key_through_rotation_and_grace,
    a_call_in_the_name_of_a_key_is_counted_with_those_that_present_it,
];

async fn make(gate: &Gate, key: &AccessKey, plain: &PlainKey) -> bool {
    let change = gate.world.change();
    gate.verifier
        .create_access_key(change, key.clone(), plain)
        .await
        .unwrap()
}

async fn presenter(gate: &Gate, plain: &PlainKey) -> Option<Presenter> {
    gate.verifier.presenter(plain.expose(), None).await.unwrap()
}

async fn edit(gate: &Gate, key: &AccessKey, edit: impl FnOnce(&mut AccessKey) + Send + 'static) {
    let which = Selector::Id(key.id.clone());
    gate.verifier
        .edit_access_key::<StoreError>(gate.world.change(), gate.reach(), which, |key| {
            edit(key);
            Ok(Some((EventKind::AccessKeyUpdated, Value::Null)))
        })
        .await
        .unwrap()
        .expect("the key is there");
}

async fn an_access_key_is_known_from_the_moment_it_is_made_until_it_is_switched_off(world: World) {
    let gate = Gate::new(world).await;
    let projects = [&gate.project];
    let (mut key, plain) = gate
        .world
        .draw_access_key(&gate.account, Some(&projects), Role::Viewer);
    key.expires_at = Some(gate.world.now().plus_seconds(60));
    assert!(presenter(&gate, &plain).await.is_none());
    assert!(make(&gate, &key, &plain).await);
    let rights = presenter(&gate, &plain).await.unwrap().rights();
    assert_eq!(
        rights.reach(Permission::KeysRead).unwrap().projects,
        [gate.project.id.clone()]
    );
    assert!(rights.reach(Permission::KeysWrite).is_none());
    edit(&gate, &key, |key| key.is_active = false).await;
    assert!(presenter(&gate, &plain).await.is_none());
    edit(&gate, &key, |key| key.is_active = true).await;
    assert!(presenter(&gate, &plain).await.is_some());
    gate.world.clock.advance(60);
    assert!(presenter(&gate, &plain).await.is_none());
}

async fn a_rotated_access_key_stops_at_once_or_after_its_grace(world: World) {
    let gate = Gate::new(world).await;
    for grace in [0, 60] {
        let (key, plain) = gate.world.draw_access_key(&gate.account, None, Role::Admin);
        make(&gate, &key, &plain).await;
        assert!(presenter(&gate, &plain).await.is_some());
        let which = Selector::Id(key.id.clone());
        let change = gate.world.change();
        let new = gate
            .verifier
            .rotate_access_key(change, gate.reach(), which, grace, |_| {
                Ok::<_, StoreError>(())
            })
            .await;
        let new = new.unwrap().unwrap();
        assert_eq!(new.key.role, key.role);
        assert!(presenter(&gate, &new.plain).await.is_some());
        assert_eq!(presenter(&gate, &plain).await.is_some(), grace > 0);
        gate.world.clock.advance(60);
        assert!(presenter(&gate, &plain).await.is_none());
        assert!(presenter(&gate, &new.plain).await.is_some());
    }
}

async fn what_is_judged_not_to_be_rotated_stays_as_it_is(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) = gate.world.draw_access_key(&gate.account, None, Role::Admin);
    make(&gate, &key, &plain).await;
    let which = Selector::Id(key.id.clone());
    let change = gate.world.change();
    let nobody = |_: &AccessKey| Err(StoreError::Unsealing("nobody"));
    let refused = gate
        .verifier
        .rotate_access_key(change, gate.reach(), which.clone(), 0, nobody)
        .await;
    assert!(matches!(refused, Err(StoreError::Unsealing(_))));
    let stored = access_keys::find(&gate.world.db, &gate.reach(), &which).await;
    assert_eq!(stored.unwrap().unwrap().rotated_to, None);
    assert!(presenter(&gate, &plain).await.is_some());
}

async fn an_access_key_goes_with_its_account(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) = gate.world.draw_access_key(&gate.account, None, Role::Owner);
    let (late, late_plain) = gate.world.draw_access_key(&gate.account, None, Role::Owner);
    make(&gate, &key, &plain).await;
    assert!(presenter(&gate, &plain).await.is_some());
    let (change, id) = (gate.world.change(), gate.account.id.clone());
    gate.verifier
        .delete_account(change, gate.reach(), id)
        .await
        .unwrap();
    assert!(presenter(&gate, &plain).await.is_none());
    assert!(!make(&gate, &late, &late_plain).await);
    assert!(presenter(&gate, &late_plain).await.is_none());
}

async fn an_operator_key_holds_everything(world: World) {
    let gate = Gate::new(world).await;
    let drawn = KeyPurpose::Operator.draw(&*gate.world.random);
    let id = claviger_domain::id::Id::from_suffix(&drawn.public);
    let (digest, made) = (gate.verifier.digest(drawn.plain.expose()), id.clone());
    gate.world
        .write(move |tx, change| {
            Box::pin(async move { operator_keys::create(tx, &change, &made, &digest).await })
        })
        .await;
    let presenter = presenter(&gate, &drawn.plain).await.unwrap();
    assert!(matches!(&presenter, Presenter::Operator(found) if *found == id));
    assert_eq!(
        presenter.rights().reach(Permission::KeysRead),
        Some(everything())
    );
    assert_eq!(gate.verifier.take_call(&presenter), CallerLimit::Within);

    // Ended past the verifier, as a command on the machine does it.
    let now = gate.world.now();
    gate.world
        .write(move |tx, change| {
            Box::pin(async move { operator_keys::end(tx, &change, &id, now).await })
        })
        .await;
    assert!(self::presenter(&gate, &drawn.plain).await.is_none());
}

async fn what_is_no_credential_is_nobody(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) = gate.world.draw_access_key(&gate.account, None, Role::Owner);
    make(&gate, &key, &plain).await;
    let (_, api_key) = gate.key(|_| {}).await;
    let mut typo = plain.expose().to_owned();
    let last = if typo.pop() == Some('a') { 'b' } else { 'a' };
    typo.push(last);
    for text in [
        key.id.as_str(),
        &key.reference(),
        &typo,
        api_key.expose(),
        "",
    ] {
        assert!(
            presenter(&gate, &PlainKey::new(text)).await.is_none(),
            "{text}"
        );
    }
}

async fn a_caller_s_limit_is_counted_over_changes_and_restarts(world: World) {
    let mut gate = Gate::new(world).await;
    let (mut key, plain) = gate.world.draw_access_key(&gate.account, None, Role::Owner);
    key.rate_limit = RateLimit::new(2, 3600);
    make(&gate, &key, &plain).await;
    let call = async |gate: &Gate| {
        let presenter = presenter(gate, &plain).await.unwrap();
        gate.verifier.take_call(&presenter)
    };
    assert_eq!(call(&gate).await, CallerLimit::Within);
    edit(&gate, &key, |key| key.name = "renamed".to_owned()).await;
    assert_eq!(call(&gate).await, CallerLimit::Within);
    edit(&gate, &key, |key| key.name = "again".to_owned()).await;
    assert!(matches!(call(&gate).await, CallerLimit::Over(level) if level.used == 2));
    gate.verifier.flush().await.unwrap();
    gate.restart().await;
    assert!(matches!(call(&gate).await, CallerLimit::Over(_)));
    gate.world.clock.advance(3600);
    assert_eq!(call(&gate).await, CallerLimit::Within);
}

async fn a_caller_s_limit_follows_the_key_through_rotation_and_grace(world: World) {
    let mut gate = Gate::new(world).await;
    let (mut key, plain) = gate.world.draw_access_key(&gate.account, None, Role::Owner);
    key.rate_limit = RateLimit::new(3, 3600);
    make(&gate, &key, &plain).await;
    let call = async |gate: &Gate, plain: &PlainKey| {
        let presenter = presenter(gate, plain).await.unwrap();
        gate.verifier.take_call(&presenter)
    };
    assert_eq!(call(&gate, &plain).await, CallerLimit::Within);
    let which = Selector::Id(key.id.clone());
    let change = gate.world.change();
    let rotated = gate
        .verifier
        .rotate_access_key(
            change,
            gate.reach(),
            which,
            600,
            |_| Ok::<_, StoreError>(()),
        )
        .await;
    let new = rotated.unwrap().unwrap();
    assert_eq!(new.key.lineage, key.id);
    assert_eq!(call(&gate, &plain).await, CallerLimit::Within);
    assert_eq!(call(&gate, &new.plain).await, CallerLimit::Within);
    gate.verifier.flush().await.unwrap();
    for _ in 0..2 {
        for plain in [&plain, &new.plain] {
            assert!(matches!(call(&gate, plain).await, CallerLimit::Over(_)));
        }
        gate.restart().await;
    }
}

async fn an_access_key_goes_with_its_last_project(world: World) {
    let gate = Gate::new(world).await;
    let beside = gate.world.project(&gate.account, "beside").await;
    let last = gate.world.project(&gate.account, "last").await;
    let draw = |projects: Option<&[&Project]>| {
        gate.world
            .draw_access_key(&gate.account, projects, Role::Viewer)
    };
    let (of_one, of_one_plain) = draw(Some(&[&beside]));
    let (of_three, of_three_plain) = draw(Some(&[&gate.project, &beside, &last]));
    let (of_other, of_other_plain) = draw(Some(&[&gate.project]));
    let (of_all, of_all_plain) = draw(None);
    for (key, plain) in [
        (&of_one, &of_one_plain),
        (&of_three, &of_three_plain),
        (&of_other, &of_other_plain),
        (&of_all, &of_all_plain),
    ] {
        assert!(make(&gate, key, plain).await);
        assert!(presenter(&gate, plain).await.is_some());
    }
    let delete = async |project: &Project| {
        let change = gate.world.change();
        gate.verifier
            .delete_project(change, gate.reach(), project.id.clone())
            .await
            .unwrap()
            .expect("the project is there");
    };
    let reached = async || {
        let rights = presenter(&gate, &of_three_plain).await?.rights();
        Some(rights.reach(Permission::KeysRead)?.projects)
    };
    delete(&beside).await;
    assert!(presenter(&gate, &of_one_plain).await.is_none());
    let mut rest = vec![gate.project.id.clone(), last.id.clone()];
    rest.sort();
    assert_eq!(reached().await, Some(rest));
    delete(&last).await;
    assert_eq!(reached().await, Some(vec![gate.project.id.clone()]));
    assert!(presenter(&gate, &of_other_plain).await.is_some());
    delete(&gate.project).await;
    assert_eq!(reached().await, None);
    assert!(presenter(&gate, &of_other_plain).await.is_none());
    assert!(presenter(&gate, &of_all_plain).await.is_some());
}

async fn no_access_key_is_made_for_a_project_that_is_gone(world: World) {
    let gate = Gate::new(world).await;
    let (key, plain) =
        gate.world
            .draw_access_key(&gate.account, Some(&[&gate.project]), Role::Viewer);
    let (change, id) = (gate.world.change(), gate.project.id.clone());
    gate.verifier
        .delete_project(change, gate.reach(), id)
        .await
        .unwrap();
    assert!(!make(&gate, &key, &plain).await);
    assert!(presenter(&gate, &plain).await.is_none());
}

async fn a_call_in_the_name_of_a_key_is_counted_with_those_that_present_it(world: World) {
    let gate = Gate::new(world).await;
    let (mut key, plain) = gate.world.draw_access_key(&gate.account, None, Role::Owner);
    key.rate_limit = RateLimit::new(2, 3600);
    make(&gate, &key, &plain).await;
    let in_its_name = async || gate.verifier.take_call_of(&key).await.unwrap();
    assert_eq!(in_its_name().await, CallerLimit::Within);
    let presented = presenter(&gate, &plain).await.unwrap();
    assert_eq!(gate.verifier.take_call(&presented), CallerLimit::Within);
    assert!(matches!(in_its_name().await, CallerLimit::Over(level) if level.used == 2));
    assert!(matches!(
        gate.verifier.take_call(&presented),
        CallerLimit::Over(_)
    ));
}
