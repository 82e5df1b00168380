//! How much may wait: a receiver that is away, or a webhook that nobody puts in force again, must not
//! fill the disk that the keys lie on.

use claviger_domain::id::Id;
use claviger_domain::rights::AccountRef;

use crate::db::on;
use crate::notifications::{self, News};
use crate::{Change, Db, StoreError, Tx};

/// Deliveries that wait for one webhook, at most, and for those of an account together.
pub const MOST_WAITING: i64 = 100_000;
const MOST_OF_ACCOUNT: i64 = 500_000;
/// What is told of is told once a day.
const DAY: i64 = 86_400;

/// Room for what the webhooks of an account are to be told of.
pub(super) struct Room {
    of_account: i64,
    /// How much each has left, and what was taken of that and dropped.
    each: Vec<(i64, i64, i64)>,
}

impl Room {
    /// For webhooks for which so much waits, about.
    pub(super) fn of(waiting: impl Iterator<Item = i64> + Clone) -> Self {
        Self {
            of_account: MOST_OF_ACCOUNT - waiting.clone().sum::<i64>(),
            each: waiting.map(|own| (MOST_WAITING - own, 0, 0)).collect(),
        }
    }

    /// Takes room for one more, or notes that there was none.
    pub(super) fn take(&mut self, index: usize) -> bool {
        let (left, added, dropped) = &mut self.each[index];
        if *left > 0 && self.of_account > 0 {
            *left -= 1;
            *added += 1;
            self.of_account -= 1;
            true
        } else {
            *dropped += 1;
            false
        }
    }

    /// Those of whom something was taken or dropped: their index, and how much.
    pub(super) fn taken(&self) -> impl Iterator<Item = (usize, i64, i64)> {
        let each = self.each.iter().enumerate();
        let each = each.map(|(index, (_, added, dropped))| (index, *added, *dropped));
        each.filter(|(_, added, dropped)| added + dropped > 0)
    }
}

/// Tells the people of an account that a webhook of theirs misses events.
pub(super) async fn tell(tx: &mut Tx, change: &Change, id: &str) -> Result<(), StoreError> {
    const SQL: &str =
        "SELECT account_id, root_account_id, project_id, name FROM webhooks WHERE id = $1";
    type Columns = (String, String, Option<String>, Option<String>);
    let found: Option<Columns> = on!(&mut *tx, |c| sqlx::query_as(SQL)
        .bind(id)
        .fetch_optional(c)
        .await)?;
    let Some((account, root, project, name)) = found else {
        return Ok(());
    };
    let name = name.unwrap_or_else(|| id.to_owned());
    let news = News {
        account: AccountRef {
            id: Id::from_trusted(account),
            root: Id::from_trusted(root),
        },
        project: project.map(Id::from_trusted),
        kind: "webhook.full",
        title: format!("The webhook {name} misses events"),
        body: format!(
            "As much waits for the webhook {id} as may: what happens now is not sent to it any more, \
             until it has taken some, or is deleted."
        ),
        once: Some(format!(
            "webhook.full {id} {}",
            change.now.as_seconds() / DAY
        )),
    };
    notifications::tell(tx, change, news).await.map(drop)
}

/// Counts anew what waits for webhooks that seem to be full: what a program that was killed had sent
/// is not known to have left.
pub async fn recount(db: &Db) -> Result<(), StoreError> {
    const FULL: &str =
        "SELECT id FROM webhooks WHERE waiting >= $1 AND deleted_at IS NULL LIMIT 10";
    const COUNT: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM webhook_deliveries \
                         WHERE webhook_id = $1 AND next_at IS NOT NULL LIMIT $2) AS counted";
    const SQL: &str = "UPDATE webhooks SET waiting = $2 WHERE id = $1 AND waiting > $2";
    let full: Vec<String> = on!(read db, |c| sqlx::query_scalar(FULL)
        .bind(MOST_WAITING)
        .fetch_all(c)
        .await)?;
    for id in full {
        let count: i64 = on!(read db, |c| sqlx::query_scalar(COUNT)
            .bind(&id)
            .bind(MOST_WAITING)
            .fetch_one(c)
            .await)?;
        db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                on!(tx, |c| sqlx::query(SQL)
                    .bind(&id)
                    .bind(count)
                    .execute(c)
                    .await
                    .map(drop))?;
                Ok(())
            })
        })
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_much_of_each_and_of_all() {
        let mut room = Room::of([MOST_WAITING - 1, 0].into_iter());
        assert_eq!(
            [room.take(0), room.take(0), room.take(1)],
            [true, false, true]
        );
        assert_eq!(room.taken().collect::<Vec<_>>(), [(0, 1, 1), (1, 1, 0)]);
        let full = [MOST_WAITING - 1; 5].into_iter().chain([0; 2]);
        let mut room = Room::of(full);
        let taken = (0..7).filter(|index| room.take(*index)).count();
        assert_eq!(taken, 5, "so much is left for all together");
    }
}
