//! The work of sending: who holds a webhook, what is due of it, what became of that.

use std::collections::BTreeSet;

use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;
use claviger_domain::webhook::{
    DeliveryStatus, FAILING_FOR, FAILS_WITHIN, KEPT_FOR, LONGEST_REST, rest_after,
};
use serde::{Deserialize, Serialize};

use crate::db::on;
use crate::reach::list as json_list;
use crate::{Change, Db, StoreError, Tx, webhooks};

type WebhookId = Id<id::Webhook>;

/// How long a worker holds a webhook, in seconds. One that died is waited for that long.
pub const LEASE: i64 = 60;

/// A webhook that a worker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Which one.
    pub id: WebhookId,
    /// The root of its family of accounts.
    pub root: Id<id::Account>,
    /// What tells this claim from others.
    pub lease: String,
    /// How often in a row it took nothing while it was held.
    pub failed_holds: i64,
    /// Whether its receiver took long for an answer when it was held last.
    pub is_slow: bool,
}

impl Claimed {
    /// Whether it is likely to keep a worker for long, and for little.
    pub fn is_trouble(&self) -> bool {
        self.failed_holds > 0 || self.is_slow
    }
}

/// Which webhooks are not to be claimed now.
#[derive(Clone, Debug, Default)]
pub struct Busy {
    /// Those of these families.
    pub families: BTreeSet<Id<id::Account>>,
    /// Those that took nothing, or long for an answer, when they were held last.
    pub trouble: bool,
}

// What lies further ahead than anybody sets it was set by a clock that has been put right since.
const _: () = assert!(2 * LEASE == 120 && 2 * LONGEST_REST == 172_800);
macro_rules! due {
    () => {
        "FROM webhooks WHERE next_at IS NOT NULL AND next_at <= $1 \
         AND status = 'live' AND deleted_at IS NULL \
         AND (leased_until IS NULL OR leased_until <= $1 OR leased_until > $1 + 120000000) \
         AND (rests_until IS NULL OR rests_until <= $1 OR rests_until > $1 + 172800000000) \
         AND ((failed_holds = 0 AND NOT is_slow) OR NOT $3) \
         AND root_account_id NOT IN (SELECT value ->> 0 FROM json_each($2))"
    };
}

/// Whether [`claim`] would find one: asked often, and of no writer.
pub async fn is_due(db: &Db, now: Timestamp, busy: &Busy) -> Result<bool, StoreError> {
    const SQL: &str = concat!("SELECT EXISTS (SELECT 1 ", due!(), ")");
    Ok(on!(read db, |c| sqlx::query_scalar(SQL)
        .bind(now.as_micros())
        .bind(json_list(busy.families.iter().map(Id::as_str)))
        .bind(busy.trouble)
        .fetch_one(c)
        .await)?)
}

/// Takes hold of the webhook that has waited longest for being sent what is due; none that is
/// `busy`, and none that anybody else holds.
pub async fn claim(
    tx: &mut Tx,
    change: &Change,
    busy: &Busy,
) -> Result<Option<Claimed>, StoreError> {
    // One at a time, so that two programs which claim never wait for each other in a circle. The
    // condition stands twice: whoever waited for a row of another's claim looks at it again.
    const SQL: &str = concat!(
        "UPDATE webhooks SET lease = $4, leased_until = $5 WHERE id = (SELECT id ",
        due!(),
        " ORDER BY next_at LIMIT 1) AND (leased_until IS NULL OR leased_until <= $1 \
         OR leased_until > $1 + 120000000) RETURNING id, root_account_id, failed_holds, is_slow"
    );
    let lease = claviger_domain::base62::random_text(&*change.random, 16);
    let claimed: Option<(String, String, i64, bool)> = on!(tx, |c| sqlx::query_as(SQL)
        .bind(change.now.as_micros())
        .bind(json_list(busy.families.iter().map(Id::as_str)))
        .bind(busy.trouble)
        .bind(&lease)
        .bind(change.now.plus_seconds(LEASE).as_micros())
        .fetch_optional(c)
        .await)?;
    Ok(claimed.map(|(id, root, failed_holds, is_slow)| Claimed {
        id: Id::from_trusted(id),
        root: Id::from_trusted(root),
        lease,
        failed_holds,
        is_slow,
    }))
}

/// A delivery that is due, with the event that it tells of.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Due {
    /// Its id.
    pub id: String,
    /// What happened, as topics are spelled.
    pub topic: String,
    /// Failed attempts so far.
    pub failures: i64,
    /// How often it was replayed.
    pub replays: i64,
    /// What came of each attempt so far, JSON.
    pub attempts: String,
    /// The event's id.
    pub event_id: String,
    /// When it happened.
    #[sqlx(try_from = "i64")]
    pub at: Timestamp,
    /// In which account.
    pub account_id: String,
    /// In which project.
    pub project_id: Option<String>,
    /// To what.
    pub target: String,
    /// More about it, JSON.
    pub data: String,
}

/// Up to `most` deliveries of a webhook that are due, those first that have waited longest.
pub async fn due(
    db: &Db,
    webhook: &WebhookId,
    now: Timestamp,
    most: i64,
) -> Result<Vec<Due>, StoreError> {
    const SQL: &str = "SELECT d.id, d.topic, d.failures, d.replays, d.attempts, d.event_id, e.at, \
                       e.account_id, e.project_id, e.target, e.data \
                       FROM webhook_deliveries d JOIN events e ON e.id = d.event_id \
                       WHERE d.webhook_id = $1 AND d.next_at IS NOT NULL AND d.next_at <= $2 \
                       ORDER BY d.next_at, d.id LIMIT $3";
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(webhook.as_str())
        .bind(now.as_micros())
        .bind(most)
        .fetch_all(c)
        .await)?)
}

/// What one attempt came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it was made, in microseconds.
    pub at: i64,
    /// The status of the answer, where there was one.
    pub status_code: Option<u16>,
    /// How long it took.
    pub duration_ms: i64,
    /// Why there was no answer.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub excerpt: Option<String>,
}

/// What becomes of a delivery that was tried.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which one.
    pub id: String,
    /// Its failures when it was tried.
    pub failures_before: i64,
    /// How often it had been replayed then.
    pub replays_before: i64,
    /// What becomes of it.
    pub status: DeliveryStatus,
    /// When it is tried again.
    pub next_at: Option<Timestamp>,
    /// All its attempts, JSON.
    pub attempts: String,
}

/// Writes what became of deliveries that were sent to `url`, and tells how many need not be sent any
/// more. Nothing is written of one that was replayed meanwhile, nor of one that is for another receiver
/// by now: both are to be sent again. A failure does not undo what somebody else came to meanwhile.
pub async fn record(tx: &mut Tx, url: &str, outcomes: &[Outcome]) -> Result<u64, StoreError> {
    const TAKEN: &str = "UPDATE webhook_deliveries SET status = $2, attempts = $3, next_at = NULL \
                         WHERE id = $1 AND replays = $4 AND status <> 'delivered' \
                         AND EXISTS (SELECT 1 FROM webhooks WHERE webhooks.id = webhook_id \
                         AND webhooks.url = $5)";
    const FAILED: &str = "UPDATE webhook_deliveries SET status = $2, attempts = $3, next_at = $6, \
                          failures = failures + 1 \
                          WHERE id = $1 AND replays = $4 AND failures = $7 AND status = 'waiting' \
                          AND EXISTS (SELECT 1 FROM webhooks WHERE webhooks.id = webhook_id \
                          AND webhooks.url = $5)";
    let mut settled = 0;
    for outcome in outcomes {
        let is_taken = outcome.status == DeliveryStatus::Delivered;
        let rows = on!(&mut *tx, |c| {
            let query = sqlx::query(if is_taken { TAKEN } else { FAILED })
                .bind(&outcome.id)
                .bind(outcome.status.as_str())
                .bind(&outcome.attempts)
                .bind(outcome.replays_before)
                .bind(url);
            let query = if is_taken {
                query
            } else {
                query
                    .bind(outcome.next_at.map(Timestamp::as_micros))
                    .bind(outcome.failures_before)
            };
            query.execute(c).await.map(|done| done.rows_affected())
        })?;
        if outcome.status != DeliveryStatus::Waiting {
            settled += rows;
        }
    }
    Ok(settled)
}

/// How a receiver did while its webhook was held.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is seen by itself, in any of the answers"
)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    /// Whether it took anything.
    pub took_some: bool,
    /// Whether it failed at anything.
    pub failed_some: bool,
    /// Whether it took nothing of what it was sent last.
    pub gave_up: bool,
    /// Whether it took long for an answer.
    pub is_slow: bool,
    /// Whether it said that it is gone.
    pub is_gone: bool,
    /// Until when it asked to be left alone.
    pub rests_until: Option<Timestamp>,
    /// Deliveries that need not be sent any more.
    pub settled: u64,
}

impl Health {
    /// Adds how it did in another round.
    pub fn add(&mut self, round: Self) {
        self.took_some |= round.took_some;
        self.failed_some |= round.failed_some;
        self.is_gone |= round.is_gone;
        self.gave_up = round.gave_up;
        self.is_slow |= round.is_slow;
        self.settled += round.settled;
        self.rests_until = self.rests_until.max(round.rests_until);
    }

    /// Whether its receiver is to be left alone now.
    pub fn wants_rest(&self) -> bool {
        self.is_gone || self.gave_up || self.rests_until.is_some()
    }
}

/// Lets go of a webhook, and disables it where its receiver is gone or has failed for days. Tells
/// whether it did.
pub async fn release(
    tx: &mut Tx,
    change: &Change,
    claimed: &Claimed,
    health: Health,
) -> Result<bool, StoreError> {
    // Who fails after a long while in which nothing was tried fails anew.
    const LET_GO: &str = "UPDATE webhooks SET lease = NULL, leased_until = NULL, \
                          rests_until = $3, failing_since = CASE WHEN $4 THEN NULL \
                          WHEN $5 AND (failing_since IS NULL OR last_failed_at IS NULL \
                          OR last_failed_at < $7) THEN CAST($6 AS BIGINT) \
                          ELSE failing_since END, \
                          last_failed_at = CASE WHEN $4 THEN NULL \
                          WHEN $5 THEN CAST($6 AS BIGINT) ELSE last_failed_at END, \
                          failed_holds = CASE WHEN $4 THEN 0 \
                          WHEN $5 THEN failed_holds + 1 ELSE failed_holds END, \
                          is_slow = CASE WHEN $4 OR $5 THEN $8 ELSE is_slow END, \
                          waiting = CASE WHEN waiting > $9 THEN waiting - $9 ELSE 0 END \
                          WHERE id = $1 AND lease = $2 RETURNING failing_since";
    // A statement of its own, which sees what was added while the first waited for the row. Whoever has
    // more to send goes to the end of the queue: a long backlog does not stand before everybody else.
    const NEXT: &str = "UPDATE webhooks SET next_at = (SELECT CASE WHEN MIN(d.next_at) < $2 \
                        THEN CAST($2 AS BIGINT) ELSE MIN(d.next_at) END \
                        FROM webhook_deliveries d WHERE d.webhook_id = $1 \
                        AND d.next_at IS NOT NULL), \
                        waiting = CASE WHEN EXISTS (SELECT 1 FROM webhook_deliveries d \
                        WHERE d.webhook_id = $1 AND d.next_at IS NOT NULL) THEN waiting ELSE 0 END \
                        WHERE id = $1";
    let failed_holds = if health.took_some {
        0
    } else {
        claimed.failed_holds
    };
    let rest = rest_after(failed_holds + 1);
    let recovers_at = health.gave_up.then(|| change.now.plus_seconds(rest));
    let rests_until = health.rests_until.max(recovers_at);
    let since: Option<Option<i64>> = on!(&mut *tx, |c| sqlx::query_scalar(LET_GO)
        .bind(claimed.id.as_str())
        .bind(&claimed.lease)
        .bind(rests_until.map(Timestamp::as_micros))
        .bind(health.took_some)
        .bind(health.failed_some)
        .bind(change.now.as_micros())
        .bind(change.now.plus_seconds(-FAILS_WITHIN).as_micros())
        .bind(health.is_slow)
        .bind(i64::try_from(health.settled).unwrap_or(i64::MAX))
        .fetch_optional(c)
        .await)?;
    let Some(since) = since else {
        // Somebody else holds it by now, and says how it is when they let go.
        return Ok(false);
    };
    on!(&mut *tx, |c| sqlx::query(NEXT)
        .bind(claimed.id.as_str())
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    let is_failing = since
        .is_some_and(|since| Timestamp::from_micros(since).plus_seconds(FAILING_FOR) <= change.now);
    let reason = if health.is_gone {
        "gone"
    } else if is_failing {
        "failing"
    } else {
        return Ok(false);
    };
    webhooks::disable(tx, change, &claimed.id, reason).await
}

/// How many deliveries wait for live webhooks, about: a program that was killed leaves too many, until
/// nothing waits. And when the one was due that is due longest at one that nobody holds and that does not
/// rest.
pub async fn backlog(db: &Db, now: Timestamp) -> Result<(i64, Option<Timestamp>), StoreError> {
    const WAITING: &str = "SELECT CAST(COALESCE(SUM(waiting), 0) AS BIGINT) FROM webhooks \
                           WHERE status = 'live' AND deleted_at IS NULL";
    const OLDEST: &str = "SELECT MIN(next_at) FROM webhooks WHERE next_at IS NOT NULL \
                          AND status = 'live' AND deleted_at IS NULL AND next_at <= $1 \
                          AND (leased_until IS NULL OR leased_until <= $1) \
                          AND (rests_until IS NULL OR rests_until <= $1)";
    let waiting = on!(read db, |c| sqlx::query_scalar(WAITING).fetch_one(c).await)?;
    let oldest: Option<i64> = on!(read db, |c| sqlx::query_scalar(OLDEST)
        .bind(now.as_micros())
        .fetch_one(c)
        .await)?;
    Ok((waiting, oldest.map(Timestamp::from_micros)))
}

/// Deletes up to `most` deliveries that are older than they are kept, and tells how many.
pub async fn sweep(tx: &mut Tx, now: Timestamp, most: i64) -> Result<u64, StoreError> {
    const SQL: &str = "DELETE FROM webhook_deliveries WHERE id IN (\
                       SELECT id FROM webhook_deliveries WHERE created_at < $1 \
                       ORDER BY created_at LIMIT $2)";
    Ok(on!(tx, |c| sqlx::query(SQL)
        .bind(now.plus_seconds(-KEPT_FOR).as_micros())
        .bind(most)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?)
}
