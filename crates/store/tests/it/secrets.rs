//! The pepper: drawn once, sealed under the master key.

use claviger_domain::key_string::KeyDigest;
use claviger_store::sealing::MasterKey;
use claviger_store::{StoreError, secrets};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;
use futures::future::join_all;

in_both_worlds![
    the_pepper_stays_the_same,
    two_nodes_that_start_at_once_have_one_pepper,
    another_master_key_is_refused,
];

async fn digest(world: &World, master: u8) -> Result<KeyDigest, StoreError> {
    let master = MasterKey::new([master; 32]);
    let pepper = secrets::pepper(&world.db, &master, &*world.random, world.now()).await?;
    Ok(pepper.digest("a key"))
}

async fn the_pepper_stays_the_same(world: World) {
    let other = World::on_sqlite().await;
    // So that the two worlds do not draw the same numbers.
    other.account("other").await;
    let first = digest(&world, 1).await.unwrap();
    assert_eq!(digest(&world, 1).await.unwrap(), first);
    assert_ne!(digest(&other, 1).await.unwrap(), first);
}

async fn two_nodes_that_start_at_once_have_one_pepper(world: World) {
    let digests = join_all((0..16).map(|_| digest(&world, 1))).await;
    let first = *digests[0].as_ref().unwrap();
    assert!(digests.into_iter().all(|one| one.unwrap() == first));
}

async fn another_master_key_is_refused(world: World) {
    let first = digest(&world, 1).await.unwrap();
    let refused = digest(&world, 2).await;
    assert!(
        matches!(refused, Err(StoreError::Unsealing("pepper"))),
        "{refused:?}"
    );
    assert_eq!(digest(&world, 1).await.unwrap(), first);
}
