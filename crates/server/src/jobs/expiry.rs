//! Tells of keys that will expire, and of those that have. Of several programs over one database one does
//! it, by lease.

use std::error::Error;
use std::sync::Arc;

use claviger_domain::base62;
use claviger_domain::event::Actor;
use claviger_domain::time::Timestamp;
use claviger_edge::Core;
use claviger_store::jobs::{self, Claim};
use claviger_store::key_notices::{self, Notice, NoticedKey};
use claviger_store::{Change, StoreError};
use tokio::sync::watch;
use tokio::time::Duration;

use super::job::Regular;
use super::{JobFigures, each, goes_on};

/// How late somebody is told.
const PERIOD: Duration = Duration::from_mins(1);
/// Less than that, so that the next look does not come too early by milliseconds.
const EVERY_SECONDS: i64 = 50;
/// How long the job is nobody else's: some times as long as it takes.
const LEASE_SECONDS: i64 = 600;
/// Keys of one change: some milliseconds.
const KEYS: u16 = 250;
const DAY_SECONDS: i64 = 86_400;

/// What is told, and how many seconds before a key expires.
const STAGES: [(Notice, i64); 4] = [
    (Notice::Expired, 0),
    (Notice::Expiring { days: 1 }, DAY_SECONDS),
    (Notice::Expiring { days: 7 }, 7 * DAY_SECONDS),
    (Notice::Expiring { days: 30 }, 30 * DAY_SECONDS),
];

pub(super) async fn run(core: Core, figures: Arc<JobFigures>, mut stopped: watch::Receiver<bool>) {
    figures.turn_on(Regular::Expiry);
    let holder = base62::random_text(&*core.random, 20);
    let mut ticks = each(PERIOD);
    let mut stop = stopped.clone();
    // A line for the first failure is all there is to say: what was not told is told later.
    let mut is_failing = false;
    while goes_on(&mut ticks, &mut stopped).await {
        let told = tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => return,
            told = tell_if_due(&core, &holder) => told,
        };
        match &told {
            Ok(keys) => figures.did(Regular::Expiry, *keys),
            Err(error) => {
                figures.could_not(Regular::Expiry);
                if !is_failing {
                    let error = error as &dyn Error;
                    tracing::error!(error, "nobody is told of keys that expire, for now");
                }
            }
        }
        is_failing = told.is_err();
    }
}

/// Tells of keys that came within a stage since the last time; gives of how many. Where it was cut short,
/// it begins where the last one began, and tells of none twice.
async fn tell_if_due(core: &Core, holder: &str) -> Result<u64, StoreError> {
    let now = core.now();
    let claim = Claim {
        name: Regular::Expiry.name(),
        holder: holder.to_owned(),
        lease_seconds: LEASE_SECONDS,
        every_seconds: EVERY_SECONDS,
    };
    let Some(position) = jobs::claim(&core.db, &claim, now).await? else {
        return Ok(0);
    };
    // The first time there is nothing that was not told. A clock that was ahead is not waited for.
    let since = match position {
        0 => now,
        position => Timestamp::from_micros(position).min(now),
    };
    let mut told = 0;
    for (notice, ahead) in STAGES {
        told += tell_stage(core, notice, ahead, since, now).await?;
    }
    // What was told is not asked for again, once the time that it was for is over.
    let over = since.plus_seconds(-DAY_SECONDS);
    while key_notices::forget(&core.db, over, KEYS.into()).await? > 0 {}
    jobs::finish(&core.db, &claim, now.as_micros(), core.now()).await?;
    Ok(told)
}

async fn tell_stage(
    core: &Core,
    notice: Notice,
    ahead: i64,
    since: Timestamp,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut begin = since.plus_seconds(ahead);
    if ahead > 0 {
        // Of what has expired meanwhile it is too late to say that it will.
        begin = begin.max(now);
    }
    let until = now.plus_seconds(ahead);
    // Behind all keys that expire at that instant: they were told of the last time.
    let mut after = (begin.as_micros(), char::MAX.to_string());
    let mut told = 0;
    loop {
        let keys = key_notices::expiring(&core.db, &after, until, now, KEYS.into()).await?;
        let Some(last) = keys.last() else {
            return Ok(told);
        };
        after = (last.expires_at.unwrap_or_default(), last.id.clone());
        let is_last = keys.len() < KEYS.into();
        told += tell_some(core, notice, keys).await?;
        if is_last {
            return Ok(told);
        }
    }
}

async fn tell_some(core: &Core, notice: Notice, keys: Vec<NoticedKey>) -> Result<u64, StoreError> {
    let change: Change = core.change(&Actor::System);
    core.db
        .write(move |tx| {
            Box::pin(async move { key_notices::tell(tx, &change, notice, &keys).await })
        })
        .await
}

#[cfg(test)]
mod tests {
    use claviger_store::events;
    use claviger_testkit::{Tenant, TestApp, on_both_engines};
    use serde_json::{Value, json};

    use super::*;

    /// What was told of keys that expire: the event, the days, the key's name.
    async fn told(app: &TestApp, tenant: &Tenant) -> Vec<String> {
        let trail = events::of_account(&app.core.db, &tenant.account.id, 10_000);
        let trail = trail.await.unwrap().into_iter();
        let expiries = trail.filter(|event| event.kind.starts_with("api-key.expir"));
        let lines = expiries.map(|event| {
            let data: Value = serde_json::from_str(&event.data).unwrap();
            let days = data["days"].as_u64().map(|days| format!(" {days}"));
            let name = data["name"].as_str().unwrap();
            format!("{}{} {name}", &event.kind[8..], days.unwrap_or_default())
        });
        lines.collect()
    }

    async fn key(app: &TestApp, tenant: &Tenant, name: &str, days: i64) -> Value {
        let expiry = app.core.now().plus_seconds(days * DAY_SECONDS + 30);
        app.api_key(tenant, json!({"name": name, "expiry": expiry}))
            .await
    }

    /// The job, each minute of that many around the end of each of that many days.
    async fn pass(app: &TestApp, days: i64) {
        for _ in 0..days {
            app.advance(DAY_SECONDS - 60);
            for _ in 0..3 {
                tell_if_due(&app.core, "one").await.unwrap();
                app.advance(60);
            }
            app.advance(-120);
        }
    }

    on_both_engines!(
        a_key_is_told_of_thirty_seven_and_one_days_before_it_expires_and_then,
        async |app| {
            let tenant = app.tenant("Acme").await;
            tell_if_due(&app.core, "one").await.unwrap();
            key(&app, &tenant, "long", 40).await;
            key(&app, &tenant, "short", 3).await;
            let revoked = key(&app, &tenant, "revoked", 40).await;
            let path = format!("/api-keys/{}", revoked["id"].as_str().unwrap());
            let revoke = app.request("DELETE", &path).key(tenant.owner());
            revoke.send().await.expect(200);
            pass(&app, 45).await;
            let expected = [
                "expiring 1 short",
                "expired short",
                "expiring 30 long",
                "expiring 7 long",
                "expiring 1 long",
                "expired long",
            ];
            assert_eq!(told(&app, &tenant).await, expected);
        }
    );

    on_both_engines!(a_key_that_is_prolonged_is_told_of_anew, async |app| {
        let tenant = app.tenant("Acme").await;
        tell_if_due(&app.core, "one").await.unwrap();
        let key = key(&app, &tenant, "key", 9).await;
        pass(&app, 5).await;
        assert_eq!(told(&app, &tenant).await, ["expiring 7 key"]);
        let path = format!("/api-keys/{}", key["id"].as_str().unwrap());
        let expiry = app.core.now().plus_seconds(9 * DAY_SECONDS + 30);
        let update = app.request("PATCH", &path).key(tenant.owner());
        update
            .json(json!({"expiry": expiry}))
            .send()
            .await
            .expect(200);
        pass(&app, 5).await;
        assert_eq!(told(&app, &tenant).await, ["expiring 7 key"; 2]);
    });

    on_both_engines!(
        a_key_whose_expiry_is_moved_into_the_past_is_told_of_at_once,
        async |app| {
            let tenant = app.tenant("Acme").await;
            tell_if_due(&app.core, "one").await.unwrap();
            app.advance(60);
            let key = key(&app, &tenant, "key", 90).await;
            let path = format!("/api-keys/{}", key["id"].as_str().unwrap());
            for _ in 0..2 {
                let update = app.request("PATCH", &path).key(tenant.owner());
                let body = json!({"expiry": "2020-01-01T00:00:00Z"});
                update.json(body).send().await.expect(200);
            }
            tell_if_due(&app.core, "one").await.unwrap();
            assert_eq!(told(&app, &tenant).await, ["expired key"]);
        }
    );

    on_both_engines!(
        many_keys_that_expire_at_once_are_each_told_of_once,
        async |app| {
            let tenant = app.tenant("Acme").await;
            tell_if_due(&app.core, "one").await.unwrap();
            let expiry = app.core.now().plus_seconds(8 * DAY_SECONDS);
            let keys: Vec<_> = (0..600)
                .map(|number| {
                    json!({"name": number.to_string(), "key": format!("moved-key-{number:06}"),
                "expiry": expiry})
                })
                .collect();
            let import = app.request("POST", "/api-keys/import").key(tenant.owner());
            let body = json!({"projectId": tenant.project.id, "keys": keys});
            import.json(body).send().await.expect(201);
            app.advance(2 * DAY_SECONDS);
            // Two programs at once, of which one had begun and was cut off: the lease is over by now.
            let now = app.core.now();
            let seven = Notice::Expiring { days: 7 };
            let since = now.plus_seconds(-2 * DAY_SECONDS);
            let stage = || tell_stage(&app.core, seven, 7 * DAY_SECONDS, since, now);
            let (one, other) = tokio::join!(stage(), stage());
            assert_eq!(one.unwrap() + other.unwrap(), 600);
            assert_eq!(tell_if_due(&app.core, "two").await.unwrap(), 0);
            let mut told = told(&app, &tenant).await;
            told.sort_unstable();
            told.dedup();
            assert_eq!(told.len(), 600);
        }
    );
}
