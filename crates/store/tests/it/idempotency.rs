//! Idempotency keys.

use claviger_store::idempotency::{self, Claim, REMEMBERED_SECONDS};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;
use futures::future::join_all;

in_both_worlds![
    a_repeated_request_gets_the_first_answer,
    a_request_that_is_let_go_of_can_be_tried_again,
    an_answer_is_forgotten_after_a_day,
    one_of_many_at_once_is_the_first,
];

const ID: [u8; 32] = [1; 32];
const BODY: [u8; 32] = [2; 32];

async fn claim(world: &World, id: [u8; 32], body: [u8; 32]) -> Claim {
    idempotency::claim(&world.db, id, body, world.now())
        .await
        .unwrap()
}

async fn a_repeated_request_gets_the_first_answer(world: World) {
    assert_eq!(claim(&world, ID, BODY).await, Claim::First);
    assert_eq!(claim(&world, ID, BODY).await, Claim::InFlight);
    assert_eq!(claim(&world, ID, [3; 32]).await, Claim::OtherBody);
    assert_eq!(claim(&world, [9; 32], BODY).await, Claim::First);
    let body = r#"{"key":"live_*"}"#.to_owned();
    idempotency::finish(&world.db, ID, 201, body.clone())
        .await
        .unwrap();
    let replay = Claim::Replay { status: 201, body };
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
    idempotency::finish(&world.db, ID, 200, "{}".to_owned())
        .await
        .unwrap();
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
