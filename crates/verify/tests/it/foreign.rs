//! Custom keys of our shape without our checksum.

use claviger_domain::decision::Verdict;
use claviger_domain::event::EventKind;
use claviger_domain::key_hash::KeyHash;
use claviger_domain::key_string::PlainKey;
use claviger_store::events;
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, whole};
use claviger_verify::{Brought, Counting, Creation, Edit, Imported};
use futures::future::join_all;
use serde_json::Value;

use crate::{Gate, ask, edit, start};

in_both_worlds![
    a_key_of_our_shape_without_our_checksum_is_found,
    a_key_that_is_given_such_a_string_is_found,
    a_key_known_by_its_hash_passes_for_all_who_present_it_at_once,
];

/// A string of our shape; the six zeros at its end are not its checksum.
fn foreign(letter: char) -> PlainKey {
    let body: String = std::iter::repeat_n(letter, 58).collect();
    PlainKey::new(format!("live_{body}000000"))
}

async fn a_key_of_our_shape_without_our_checksum_is_found(world: World) {
    let mut gate = Gate::new(world).await;
    let stranger = gate.world.account("stranger").await;
    let plain = foreign('a');
    assert_eq!(gate.check(&plain).await, Verdict::NotFound);
    let (key, _) = gate.world.custom_api_key(&gate.project, "");
    assert_eq!(gate.create(&key, &plain).await, Creation::Done);
    for _ in 0..2 {
        assert_eq!(gate.check(&plain).await, Verdict::Valid);
        let by_operator = ask(&gate.verifier, &everything(), &plain, 1, Counting::Looks).await;
        assert_eq!(by_operator.verdict, Verdict::Valid);
        let elsewhere = ask(
            &gate.verifier,
            &whole(&stranger),
            &plain,
            1,
            Counting::Looks,
        )
        .await;
        assert_eq!(elsewhere.verdict, Verdict::NotFound);
        assert_eq!(gate.check(&foreign('b')).await, Verdict::NotFound);
        gate.restart().await;
    }
}

async fn a_key_that_is_given_such_a_string_is_found(world: World) {
    let gate = Gate::new(world).await;
    let child = gate.world.child(&gate.account, "child").await;
    let project = gate.world.project(&child, "below").await;
    let (key, plain) = gate.world.custom_api_key(&project, "custom-key-of-old");
    gate.create(&key, &plain).await;
    let new = foreign('c');
    assert_eq!(gate.check(&new).await, Verdict::NotFound);
    let given = new.clone();
    edit(&gate.verifier, &gate.world, &key, |_| {
        Edit::Rekey(given, EventKind::ApiKeyUpdated, Value::Null)
    })
    .await
    .unwrap();
    assert_eq!(gate.check(&new).await, Verdict::Valid);
    let restarted = start(&gate.world).await;
    let checked = ask(&restarted, &gate.reach(), &new, 1, Counting::Looks).await;
    assert_eq!(checked.verdict, Verdict::Valid);
}

async fn a_key_known_by_its_hash_passes_for_all_who_present_it_at_once(world: World) {
    let gate = Gate::new(world).await;
    let plain = PlainKey::new("moved-here-by-its-hash");
    // Remembered to be absent, by a string that nobody can tell from the hash.
    assert_eq!(gate.check(&plain).await, Verdict::NotFound);
    let (key, _) = gate.world.custom_api_key(&gate.project, "");
    let row = (key, Brought::Hash(KeyHash::of(plain.expose())));
    let change = gate.world.change();
    let outcomes = gate
        .verifier
        .import_api_keys(&change, &gate.project, vec![row])
        .await;
    let [Imported::Created(id)] = &outcomes.unwrap()[..] else {
        panic!("the row was refused");
    };
    let verdicts = join_all((0..16).map(|_| gate.check(&plain))).await;
    assert_eq!(verdicts, [Verdict::Valid; 16]);
    let trail = events::of_account(&gate.world.db, &gate.account.id, 100)
        .await
        .unwrap();
    let kinds: Vec<_> = trail
        .iter()
        .filter(|event| event.target == id.as_str())
        .map(|event| event.kind.as_str())
        .collect();
    assert_eq!(kinds, ["api-key.created", "api-key.updated"]);
}
