//! Sessions: who presents which token, what it is exchanged for, and that it ends.

use claviger_domain::email::Email;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{KeyPurpose, Pepper};
use claviger_store::Page;
use claviger_store::sessions::{
    self, ACCESS_SECONDS, Begun, Ended, Exchanged, IDLE_SECONDS, LONGEST_SECONDS, MOST, Pair,
    REPEAT_SECONDS, Session,
};
use claviger_store::users::{self, NewUser, User};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;
use futures::future::join_all;

in_both_worlds![
    an_address_is_one_person_s,
    a_session_is_found_by_its_token,
    a_token_is_exchanged_once_and_what_comes_later_ends_the_session,
    of_many_who_exchange_at_once_all_get_one_successor,
    a_session_ends_when_it_is_idle_or_old,
    sessions_of_others_stay,
    what_has_ended_goes,
    of_more_sessions_than_anybody_has_the_oldest_ends,
];

pub(crate) fn pair(world: &World) -> Pair {
    let pepper = Pepper::new(&[7; 32]);
    let token = |purpose: KeyPurpose| {
        let drawn = purpose.draw(&*world.random);
        (
            Id::from_suffix(&drawn.public),
            pepper.digest(drawn.plain.expose()),
        )
    };
    Pair {
        access: token(KeyPurpose::UserAccess),
        refresh: token(KeyPurpose::UserRefresh),
    }
}

pub(crate) async fn signed_up(world: &World, email: &str) -> Option<User> {
    let new = NewUser {
        email: Email::parse(email).unwrap(),
        name: "Ada".to_owned(),
        password: None,
        is_verified: false,
    };
    let id = Id::<id::User>::draw(&*world.random);
    world
        .write(move |tx, change| {
            Box::pin(async move { users::create(tx, &change, &id, &new).await })
        })
        .await
}

pub(crate) async fn begun(world: &World, user: &User, pair: &Pair) -> Id<id::Session> {
    let (user, pair) = (user.id.clone(), pair.clone());
    world
        .write(move |tx, change| {
            Box::pin(
                async move { sessions::begin(tx, &change, &user, &Begun::default(), &pair).await },
            )
        })
        .await
}

async fn exchanged(world: &World, user: &User, from: &Pair, to: &Pair) -> Exchanged {
    let (user, digest, to) = (user.id.clone(), from.refresh.1, to.clone());
    world
        .write(move |tx, change| {
            Box::pin(async move { sessions::exchange(tx, &change, &user, &digest, &to).await })
        })
        .await
}

async fn listed(world: &World, user: &User) -> Vec<Session> {
    let page = Page::first(10, 0);
    let listed = sessions::list(&world.db, &user.id, &page, world.now()).await;
    listed.unwrap().0
}

async fn is_there(world: &World, pair: &Pair) -> bool {
    let found = sessions::find_by_access(&world.db, &pair.access.1).await;
    found.unwrap().is_some()
}

async fn an_address_is_one_person_s(world: World) {
    let ada = signed_up(&world, "Ada@example.com").await.unwrap();
    assert_eq!(signed_up(&world, "ada@Example.com").await, None);
    let email = Email::parse("ADA@example.com").unwrap();
    let found = users::find_by_email(&world.db, &email).await.unwrap();
    assert_eq!(found, Some((ada.clone(), None)));
    assert_eq!(users::find(&world.db, &ada.id).await.unwrap(), Some(ada));
}

async fn a_session_is_found_by_its_token(world: World) {
    world.account("the first").await;
    let ada = signed_up(&world, "ada@example.com").await.unwrap();
    let pair = pair(&world);
    let session = begun(&world, &ada, &pair).await;
    let found = sessions::find_by_access(&world.db, &pair.access.1).await;
    let found = found.unwrap().unwrap();
    assert_eq!((found.user, found.session_id), (ada.clone(), session));
    assert_eq!(found.until, world.now().plus_seconds(ACCESS_SECONDS));
    // The other one of the pair opens nothing.
    let refresh = sessions::find_by_access(&world.db, &pair.refresh.1).await;
    assert_eq!(refresh.unwrap(), None);
    let whose = sessions::find_by_refresh(&world.db, &pair.refresh.1).await;
    let whose = whose.unwrap().unwrap();
    assert_eq!((whose.user_id, whose.is_used), (ada.id, false));
    let whose = sessions::find_by_refresh(&world.db, &pair.access.1).await;
    assert_eq!(whose.unwrap(), None);
    // Who holds no role anywhere is told of in the trail of the instance.
    let kinds = world
        .raw(false, "SELECT kind FROM events ORDER BY seq")
        .await;
    assert_eq!(kinds, ["account.created", "user.signedIn"]);
}

async fn a_token_is_exchanged_once_and_what_comes_later_ends_the_session(world: World) {
    let ada = signed_up(&world, "ada@example.com").await.unwrap();
    let (first, second, third) = (pair(&world), pair(&world), pair(&world));
    begun(&world, &ada, &first).await;
    world.clock.advance(60);
    let done = Exchanged::Done {
        access_until: world.now().plus_seconds(ACCESS_SECONDS),
    };
    assert_eq!(exchanged(&world, &ada, &first, &second).await, done);
    world.clock.advance(REPEAT_SECONDS - 1);
    assert_eq!(exchanged(&world, &ada, &first, &second).await, done);
    assert!(is_there(&world, &first).await && is_there(&world, &second).await);
    world.clock.advance(1);
    assert_eq!(
        exchanged(&world, &ada, &first, &second).await,
        Exchanged::Reused
    );
    assert!(!is_there(&world, &first).await && !is_there(&world, &second).await);
    assert_eq!(
        exchanged(&world, &ada, &second, &third).await,
        Exchanged::Absent
    );
    assert_eq!(listed(&world, &ada).await, []);
}

async fn of_many_who_exchange_at_once_all_get_one_successor(world: World) {
    let ada = signed_up(&world, "ada@example.com").await.unwrap();
    let (first, second) = (pair(&world), pair(&world));
    begun(&world, &ada, &first).await;
    let all = join_all((0..8).map(|_| exchanged(&world, &ada, &first, &second))).await;
    assert!(
        all.iter().all(|one| matches!(one, Exchanged::Done { .. })),
        "{all:?}"
    );
    let tokens = world.raw(false, "SELECT kind FROM session_tokens").await;
    assert_eq!(tokens.len(), 4);
}

async fn a_session_ends_when_it_is_idle_or_old(world: World) {
    let ada = signed_up(&world, "ada@example.com").await.unwrap();
    let idle = pair(&world);
    begun(&world, &ada, &idle).await;
    let mut last = pair(&world);
    begun(&world, &ada, &last).await;
    world.clock.advance(IDLE_SECONDS - 1);
    let mut old = IDLE_SECONDS - 1;
    while old < LONGEST_SECONDS {
        let next = pair(&world);
        let done = exchanged(&world, &ada, &last, &next).await;
        assert!(matches!(done, Exchanged::Done { .. }), "{old}");
        last = next;
        let step = (IDLE_SECONDS - 1).min(LONGEST_SECONDS - old);
        world.clock.advance(step);
        old += step;
    }
    assert_eq!(
        exchanged(&world, &ada, &last, &pair(&world)).await,
        Exchanged::Absent
    );
    assert_eq!(
        exchanged(&world, &ada, &idle, &pair(&world)).await,
        Exchanged::Absent
    );
}

async fn sessions_of_others_stay(world: World) {
    let ada = signed_up(&world, "ada@example.com").await.unwrap();
    let bob = signed_up(&world, "bob@example.com").await.unwrap();
    let pairs: Vec<_> = (0..4).map(|_| pair(&world)).collect();
    let current = begun(&world, &ada, &pairs[0]).await;
    for pair in &pairs[1..3] {
        begun(&world, &ada, pair).await;
    }
    let bobs = begun(&world, &bob, &pairs[3]).await;
    let end = async |which: &'static str, id: &Id<id::Session>| {
        let (user, id) = (ada.id.clone(), id.clone());
        world
            .write(move |tx, change| {
                Box::pin(async move {
                    let which = match which {
                        "one" => Ended::One(&id),
                        "others" => Ended::Others(&id),
                        _ => Ended::All,
                    };
                    sessions::end(tx, &change, &user, which, "test").await
                })
            })
            .await
    };
    assert_eq!(end("one", &bobs).await, 0);
    assert_eq!(end("others", &current).await, 2);
    assert!(is_there(&world, &pairs[0]).await && !is_there(&world, &pairs[1]).await);
    assert_eq!(end("all", &current).await, 1);
    assert!(!is_there(&world, &pairs[0]).await && is_there(&world, &pairs[3]).await);
}

async fn what_has_ended_goes(world: World) {
    let ada = signed_up(&world, "ada@example.com").await.unwrap();
    begun(&world, &ada, &pair(&world)).await;
    let count = async || {
        let tokens = world.raw(false, "SELECT id FROM session_tokens").await;
        let sessions = world.raw(false, "SELECT id FROM sessions").await;
        (tokens.len(), sessions.len())
    };
    world.clock.advance(ACCESS_SECONDS);
    sessions::forget_ended(&world.db, world.now())
        .await
        .unwrap();
    assert_eq!(count().await, (1, 1));
    world.clock.advance(IDLE_SECONDS);
    sessions::forget_ended(&world.db, world.now())
        .await
        .unwrap();
    assert_eq!(count().await, (0, 0));
}

async fn of_more_sessions_than_anybody_has_the_oldest_ends(world: World) {
    let ada = signed_up(&world, "ada@example.com").await.unwrap();
    let bob = signed_up(&world, "bob@example.com").await.unwrap();
    let (first, second, bobs) = (pair(&world), pair(&world), pair(&world));
    begun(&world, &ada, &first).await;
    begun(&world, &bob, &bobs).await;
    world.clock.advance(1);
    begun(&world, &ada, &second).await;
    world.clock.advance(1);
    // The first is in use.
    let next = pair(&world);
    exchanged(&world, &ada, &first, &next).await;
    for _ in 2..MOST {
        begun(&world, &ada, &pair(&world)).await;
    }
    assert!(is_there(&world, &second).await);
    begun(&world, &ada, &pair(&world)).await;
    assert!(!is_there(&world, &second).await);
    assert!(is_there(&world, &next).await && is_there(&world, &bobs).await);
    let sessions = world
        .raw(false, "SELECT id FROM sessions ORDER BY id")
        .await;
    assert_eq!(i64::try_from(sessions.len()), Ok(MOST + 1));
}
