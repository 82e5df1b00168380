//! Operator keys.

use claviger_domain::id::Id;
use claviger_domain::key_string::PlainKey;
use claviger_store::operator_keys;
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;

use crate::digest;

in_both_worlds![
    an_operator_key_is_found_by_its_digest,
    an_operator_key_ends_when_it_is_handed_over_or_revoked,
];

async fn an_operator_key_is_found_by_its_digest(world: World) {
    let plain = PlainKey::new("operator_key");
    let (id, stored) = (Id::draw(&*world.random), digest(&plain));
    let made = id.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move { operator_keys::create(tx, &change, &made, &stored).await })
        })
        .await;
    let found = operator_keys::find_by_digest(&world.db, &stored, world.now()).await;
    assert_eq!(found.unwrap().as_ref(), Some(&id));
    assert!(
        operator_keys::is_live(&world.db, &id, world.now())
            .await
            .unwrap()
    );
    let other = Id::draw(&*world.random);
    assert!(
        !operator_keys::is_live(&world.db, &other, world.now())
            .await
            .unwrap()
    );
    let other = digest(&PlainKey::new("another"));
    let found = operator_keys::find_by_digest(&world.db, &other, world.now()).await;
    assert_eq!(found.unwrap(), None);
}

async fn an_operator_key_ends_when_it_is_handed_over_or_revoked(world: World) {
    let account = world.account("first").await;
    let [one, two] = ["operator_one", "operator_two"]
        .map(|plain| (Id::draw(&*world.random), digest(&PlainKey::new(plain))));
    let now = world.now();
    let grace = now.plus_seconds(60);
    let (old, new) = (one.clone(), two.clone());
    let handed_over = world
        .write(move |tx, change| {
            Box::pin(async move {
                operator_keys::create(tx, &change, &old.0, &old.1).await?;
                operator_keys::create(tx, &change, &new.0, &new.1).await?;
                operator_keys::hand_over(tx, &change, &old.0, &new.0, grace).await
            })
        })
        .await;
    assert!(handed_over);
    let find = async |digest, at| {
        let found = operator_keys::find_by_digest(&world.db, &digest, at).await;
        found.unwrap().is_some()
    };
    assert!(find(one.1, now).await && find(two.1, now).await);
    assert!(!find(one.1, grace).await && find(two.1, grace).await);
    let ids = [one.0.clone(), two.0.clone()];
    let ended = world
        .write(move |tx, change| {
            Box::pin(async move {
                let first = operator_keys::end(tx, &change, &ids[0], now).await?;
                let again = operator_keys::end(tx, &change, &ids[0], now).await?;
                Ok((first, again))
            })
        })
        .await;
    assert_eq!(ended, (true, false));
    assert!(!find(one.1, now).await);
    assert!(
        !operator_keys::is_live(&world.db, &one.0, now)
            .await
            .unwrap()
    );
    let listed = operator_keys::list(&world.db).await.unwrap();
    let live: Vec<_> = listed.iter().filter(|key| key.is_live_at(now)).collect();
    assert_eq!((listed.len(), live.len()), (2, 1));
    let trail = claviger_store::events::of_account(&world.db, &account.id, 10).await;
    let kinds: Vec<_> = trail.unwrap().into_iter().map(|event| event.kind).collect();
    let expected = [
        "account.created",
        "operator-key.created",
        "operator-key.created",
        "operator-key.rotated",
        "operator-key.revoked",
    ];
    assert_eq!(kinds, expected);
}
