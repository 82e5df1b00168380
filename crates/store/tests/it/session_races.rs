//! What signing in, refreshing and signing out can do to each other, and to another password.

use claviger_domain::id::{self, Id};
use claviger_store::sessions::{self, Begun, Ended, Exchanged, Pair};
use claviger_store::users::{self, PasswordHash, User};
use claviger_store::{Change, StoreError, Tx};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::races::beside;
use crate::sessions::{begun, pair, signed_up};

in_both_worlds![
    a_session_that_is_being_refreshed_ends_with_what_it_gets,
    a_session_that_is_being_ended_is_not_refreshed,
    a_session_that_is_being_begun_ends_with_all_others,
    who_was_verified_by_the_password_before_is_not_any_more,
    of_two_ends_at_once_both_are_done,
];

/// A change that is done and not committed until it may go on.
fn under_way<F>(
    world: &World,
    held: oneshot::Sender<()>,
    may_go_on: oneshot::Receiver<()>,
    work: F,
) -> JoinHandle<()>
where
    F: for<'c> FnOnce(&'c mut Tx, &'c Change) -> BoxFuture<'c, Result<(), StoreError>>
        + Send
        + 'static,
{
    let (db, change) = (world.db.clone(), world.change());
    tokio::spawn(async move {
        db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                work(tx, &change).await?;
                held.send(()).unwrap();
                may_go_on.await.unwrap();
                Ok(())
            })
        })
        .await
        .unwrap();
    })
}

/// Ends all sessions of a person.
fn all_ended(world: &World, user: &User) -> impl Future<Output = usize> + Send + 'static + use<> {
    let (db, change, user) = (world.db.clone(), world.change(), user.id.clone());
    async move {
        db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { sessions::end(tx, &change, &user, Ended::All, "test").await })
        })
        .await
        .unwrap()
    }
}

fn exchanged(
    world: &World,
    user: &User,
    from: &Pair,
) -> impl Future<Output = Exchanged> + Send + 'static + use<> {
    let (db, change, user) = (world.db.clone(), world.change(), user.id.clone());
    let (digest, to) = (from.refresh.1, pair(world));
    async move {
        db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { sessions::exchange(tx, &change, &user, &digest, &to).await })
        })
        .await
        .unwrap()
    }
}

async fn nothing_is_left(world: &World) {
    for sql in ["SELECT id FROM sessions", "SELECT id FROM session_tokens"] {
        assert_eq!(world.raw(false, sql).await, Vec::<String>::new(), "{sql}");
    }
}

async fn a_session_that_is_being_refreshed_ends_with_what_it_gets(world: World) {
    let ada = signed_up(&world, "ada@example.com").await.unwrap();
    let (first, next) = (pair(&world), pair(&world));
    begun(&world, &ada, &first).await;
    let (held, is_held) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    let (user, digest) = (ada.id.clone(), first.refresh.1);
    let open = under_way(&world, held, may_go_on, move |tx, change| {
        Box::pin(async move {
            let done = sessions::exchange(tx, change, &user, &digest, &next).await?;
            assert!(matches!(done, Exchanged::Done { .. }), "{done:?}");
            Ok(())
        })
    });
    let ending = all_ended(&world, &ada);
    assert_eq!(beside(&world, open, is_held, go_on, ending).await, 1);
    nothing_is_left(&world).await;
}

async fn a_session_that_is_being_ended_is_not_refreshed(world: World) {
    let ada = signed_up(&world, "ada@example.com").await.unwrap();
    let first = pair(&world);
    begun(&world, &ada, &first).await;
    let (held, is_held) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    let user = ada.id.clone();
    let open = under_way(&world, held, may_go_on, move |tx, change| {
        Box::pin(async move {
            let ended = sessions::end(tx, change, &user, Ended::All, "test").await?;
            assert_eq!(ended, 1);
            Ok(())
        })
    });
    let refreshing = exchanged(&world, &ada, &first);
    let refreshed = beside(&world, open, is_held, go_on, refreshing).await;
    assert_eq!(refreshed, Exchanged::Absent);
    nothing_is_left(&world).await;
}

async fn a_session_that_is_being_begun_ends_with_all_others(world: World) {
    let ada = signed_up(&world, "ada@example.com").await.unwrap();
    begun(&world, &ada, &pair(&world)).await;
    let (held, is_held) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    let (user, next) = (ada.id.clone(), pair(&world));
    let open = under_way(&world, held, may_go_on, move |tx, change| {
        Box::pin(async move {
            let begun = Begun::default();
            sessions::begin(tx, change, &user, &begun, &next).await?;
            Ok(())
        })
    });
    let ending = all_ended(&world, &ada);
    assert_eq!(beside(&world, open, is_held, go_on, ending).await, 2);
    nothing_is_left(&world).await;
}

async fn who_was_verified_by_the_password_before_is_not_any_more(world: World) {
    let ada = signed_up(&world, "ada@example.com").await.unwrap();
    let still = |world: &World, id: &Id<id::User>, verified: Option<&str>| {
        let (db, id) = (world.db.clone(), id.clone());
        let verified = verified.map(|hash| PasswordHash(hash.to_owned()));
        async move {
            db.write::<_, StoreError, _>(move |tx| {
                Box::pin(async move { users::hold_with_password(tx, &id, verified.as_ref()).await })
            })
            .await
            .unwrap()
        }
    };
    for (before, after) in [(None, "one"), (Some("one"), "another")] {
        assert!(still(&world, &ada.id, before).await, "{after}");
        let (held, is_held) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel();
        let id = ada.id.clone();
        let open = under_way(&world, held, may_go_on, move |tx, change| {
            Box::pin(async move {
                let hash = PasswordHash(after.to_owned());
                users::set_password(tx, change, &id, &hash).await
            })
        });
        let verified = still(&world, &ada.id, before);
        assert!(
            !beside(&world, open, is_held, go_on, verified).await,
            "{after}"
        );
        assert!(still(&world, &ada.id, Some(after)).await, "{after}");
    }
    assert!(!still(&world, &Id::from_suffix("nobody"), None).await);
}

async fn of_two_ends_at_once_both_are_done(world: World) {
    let ada = signed_up(&world, "ada@example.com").await.unwrap();
    let mut refreshing = Vec::new();
    for _ in 0..8 {
        let pair = pair(&world);
        begun(&world, &ada, &pair).await;
        refreshing.push(exchanged(&world, &ada, &pair));
    }
    let both = futures::future::join(all_ended(&world, &ada), all_ended(&world, &ada));
    let (refreshed, (one, other)) =
        futures::future::join(futures::future::join_all(refreshing), both).await;
    assert_eq!(refreshed.len(), 8);
    assert_eq!(one + other, 8);
    nothing_is_left(&world).await;
}
