//! Mails on their way: claimed by one, tried again, and what they said erased.

use std::collections::BTreeSet;

use claviger_domain::email::Email;
use claviger_domain::time::Timestamp;
use claviger_store::mails::{self, Claimed, LEASE_SECONDS, MailStatus, NewMail};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;
use futures::future::join_all;

in_both_worlds![
    a_mail_is_claimed_by_one_until_the_lease_is_over,
    a_mail_that_was_not_taken_is_due_again,
    what_a_mail_said_is_erased_when_it_is_done_with,
    a_mail_for_who_signed_up_is_wanted_by_them_alone,
    a_code_does_not_wait_behind_invitations,
];

async fn queue(world: &World, to: &'static str, is_for_users: bool) -> String {
    let id = mails::draw_id(&*world.random);
    let mail = NewMail {
        id: id.clone(),
        kind: "invitation",
        about: "inv_1".to_owned(),
        to: Email::parse(to).unwrap(),
        is_for_users,
        sealed: vec![7],
        expires_at: world.now().plus_seconds(3_600),
    };
    world
        .write(move |tx, change| Box::pin(async move { mails::queue(tx, &change, &mail).await }))
        .await;
    id
}

async fn claim(world: &World, lease: &str, most: i64) -> Vec<Claimed> {
    let claimed = mails::claim(&world.db, lease, most, world.now()).await;
    claimed.unwrap()
}

async fn status(world: &World) -> (MailStatus, Option<Timestamp>) {
    let found = mails::last_about(&world.db, &["inv_1", "inv_2"]).await;
    let (_, status, at) = found.unwrap().pop().unwrap();
    (status, at)
}

async fn a_mail_is_claimed_by_one_until_the_lease_is_over(world: World) {
    for _ in 0..20 {
        queue(&world, "ada@example.com", false).await;
    }
    let leases: Vec<_> = (0..8).map(|number| format!("lease {number}")).collect();
    let claims = join_all(leases.iter().map(|lease| claim(&world, lease, 5))).await;
    let ids: Vec<_> = claims.into_iter().flatten().map(|one| one.id).collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "none is claimed twice");
    while !claim(&world, "last", 5).await.is_empty() {}
    world.clock.advance(LEASE_SECONDS - 1);
    assert!(!mails::is_due(&world.db, world.now()).await.unwrap());
    assert_eq!(claim(&world, "later", 50).await, []);
    world.clock.advance(1);
    assert!(mails::is_due(&world.db, world.now()).await.unwrap());
    assert_eq!(claim(&world, "later", 50).await.len(), 20);
}

async fn a_mail_that_was_not_taken_is_due_again(world: World) {
    let id = queue(&world, "ada@example.com", false).await;
    assert_eq!(
        mails::backlog(&world.db).await.unwrap(),
        (1, Some(world.now()))
    );
    claim(&world, "one", 1).await;
    let again = world.now().plus_seconds(60);
    mails::put_off(&world.db, "another", &id, world.now())
        .await
        .unwrap();
    assert_eq!(
        claim(&world, "two", 1).await,
        [],
        "whoever does not hold it changes nothing"
    );
    mails::put_off(&world.db, "one", &id, again).await.unwrap();
    world.clock.advance(59);
    assert_eq!(claim(&world, "two", 1).await, []);
    world.clock.advance(1);
    let [claimed] = &claim(&world, "two", 1).await[..] else {
        panic!("it is due");
    };
    assert_eq!((claimed.attempts, &claimed.sealed[..]), (1, &[7][..]));
    assert_eq!(status(&world).await, (MailStatus::Queued, None));
}

async fn what_a_mail_said_is_erased_when_it_is_done_with(world: World) {
    for ending in [MailStatus::Sent, MailStatus::Failed] {
        let id = queue(&world, "ada@example.com", false).await;
        claim(&world, "one", 1).await;
        mails::end(&world.db, "one", &id, ending, world.now())
            .await
            .unwrap();
        assert_eq!(status(&world).await, (ending, Some(world.now())));
        world.clock.advance(1);
    }
    let sealed = "SELECT id FROM mails WHERE sealed IS NOT NULL";
    assert_eq!(world.raw(false, sealed).await, Vec::<String>::new());
    world.clock.advance(mails::KEPT_SECONDS);
    mails::forget_ended(&world.db, world.now()).await.unwrap();
    assert_eq!(
        world.raw(false, "SELECT id FROM mails").await,
        Vec::<String>::new()
    );
}

async fn a_mail_for_who_signed_up_is_wanted_by_them_alone(world: World) {
    queue(&world, "Ada@example.com", true).await;
    let is_wanted = async |lease| claim(&world, lease, 1).await[0].is_wanted;
    assert!(!is_wanted("one").await);
    world.clock.advance(LEASE_SECONDS);
    crate::sessions::signed_up(&world, "ada@Example.com")
        .await
        .unwrap();
    assert!(is_wanted("two").await);
}

async fn a_code_does_not_wait_behind_invitations(world: World) {
    for _ in 0..3 {
        queue(&world, "bob@example.com", false).await;
    }
    world.clock.advance(60);
    let code = queue(&world, "ada@example.com", true).await;
    let first = claim(&world, "one", 2).await;
    assert!(first.iter().any(|one| one.id == code), "{first:?}");
    // Nobody signed up with that address, and nothing is kept of it.
    mails::forget(&world.db, "another", &code).await.unwrap();
    mails::forget(&world.db, "one", &code).await.unwrap();
    let left = world
        .raw(false, "SELECT id FROM mails WHERE is_for_users")
        .await;
    assert_eq!(left, Vec::<String>::new());
    let left = world.raw(false, "SELECT id FROM mails").await;
    assert_eq!(left.len(), 3);
}
