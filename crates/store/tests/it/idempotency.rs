//! Idempotency keys.

use claviger_domain::id::{self, Id};
use claviger_store::api_keys::{self, Selector, Status};
use claviger_store::idempotency::{
    self, Answer, Claim, REMEMBERED_SECONDS, SEALED_SECONDS, SealedAnswer,
};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything};
use futures::future::join_all;

use crate::{changed, made};

in_both_worlds![
    a_repeated_request_gets_the_first_answer,
    a_request_that_is_let_go_of_can_be_tried_again,
    an_answer_is_forgotten_after_a_day,
    a_sealed_answer_is_given_for_ten_minutes_and_then_erased,
    a_sealed_answer_ends_with_its_key,
    one_of_many_at_once_is_the_first,
];

const ID: [u8; 32] = [1; 32];
const BODY: [u8; 32] = [2; 32];

async fn claim(world: &World, id: [u8; 32], body: [u8; 32]) -> Claim {
    idempotency::claim(&world.db, id, body, world.now())
        .await
        .unwrap()
}

/// Keeps an answer, with the secret of a key.
async fn finish(world: &World, status: i64, key: Option<&Id<id::ApiKey>>) {
    let answer = Answer {
        status,
        body: r#"{"key":"live_*"}"#.to_owned(),
        sealed: key.map(|key| SealedAnswer {
            key: key.to_string(),
            body: b"sealed".to_vec(),
        }),
    };
    let finished = idempotency::finish(&world.db, ID, answer, world.now()).await;
    finished.unwrap();
}

/// Whether a repeat would get the answer with its secret.
async fn has_secret(world: &World) -> bool {
    match claim(world, ID, BODY).await {
        Claim::Replay { sealed, .. } => sealed.is_some_and(|sealed| sealed == b"sealed"),
        other => panic!("{other:?}"),
    }
}

/// Sealed answers that there are.
async fn sealed(world: &World) -> usize {
    const SQL: &str = "SELECT made_key FROM idempotency WHERE sealed IS NOT NULL";
    world.raw(false, SQL).await.len()
}

async fn a_repeated_request_gets_the_first_answer(world: World) {
    assert_eq!(claim(&world, ID, BODY).await, Claim::First);
    assert_eq!(claim(&world, ID, BODY).await, Claim::InFlight);
    assert_eq!(claim(&world, ID, [3; 32]).await, Claim::OtherBody);
    assert_eq!(claim(&world, [9; 32], BODY).await, Claim::First);
    let body = r#"{"key":"live_*"}"#.to_owned();
    finish(&world, 201, None).await;
    let replay = Claim::Replay {
        status: 201,
        body,
        sealed: None,
    };
    assert_eq!(claim(&world, ID, BODY).await, replay);
    assert_eq!(claim(&world, ID, BODY).await, replay);
    assert_eq!(claim(&world, ID, [3; 32]).await, Claim::OtherBody);
    assert_eq!(claim(&world, [9; 32], BODY).await, Claim::InFlight);
}

async fn a_request_that_is_let_go_of_can_be_tried_again(world: World) {
    claim(&world, ID, BODY).await;
    claim(&world, [9; 32], BODY).await;
    idempotency::forget(&world.db, ID).await.unwrap();
    // With another body too: nothing came of the first.
    assert_eq!(claim(&world, ID, [3; 32]).await, Claim::First);
    assert_eq!(claim(&world, [9; 32], BODY).await, Claim::InFlight);
}

async fn an_answer_is_forgotten_after_a_day(world: World) {
    claim(&world, ID, BODY).await;
    finish(&world, 200, None).await;
    world.clock.advance(REMEMBERED_SECONDS);
    assert!(matches!(
        claim(&world, ID, BODY).await,
        Claim::Replay { .. }
    ));
    world.clock.advance(1);
    assert_eq!(claim(&world, ID, BODY).await, Claim::First);
}

async fn one_of_many_at_once_is_the_first(world: World) {
    let claims = join_all((0..32).map(|_| claim(&world, ID, BODY))).await;
    let first = claims.iter().filter(|one| **one == Claim::First).count();
    assert_eq!(first, 1);
    assert!(
        claims
            .iter()
            .all(|one| matches!(one, Claim::First | Claim::InFlight))
    );
}

async fn a_sealed_answer_is_given_for_ten_minutes_and_then_erased(world: World) {
    let project = world.project(&world.account("mine").await, "project").await;
    let key = made(&world, &project, "key").await;
    claim(&world, ID, BODY).await;
    finish(&world, 201, Some(&key.id)).await;
    world.clock.advance(SEALED_SECONDS - 1);
    assert!(has_secret(&world).await);
    idempotency::erase_due(&world.db, world.now())
        .await
        .unwrap();
    assert!(has_secret(&world).await);
    world.clock.advance(1);
    assert!(!has_secret(&world).await);
    assert_eq!(sealed(&world).await, 1);
    idempotency::erase_due(&world.db, world.now())
        .await
        .unwrap();
    assert_eq!(sealed(&world).await, 0);
    // The rest is remembered.
    assert!(matches!(
        claim(&world, ID, BODY).await,
        Claim::Replay { .. }
    ));
}

async fn a_sealed_answer_ends_with_its_key(world: World) {
    let project = world.project(&world.account("mine").await, "project").await;
    for ending in ["revoked", "rotated", "purged", "with its project"] {
        let key = made(&world, &project, "key").await;
        claim(&world, ID, BODY).await;
        finish(&world, 201, Some(&key.id)).await;
        // What ends another key leaves it as it is.
        let other = made(&world, &project, "other").await;
        changed(&world, &other.id, |key| key.status = Status::Inactive).await;
        changed(&world, &key.id, |key| key.name = "renamed".to_owned()).await;
        assert!(has_secret(&world).await);
        match ending {
            "revoked" => {
                changed(&world, &key.id, |key| key.status = Status::Suspended).await;
                assert_eq!(sealed(&world).await, 0);
                // On again, it does not come back.
                changed(&world, &key.id, |key| key.status = Status::Active).await;
            }
            "rotated" => {
                let (to, stop) = (other.id.clone(), world.now().plus_seconds(60));
                changed(&world, &key.id, move |key| {
                    (key.rotated_to, key.stops_at) = (Some(to), Some(stop));
                })
                .await;
            }
            "purged" => {
                let which = Selector::Id(key.id.clone());
                world
                    .write(move |tx, change| {
                        Box::pin(async move {
                            let locked = api_keys::lock(tx, &everything(), &which).await?;
                            let (key, _) = locked.expect("the key is there");
                            api_keys::purge(tx, &change, &key).await
                        })
                    })
                    .await;
            }
            _ => {
                let id = project.id.clone();
                world
                    .write(move |tx, change| {
                        Box::pin(async move {
                            let (reach, now) = (everything(), &change);
                            claviger_store::projects::delete(tx, now, &reach, &id).await
                        })
                    })
                    .await;
            }
        }
        assert!(!has_secret(&world).await, "{ending}");
        idempotency::erase_due(&world.db, world.now())
            .await
            .unwrap();
        assert_eq!(sealed(&world).await, 0, "{ending}");
        idempotency::forget(&world.db, ID).await.unwrap();
    }
}
