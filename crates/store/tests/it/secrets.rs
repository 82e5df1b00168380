//! The pepper: drawn once, sealed under the master key.

use std::fmt::Write as _;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use claviger_domain::id::Id;
use claviger_domain::key_string::{KeyDigest, Pepper};
use claviger_store::connected_accounts;
use claviger_store::sealing::{MasterKey, Purpose};
use claviger_store::secrets::{self, Rewrapped};
use claviger_store::{Db, Location, StoreError};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;
use futures::future::{join, join_all};
use hkdf::Hkdf;
use secrecy::ExposeSecret;
use sha2::Sha256;

use crate::connected_accounts::drawn;

in_both_worlds![
    the_pepper_stays_the_same,
    two_nodes_that_start_at_once_have_one_pepper,
    another_master_key_is_refused,
    another_master_key_takes_over_and_the_old_one_opens_nothing,
    both_exchanges_at_once_leave_secrets_that_one_key_opens,
    a_layer_of_pepper_is_not_put_over_what_a_program_has_opened,
    credentials_of_the_first_version_go_under_the_sealing_key,
];

async fn digest(world: &World, master: u8) -> Result<KeyDigest, StoreError> {
    let master = MasterKey::new([master; 32]);
    let opened = secrets::open(&world.db, &master, &*world.random, world.now()).await?;
    Ok(opened.pepper.digest("a key"))
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
        matches!(refused, Err(StoreError::Unsealing(_))),
        "{refused:?}"
    );
    assert_eq!(digest(&world, 1).await.unwrap(), first);
}

async fn another_master_key_takes_over_and_the_old_one_opens_nothing(world: World) {
    let account = world.account("mine").await;
    let first = digest(&world, 1).await.unwrap();
    let [old, new, other] = [1, 2, 3].map(|byte| MasterKey::new([byte; 32]));
    let db = &world.db;
    let refused = secrets::rewrap(db, &other, &new, &world.change()).await;
    assert!(
        matches!(refused, Err(StoreError::Unsealing(_))),
        "{refused:?}"
    );
    let done = secrets::rewrap(db, &old, &new, &world.change()).await;
    assert_eq!(done.unwrap(), Rewrapped::Now);
    assert_eq!(digest(&world, 2).await.unwrap(), first);
    assert!(digest(&world, 1).await.is_err());
    secrets::check(db, &new).await.unwrap();
    assert!(secrets::check(db, &old).await.is_err());
    // Again, as after a kill: it is done already.
    let done = secrets::rewrap(db, &old, &new, &world.change()).await;
    assert_eq!(done.unwrap(), Rewrapped::Before);
    let trail = claviger_store::events::of_account(db, &account.id, 10).await;
    let kinds: Vec<_> = trail.unwrap().into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["account.created", "master-key.rotated"]);
}

/// PostgreSQL's end of a connection goes a little after ours.
async fn until_nobody_serves(world: &World) {
    const OPEN: &str = "SELECT CAST(COUNT(*) AS TEXT) FROM pg_stat_activity \
                        WHERE datname = current_database() AND application_name = 'claviger'";
    if matches!(world.location, Location::Postgres(_)) {
        while world.raw(false, OPEN).await != ["0"] {}
    }
}

async fn both_exchanges_at_once_leave_secrets_that_one_key_opens(world: World) {
    digest(&world, 1).await.unwrap();
    // As commands do it: a program that serves keeps a layer from being added.
    world.db.close().await;
    until_nobody_serves(&world).await;
    let [one, other] = [(); 2].map(|()| async { Db::open_beside(&world.location).await.unwrap() });
    let (one, other) = join(one, other).await;
    for round in 1..9 {
        let [old, new] = [round, round + 1].map(|byte| MasterKey::new([byte; 32]));
        let change = world.change();
        let (rewrapped, lifted) = join(
            secrets::rewrap(&one, &old, &new, &change),
            secrets::add_layer(&other, &old, &change, |_| ()),
        )
        .await;
        assert_eq!(rewrapped.unwrap(), Rewrapped::Now, "{round}");
        assert!(
            matches!(lifted, Ok(_) | Err(StoreError::Unsealing(_))),
            "{round}: {lifted:?}"
        );
        secrets::check(&one, &new).await.unwrap();
    }
    one.close().await;
    other.close().await;
}

async fn a_layer_of_pepper_is_not_put_over_what_a_program_has_opened(world: World) {
    let master = MasterKey::new([1; 32]);
    let opened = secrets::open(&world.db, &master, &*world.random, world.now()).await;
    let layers = opened.unwrap().layers;
    let beside = Db::open_beside(&world.location).await.unwrap();
    let add = async || secrets::add_layer(&beside, &master, &world.change(), |_| ()).await;
    if matches!(world.location, Location::Postgres(_)) {
        // On SQLite the folder's lock sees to it.
        let refused = add().await;
        assert!(matches!(refused, Err(StoreError::Served)), "{refused:?}");
    }
    world.db.close().await;
    until_nobody_serves(&world).await;
    assert_eq!(add().await.unwrap().layers, layers + 1);
    let expect = async |layers| {
        beside
            .write::<_, StoreError, _>(move |tx| Box::pin(secrets::expect_layers(tx, layers)))
            .await
    };
    let exchanged = expect(layers).await;
    assert!(
        matches!(exchanged, Err(StoreError::Exchanged)),
        "{exchanged:?}"
    );
    expect(layers + 1).await.unwrap();
    beside.close().await;
}

/// Sealed as the first version did it: under the master key, which it does not name.
fn sealed_early(master: [u8; 32], purpose: &str, subject: &str, plain: &[u8]) -> Vec<u8> {
    let mut key = [0u8; 32];
    Hkdf::<Sha256>::new(Some(b"claviger"), &master)
        .expand(purpose.as_bytes(), &mut key)
        .unwrap();
    let payload = Payload {
        msg: plain,
        aad: subject.as_bytes(),
    };
    let cipher = XChaCha20Poly1305::new(&key.into());
    let sealed = cipher.encrypt(&XNonce::from([9; 24]), payload).unwrap();
    [&[1], &[9; 24][..], &sealed].concat()
}

async fn credentials_of_the_first_version_go_under_the_sealing_key(world: World) {
    let account = world.account("mine").await;
    let pepper = sealed_early([1; 32], "pepper", "pepper", &[5; 32]);
    let mut hexadecimal = String::new();
    for byte in pepper {
        write!(hexadecimal, "{byte:02x}").unwrap();
    }
    let literal = match world.location {
        Location::Folder(_) => format!("x'{hexadecimal}'"),
        Location::Postgres(_) => format!("'\\x{hexadecimal}'"),
    };
    let sql = format!("INSERT INTO sealed_secrets VALUES ('pepper', {literal}, 0)");
    world.raw(false, sql.leak()).await;
    let id = Id::draw(&*world.random);
    let sealed = sealed_early([1; 32], "credentials", id.as_str(), b"theirs");
    let mut connected = drawn(&world, &account, None, "acme");
    connected.id = id.clone();
    world
        .write(move |tx, change| {
            Box::pin(
                async move { connected_accounts::create(tx, &change, &connected, &sealed).await },
            )
        })
        .await;

    let (db, random) = (&world.db, &*world.random);
    let other = secrets::open(db, &MasterKey::new([2; 32]), random, world.now()).await;
    assert!(matches!(other, Err(StoreError::Unsealing(_))), "{other:?}");
    let master = MasterKey::new([1; 32]);
    secrets::check(db, &master).await.unwrap();
    let opened = secrets::open(db, &master, random, world.now())
        .await
        .unwrap();
    let expected = Pepper::new(&[5; 32]).digest("a key");
    assert_eq!(opened.pepper.digest("a key"), expected);
    let sealed = connected_accounts::sealed_credentials(db, &id)
        .await
        .unwrap();
    let plain = opened
        .sealing
        .open(Purpose::Credentials, id.as_str(), &sealed.unwrap())
        .unwrap();
    assert_eq!(plain.expose_secret(), b"theirs");
    secrets::check(db, &master).await.unwrap();
}
