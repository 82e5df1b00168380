//! Connected accounts: reach, filters, and credentials that are read apart.

use claviger_domain::id::Id;
use claviger_domain::rights::Reach;
use claviger_store::accounts::{self, Account};
use claviger_store::connected_accounts::{self, Changed, ConnectedAccount, Filter, Status};
use claviger_store::projects::Project;
use claviger_store::{Base, Page, events};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything, only, whole};

in_both_worlds![
    a_connected_account_is_reached_by_its_account_its_root_and_its_project,
    a_list_is_narrowed_by_its_filters_and_read_in_parts,
    credentials_are_read_apart_and_only_while_it_is_there,
    connecting_leaves_an_event_without_credentials,
    changes_are_told_of_and_other_credentials_are_to_be_tried,
    a_status_is_noted_for_the_credentials_that_it_is_of,
    one_is_removed_once_and_by_its_own,
];

/// A connected account that is not stored yet.
pub(crate) fn drawn(
    world: &World,
    account: &Account,
    project: Option<&Project>,
    tenant: &str,
) -> ConnectedAccount {
    ConnectedAccount {
        id: Id::draw(&*world.random),
        account: account.reference(),
        project: project.map(|project| project.id.clone()),
        integration: "theauthapi".to_owned(),
        tenant_id: tenant.to_owned(),
        authentication_method: "api_key".to_owned(),
        context: "{}".to_owned(),
        overrides: "{}".to_owned(),
        status: Status::Active,
        base: Base::made_by(&world.change()),
    }
}

/// Stores a connected account.
pub(crate) async fn connected(
    world: &World,
    account: &Account,
    project: Option<&Project>,
    tenant: &str,
) -> ConnectedAccount {
    let connected = drawn(world, account, project, tenant);
    let row = connected.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move {
                connected_accounts::create(tx, &change, &row, b"sealed \0 bytes").await
            })
        })
        .await;
    connected
}

async fn tenants(world: &World, reach: &Reach, filter: &Filter) -> Vec<String> {
    let page = Page::first(100, 0);
    let (rows, total) = connected_accounts::list(&world.db, reach, filter, &page)
        .await
        .unwrap();
    assert_eq!(total, i64::try_from(rows.len()).unwrap());
    for row in &rows {
        let one = connected_accounts::find(&world.db, reach, &row.id)
            .await
            .unwrap();
        assert_eq!(one.as_ref(), Some(row));
        assert!(row.is_within(reach));
    }
    rows.into_iter().map(|row| row.tenant_id).collect()
}

async fn a_connected_account_is_reached_by_its_account_its_root_and_its_project(world: World) {
    let mine = world.account("mine").await;
    let child = world.child(&mine, "child").await;
    let foreign = world.account("foreign").await;
    let project = world.project(&mine, "project").await;
    let beside = world.project(&mine, "beside").await;
    let whole_account = connected(&world, &mine, None, "whole").await;
    world.clock.advance(1);
    connected(&world, &mine, Some(&project), "own").await;
    world.clock.advance(1);
    connected(&world, &child, None, "below").await;
    world.clock.advance(1);
    connected(&world, &foreign, None, "theirs").await;

    let seen = async |reach: &Reach| tenants(&world, reach, &Filter::default()).await;
    assert_eq!(seen(&whole(&mine)).await, ["whole", "own", "below"]);
    assert_eq!(seen(&whole(&child)).await, ["below"]);
    assert_eq!(seen(&only(&[&project])).await, ["own"]);
    assert!(seen(&only(&[&beside])).await.is_empty());
    assert_eq!(seen(&everything()).await.len(), 4);
    assert!(seen(&Reach::default()).await.is_empty());
    let absent = connected_accounts::find(&world.db, &whole(&foreign), &whole_account.id).await;
    assert_eq!(absent.unwrap(), None);
    assert!(
        !whole_account.is_within(&whole(&foreign)) && !whole_account.is_within(&only(&[&project]))
    );
}

async fn a_list_is_narrowed_by_its_filters_and_read_in_parts(world: World) {
    let mine = world.account("mine").await;
    for tenant in ["a", "b", "a"] {
        connected(&world, &mine, None, tenant).await;
    }
    let reach = whole(&mine);
    let count = async |filter: Filter| tenants(&world, &reach, &filter).await.len();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        count(Filter {
            tenant_id: text("a"),
            ..Filter::default()
        })
        .await,
        2
    );
    assert_eq!(
        count(Filter {
            integration: text("theauthapi"),
            ..Filter::default()
        })
        .await,
        3
    );
    assert_eq!(
        count(Filter {
            integration: text("other"),
            ..Filter::default()
        })
        .await,
        0
    );
    let both = Filter {
        tenant_id: text("b"),
        status: text("active"),
        ..Filter::default()
    };
    assert_eq!(count(both).await, 1);
    assert_eq!(
        count(Filter {
            status: text("needs_reauth"),
            ..Filter::default()
        })
        .await,
        0
    );

    let part = async |page: &Page| {
        let filter = Filter::default();
        let (rows, total) = connected_accounts::list(&world.db, &reach, &filter, page)
            .await
            .unwrap();
        assert_eq!(total, 3);
        rows
    };
    let all = part(&Page::first(9, 0)).await;
    assert_eq!(
        [
            part(&Page::first(2, 0)).await,
            part(&Page::first(2, 2)).await
        ]
        .concat(),
        all
    );
}

async fn credentials_are_read_apart_and_only_while_it_is_there(world: World) {
    let mine = world.account("mine").await;
    let connected = connected(&world, &mine, None, "tenant").await;
    let read = async || {
        connected_accounts::sealed_credentials(&world.db, &connected.id)
            .await
            .unwrap()
    };
    assert_eq!(read().await.as_deref(), Some(&b"sealed \0 bytes"[..]));
    let id = mine.id.clone();
    world
        .write(move |tx, change| {
            Box::pin(async move { accounts::delete(tx, &change, &everything(), &id).await })
        })
        .await;
    assert_eq!(read().await, None);
    let found = connected_accounts::find(&world.db, &everything(), &connected.id).await;
    assert_eq!(found.unwrap(), None);
}

async fn connecting_leaves_an_event_without_credentials(world: World) {
    let mine = world.account("mine").await;
    let connected = connected(&world, &mine, None, "tenant").await;
    let events = events::of_account(&world.db, &mine.id, 9).await.unwrap();
    let event = events.last().unwrap();
    assert_eq!(event.kind, "connected-account.created");
    assert_eq!(event.target, connected.id.as_str());
    assert!(!event.data.contains("sealed"));
}

async fn kinds(world: &World, account: &Account) -> Vec<String> {
    let events = events::of_account(&world.db, &account.id, 99)
        .await
        .unwrap();
    let of_it = events.into_iter().map(|event| event.kind);
    of_it
        .filter(|kind| kind.starts_with("connected-account."))
        .collect()
}

async fn changes_are_told_of_and_other_credentials_are_to_be_tried(world: World) {
    let mine = world.account("mine").await;
    let foreign = world.account("foreign").await;
    let one = connected(&world, &mine, None, "tenant").await;
    let (id, theirs) = (one.id.clone(), whole(&foreign));
    let held = world
        .write(move |tx, _| {
            Box::pin(async move { connected_accounts::hold(tx, &theirs, &id).await })
        })
        .await;
    assert_eq!(held, None);
    let (id, own) = (one.id.clone(), whole(&mine));
    let changed = world
        .write(move |tx, change| {
            Box::pin(async move {
                let held = connected_accounts::hold(tx, &own, &id).await?.unwrap();
                let changed = Changed {
                    tenant_id: "other".to_owned(),
                    context: r#"{"site":"a"}"#.to_owned(),
                    overrides: r#"{"resources":{}}"#.to_owned(),
                    status: held.status,
                };
                connected_accounts::update(tx, &change, &id, &changed).await
            })
        })
        .await;
    assert_eq!(
        (changed.tenant_id.as_str(), changed.status),
        ("other", Status::Active)
    );
    assert_eq!(changed.overrides, r#"{"resources":{}}"#);
    let id = one.id.clone();
    let changed = world
        .write(move |tx, change| {
            Box::pin(async move {
                connected_accounts::change_credentials(tx, &change, &id, "basic", b"others").await
            })
        })
        .await;
    assert_eq!(changed.status, Status::Connecting);
    let found = connected_accounts::find(&world.db, &whole(&mine), &one.id).await;
    assert_eq!(found.unwrap(), Some(changed));
    let sealed = connected_accounts::sealed_credentials(&world.db, &one.id).await;
    assert_eq!(sealed.unwrap().as_deref(), Some(&b"others"[..]));
    let told = kinds(&world, &mine).await;
    assert_eq!(
        told,
        [
            "connected-account.created",
            "connected-account.updated",
            "connected-account.credentialsChanged",
        ]
    );
}

async fn a_status_is_noted_for_the_credentials_that_it_is_of(world: World) {
    let mine = world.account("mine").await;
    let one = connected(&world, &mine, None, "tenant").await;
    let note = async |sealed: &'static [u8]| {
        let id = one.id.clone();
        let noted = world
            .write(move |tx, change| {
                Box::pin(async move {
                    let status = Status::NeedsReauth;
                    connected_accounts::change_status(tx, &change, &id, sealed, status).await
                })
            })
            .await;
        noted.is_some()
    };
    assert!(!note(b"those before").await);
    assert!(note(b"sealed \0 bytes").await);
    assert!(!note(b"sealed \0 bytes").await, "it was known");
    let told = kinds(&world, &mine).await;
    assert_eq!(
        told,
        [
            "connected-account.created",
            "connected-account.statusChanged"
        ]
    );
}

async fn one_is_removed_once_and_by_its_own(world: World) {
    let mine = world.account("mine").await;
    let foreign = world.account("foreign").await;
    let one = connected(&world, &mine, None, "tenant").await;
    let remove = async |reach: Reach| {
        let id = one.id.clone();
        let gone = world
            .write(move |tx, change| {
                Box::pin(async move { connected_accounts::delete(tx, &change, &reach, &id).await })
            })
            .await;
        gone.is_some()
    };
    assert!(!remove(whole(&foreign)).await);
    assert!(remove(whole(&mine)).await);
    assert!(!remove(whole(&mine)).await);
    let found = connected_accounts::find(&world.db, &everything(), &one.id).await;
    assert_eq!(found.unwrap(), None);
}
