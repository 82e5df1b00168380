//! What others keep in memory ends with whatever change is to it, before that is answered.

use claviger_domain::event::{EventKind, NewEvent};
use claviger_domain::id::Id;
use claviger_store::generations::{Seen, Stripes};
use claviger_store::{Change, StoreError, events};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::World;
use futures::FutureExt;
use serde_json::Value;

use crate::made;

in_both_worlds![
    a_change_is_told_of_when_it_returns,
    what_is_read_while_something_changes_is_not_kept,
    new_keys_end_nothing_that_is_kept,
    a_change_whose_caller_goes_away_is_told_of_all_the_same,
];

fn seen(world: &World, id: &str) -> Seen {
    world.db.generations().moment().of(Stripes::of([id]))
}

fn is_still(world: &World, seen: &Seen) -> bool {
    world.db.generations().are_still(seen)
}

fn event(account: &str, target: &str) -> NewEvent {
    NewEvent {
        kind: EventKind::McpServerUpdated,
        account: Id::from_trusted(account),
        project: None,
        target: target.to_owned(),
        data: Value::Null,
    }
}

async fn append(world: &World, change: Change, event: NewEvent) {
    let db = world.db.clone();
    db.write::<_, StoreError, _>(move |tx| {
        Box::pin(async move { events::append(tx, &change, event).await })
    })
    .await
    .unwrap();
}

async fn a_change_is_told_of_when_it_returns(world: World) {
    let kept = ["acc_mine", "usr_mine", "acc_other"].map(|id| seen(&world, id));
    append(&world, world.change(), event("acc_mine", "usr_mine")).await;
    let still = kept.each_ref().map(|seen| is_still(&world, seen));
    assert_eq!(still, [false, false, true]);
    assert!(is_still(&world, &seen(&world, "acc_mine")));

    // Each of those that share a commit is told of, and nothing of what came before is told again.
    let first = seen(&world, "acc_mine");
    let both = ["acc_1", "acc_2"].map(|id| (seen(&world, id), event(id, "mcp_x")));
    let [(one, first_event), (two, second_event)] = both;
    tokio::join!(
        append(&world, world.change(), first_event),
        append(&world, world.change(), second_event)
    );
    assert!(!is_still(&world, &one) && !is_still(&world, &two));
    assert!(is_still(&world, &first));
}

async fn what_is_read_while_something_changes_is_not_kept(world: World) {
    let moment = world.db.generations().moment();
    append(&world, world.change(), event("acc_mine", "mcp_x")).await;
    let read_before = moment.of(Stripes::of(["acc_mine"]));
    assert!(!is_still(&world, &read_before));
}

async fn new_keys_end_nothing_that_is_kept(world: World) {
    let account = world.account("mine").await;
    let project = world.project(&account, "project").await;
    let kept = seen(&world, account.id.as_str());
    for name in ["one", "two"] {
        made(&world, &project, name).await;
    }
    assert!(is_still(&world, &kept));
    world.project(&account, "another").await;
    assert!(!is_still(&world, &kept));
}

async fn a_change_whose_caller_goes_away_is_told_of_all_the_same(world: World) {
    for patience in 0..40 {
        let account = format!("acc_{patience}");
        let kept = seen(&world, &account);
        let change = append(&world, world.change(), event(&account, "mcp_x"));
        let mut change = Box::pin(change);
        for _ in 0..patience {
            if change.as_mut().now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(change);
        // Whatever waits for the writer now comes after it.
        append(&world, world.change(), event("acc_last", "mcp_x")).await;
        let trail = events::of_account(&world.db, &Id::from_trusted(account), 9).await;
        let has_happened = !trail.unwrap().is_empty();
        assert!(!(has_happened && is_still(&world, &kept)), "{patience}");
    }
}
