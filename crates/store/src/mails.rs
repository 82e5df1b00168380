//! Mails on their way: queued in the transaction of what they tell of, sent by whoever claims them.
//!
//! What a mail says is sealed for its row, and erased once it is sent or of no use any more.

use claviger_domain::base62;
use claviger_domain::email::Email;
use claviger_domain::id::Id;
use claviger_domain::random::Random;
use claviger_domain::time::Timestamp;

use crate::db::on;
use crate::notifications::{self, News};
use crate::{Change, Db, StoreError, Tx, invitations};

/// How long a claimed mail is nobody else's, in seconds: longer than any server takes.
pub const LEASE_SECONDS: i64 = 120;
/// How long what became of a mail can be asked, in seconds.
pub const KEPT_SECONDS: i64 = 30 * 86_400;

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailStatus {
    /// It is still to be sent, for the first time or again.
    Queued,
    /// The server took it.
    Sent,
    /// The server refused it, or took nothing until it was of no use any more.
    Failed,
}

impl MailStatus {
    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Queued, Self::Sent, Self::Failed]
            .into_iter()
            .find(|one| one.as_str() == text)
    }
}

/// A mail to send.
#[derive(Clone, Debug)]
pub struct NewMail {
    /// Its id, for which it is sealed.
    pub id: String,
    /// What it is, such as `invitation`.
    pub kind: &'static str,
    /// The id of what it is of.
    pub about: String,
    /// To whom.
    pub to: Email,
    /// Whether it is sent only where somebody signed up with the address: whoever asks for it does not
    /// learn that.
    pub is_for_users: bool,
    /// What it says, sealed.
    pub sealed: Vec<u8>,
    /// After that it is of no use.
    pub expires_at: Timestamp,
}

/// Draws the id of a mail.
pub fn draw_id(random: &dyn Random) -> String {
    format!("mal_{}", base62::random_text(random, 20))
}

/// Queues a mail.
pub async fn queue(tx: &mut Tx, change: &Change, mail: &NewMail) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO mails (id, kind, about, recipient, is_for_users, sealed, status, \
                       attempts, next_at, expires_at, created_at) \
                       VALUES ($1, $2, $3, $4, $5, $6, 'queued', 0, $7, $8, $7)";
    on!(tx, |c| sqlx::query(SQL)
        .bind(&mail.id)
        .bind(mail.kind)
        .bind(&mail.about)
        .bind(mail.to.as_str())
        .bind(mail.is_for_users)
        .bind(&mail.sealed)
        .bind(change.now.as_micros())
        .bind(mail.expires_at.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// A mail that is somebody's to send for a while.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Claimed {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: String,
    /// To whom: as they signed up, where it is for who did, and not as whoever asked spells it, since another
    /// spelling may be another mailbox.
    pub recipient: String,
    /// What it says, sealed.
    pub sealed: Vec<u8>,
    /// How often it was tried before.
    pub attempts: i64,
    /// After that it is of no use.
    #[sqlx(try_from = "i64")]
    pub expires_at: Timestamp,
    /// Whether it is to be sent: it is for whoever has the address, or somebody signed up with it.
    pub is_wanted: bool,
}

/// Whether a mail is due, so that a claim is worth a change.
pub async fn is_due(db: &Db, now: Timestamp) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT COUNT(*) > 0 FROM mails WHERE next_at <= $1 \
                       AND (leased_until IS NULL OR leased_until <= $1)";
    Ok(on!(read db, |c| sqlx::query_scalar(SQL)
        .bind(now.as_micros())
        .fetch_one(c)
        .await)?)
}

/// Claims mails that are due and that nobody else sends: codes before invitations, since they are good
/// for minutes and somebody waits for them, and then those that have waited longest.
pub async fn claim(
    db: &Db,
    lease: &str,
    most: i64,
    now: Timestamp,
) -> Result<Vec<Claimed>, StoreError> {
    const SQL: &str = "UPDATE mails SET lease = $1, leased_until = $2 WHERE id IN (SELECT id FROM mails \
                       WHERE next_at <= $3 AND (leased_until IS NULL OR leased_until <= $3) \
                       ORDER BY is_for_users DESC, next_at LIMIT $4) AND (leased_until IS NULL OR leased_until <= $3) \
                       RETURNING id, kind, COALESCE((SELECT email FROM users WHERE is_for_users \
                       AND email_folded = LOWER(recipient)), recipient) AS recipient, \
                       sealed, attempts, expires_at, \
                       NOT is_for_users OR EXISTS (SELECT 1 FROM users \
                       WHERE email_folded = LOWER(recipient)) AS is_wanted";
    let lease = lease.to_owned();
    db.write(move |tx| {
        Box::pin(async move {
            Ok(on!(tx, |c| sqlx::query_as(SQL)
                .bind(lease)
                .bind(now.plus_seconds(LEASE_SECONDS).as_micros())
                .bind(now.as_micros())
                .bind(most)
                .fetch_all(c)
                .await)?)
        })
    })
    .await
}

/// Forgets a claimed mail that nobody is to get: there is nothing to tell of it.
pub async fn forget(db: &Db, lease: &str, id: &str) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM mails WHERE id = $1 AND lease = $2";
    let (id, lease) = (id.to_owned(), lease.to_owned());
    db.write(move |tx| {
        Box::pin(async move {
            on!(tx, |c| sqlx::query(SQL)
                .bind(id)
                .bind(lease)
                .execute(c)
                .await
                .map(drop))?;
            Ok(())
        })
    })
    .await
}

/// Notes that a claimed mail is done with, and erases what it says.
pub async fn end(
    db: &Db,
    lease: &str,
    id: &str,
    status: MailStatus,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (id, lease) = (id.to_owned(), lease.to_owned());
    db.write(move |tx| {
        Box::pin(async move { end_in(tx, &lease, &id, status, now).await.map(drop) })
    })
    .await
}

/// The same of one that was given up; the people of the account are told, where it was an invitation.
pub async fn fail(db: &Db, lease: &str, id: &str, change: Change) -> Result<(), StoreError> {
    let (id, lease) = (id.to_owned(), lease.to_owned());
    db.write(move |tx| {
        Box::pin(async move {
            let status = MailStatus::Failed;
            match end_in(tx, &lease, &id, status, change.now).await? {
                Some(about) => tell_of_invitation(tx, &change, about).await,
                None => Ok(()),
            }
        })
    })
    .await
}

/// Ends a mail that is held under that lease, and gives what it was about.
async fn end_in(
    tx: &mut Tx,
    lease: &str,
    id: &str,
    status: MailStatus,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    const SQL: &str = "UPDATE mails SET status = $3, ended_at = $4, attempts = attempts + 1, \
                       sealed = NULL, next_at = NULL, lease = NULL, leased_until = NULL \
                       WHERE id = $1 AND lease = $2 RETURNING about";
    Ok(on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(id)
        .bind(lease)
        .bind(status.as_str())
        .bind(now.as_micros())
        .fetch_optional(c)
        .await)?)
}

async fn tell_of_invitation(tx: &mut Tx, change: &Change, about: String) -> Result<(), StoreError> {
    let Some(id) = Id::parse(&about) else {
        return Ok(());
    };
    let Some(invitation) = invitations::peek(tx, &id).await? else {
        return Ok(());
    };
    let to = invitation.email.masked();
    let news = News {
        account: invitation.account.clone(),
        project: None,
        kind: "invitation.notDelivered",
        title: "An invitation was not delivered".to_owned(),
        body: format!(
            "No mail server took the invitation {id} to {to}. Whoever is asked does not know of it: \
             see that the address is right, and invite them again."
        ),
        once: Some(format!("invitation.notDelivered {id}")),
    };
    notifications::tell(tx, change, news).await.map(drop)
}

/// Notes that a claimed mail was not taken, and is tried again at an instant.
pub async fn put_off(db: &Db, lease: &str, id: &str, until: Timestamp) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE mails SET attempts = attempts + 1, next_at = $3, lease = NULL, \
                       leased_until = NULL WHERE id = $1 AND lease = $2";
    let (id, lease) = (id.to_owned(), lease.to_owned());
    db.write(move |tx| {
        Box::pin(async move {
            on!(tx, |c| sqlx::query(SQL)
                .bind(id)
                .bind(lease)
                .bind(until.as_micros())
                .execute(c)
                .await
                .map(drop))?;
            Ok(())
        })
    })
    .await
}

/// What became of the last mail about something, and when that was; none where there is none.
pub async fn last_about(
    db: &Db,
    about: &[&str],
) -> Result<Vec<(String, MailStatus, Option<Timestamp>)>, StoreError> {
    const SQL: &str = "SELECT about, status, ended_at FROM mails \
                       WHERE about IN (SELECT value ->> 0 FROM json_each($1)) \
                       ORDER BY created_at, id";
    let about = crate::reach::list(about.iter().copied());
    let rows: Vec<(String, String, Option<i64>)> = on!(read db, |c| sqlx::query_as(SQL)
        .bind(about)
        .fetch_all(c)
        .await)?;
    let rows = rows.into_iter().filter_map(|(about, status, ended_at)| {
        let status = MailStatus::parse(&status)?;
        Some((about, status, ended_at.map(Timestamp::from_micros)))
    });
    Ok(rows.collect())
}

/// How many mails wait, and since when the oldest of those.
pub async fn backlog(db: &Db) -> Result<(i64, Option<Timestamp>), StoreError> {
    const SQL: &str = "SELECT COUNT(*), MIN(created_at) FROM mails WHERE next_at IS NOT NULL";
    let (count, oldest): (i64, Option<i64>) =
        on!(read db, |c| sqlx::query_as(SQL).fetch_one(c).await)?;
    Ok((count, oldest.map(Timestamp::from_micros)))
}

/// Erases mails of which nobody asks any more.
pub async fn forget_ended(db: &Db, now: Timestamp) -> Result<(), StoreError> {
    const ENDED: &str = "SELECT COUNT(*) FROM mails WHERE ended_at <= $1";
    const SQL: &str = "DELETE FROM mails WHERE id IN \
                       (SELECT id FROM mails WHERE ended_at <= $1 ORDER BY ended_at LIMIT 500)";
    let before = now.plus_seconds(-KEPT_SECONDS).as_micros();
    let ended: i64 = on!(read db, |c| sqlx::query_scalar(ENDED)
        .bind(before)
        .fetch_one(c)
        .await)?;
    if ended == 0 {
        return Ok(());
    }
    db.write(move |tx| {
        Box::pin(async move {
            on!(tx, |c| sqlx::query(SQL)
                .bind(before)
                .execute(c)
                .await
                .map(drop))?;
            Ok(())
        })
    })
    .await
}
