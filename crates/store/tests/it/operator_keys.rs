//! Operator keys.

use claviger_domain::id::Id;
use claviger_domain::key_string::PlainKey;
use claviger_store::operator_keys;
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;

use crate::digest;

in_both_worlds![an_operator_key_is_found_by_its_digest];

async fn an_operator_key_is_found_by_its_digest(world: World) {
    let plain = PlainKey::new("operator_key");
    let (id, stored) = (Id::draw(&*world.random), digest(&plain));
    let made = id.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move { operator_keys::create(tx, &change, &made, &stored).await })
        })
        .await;
    let found = operator_keys::find_by_digest(&world.db, &stored).await;
    assert_eq!(found.unwrap().as_ref(), Some(&id));
    assert!(operator_keys::is_known(&world.db, &id).await.unwrap());
    let other = Id::draw(&*world.random);
    assert!(!operator_keys::is_known(&world.db, &other).await.unwrap());
    let other = digest(&PlainKey::new("another"));
    let found = operator_keys::find_by_digest(&world.db, &other).await;
    assert_eq!(found.unwrap(), None);
}
