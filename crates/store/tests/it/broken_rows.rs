//! Rows that cannot be read as they are meant: an error, never a key without its limit.

use claviger_domain::limit::{Period, Quota, RateLimit};
use claviger_domain::role::Role;
use claviger_store::{StoreError, access_keys, api_keys};
use claviger_testkit::in_both_worlds;
use claviger_testkit::world::{World, everything};

use crate::{digest, store, store_access_key};

in_both_worlds![
    a_limit_that_cannot_be_read_is_an_error,
    a_quota_that_cannot_be_read_is_an_error,
];

async fn what_is_wrong(world: &World, key: &api_keys::ApiKey) -> Option<&'static str> {
    let which = api_keys::Selector::Id(key.id.clone());
    match api_keys::find(&world.db, &everything(), &which).await {
        Err(StoreError::Row { what, .. }) => Some(what),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    }
}

async fn a_limit_that_cannot_be_read_is_an_error(world: World) {
    let account = world.account("mine").await;
    let project = world.project(&account, "project").await;
    let (mut key, plain) = world.draw_api_key(&project, "key");
    key.rate_limit = RateLimit::new(5, 60);
    assert!(store(&world, &key, &plain).await);
    let (mut access_key, plain) = world.draw_access_key(&account, None, Role::Viewer);
    access_key.rate_limit = RateLimit::new(5, 60);
    store_access_key(&world, &access_key, &plain).await;
    for (api_keys, access_keys, is_read) in [
        (
            "UPDATE api_keys SET rate_limit_ttl = NULL",
            "UPDATE access_keys SET rate_limit_ttl = NULL",
            true,
        ),
        (
            "UPDATE api_keys SET rate_limit_ttl = 0",
            "UPDATE access_keys SET rate_limit_ttl = 0",
            false,
        ),
        (
            "UPDATE api_keys SET rate_limit = 0, rate_limit_ttl = 60",
            "UPDATE access_keys SET rate_limit = 0, rate_limit_ttl = 60",
            false,
        ),
        (
            "UPDATE api_keys SET rate_limit = -1",
            "UPDATE access_keys SET rate_limit = -1",
            false,
        ),
        (
            "UPDATE api_keys SET rate_limit = NULL",
            "UPDATE access_keys SET rate_limit = NULL",
            false,
        ),
        (
            "UPDATE api_keys SET rate_limit_ttl = NULL",
            "UPDATE access_keys SET rate_limit_ttl = NULL",
            true,
        ),
    ] {
        world.raw(false, api_keys).await;
        world.raw(false, access_keys).await;
        let expected = (!is_read).then_some("rate_limit");
        assert_eq!(what_is_wrong(&world, &key).await, expected, "{api_keys}");
        let found = access_keys::find_by_digest(&world.db, &digest(&plain)).await;
        assert_eq!(found.is_ok(), is_read, "{access_keys}: {found:?}");
    }
}

async fn a_quota_that_cannot_be_read_is_an_error(world: World) {
    let account = world.account("mine").await;
    let project = world.project(&account, "project").await;
    let (mut key, plain) = world.draw_api_key(&project, "key");
    key.quota = Some(Quota {
        limit: 5,
        period: Period::Day,
    });
    assert!(store(&world, &key, &plain).await);
    for (sql, is_read) in [
        ("UPDATE api_keys SET quota_period = 'year'", false),
        ("UPDATE api_keys SET quota_period = NULL", false),
        (
            "UPDATE api_keys SET quota_limit = 0, quota_period = 'day'",
            false,
        ),
        ("UPDATE api_keys SET quota_limit = -1", false),
        ("UPDATE api_keys SET quota_limit = NULL", false),
        ("UPDATE api_keys SET quota_period = NULL", true),
    ] {
        world.raw(false, sql).await;
        let expected = (!is_read).then_some("quota");
        assert_eq!(what_is_wrong(&world, &key).await, expected, "{sql}");
    }
}
