//! Sessions: that a person is signed in, with the tokens that show it.
//!
//! A refresh token is exchanged once. Those that were exchanged stay, so that one that comes again is
//! known for what it is: a copy in other hands.

use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::key_string::KeyDigest;
use claviger_domain::time::Timestamp;
use serde_json::json;

use crate::db::on;
use crate::users::User;
use crate::{Change, Db, Page, StoreError, Tx, users};

type SessionId = Id<id::Session>;
type UserId = Id<id::User>;

/// How long a token that is presented with each request is taken, in seconds.
pub const ACCESS_SECONDS: i64 = 900;
/// How long a session goes on without being refreshed, in seconds: 30 days.
pub const IDLE_SECONDS: i64 = 30 * 86_400;
/// How long a session goes on at all, in seconds: 180 days.
pub const LONGEST_SECONDS: i64 = 180 * 86_400;
/// How long a refresh token that comes again gets the same successor, in seconds: a client that sent
/// it twice, or whose answer was lost.
pub const REPEAT_SECONDS: i64 = 10;
/// Sessions that a person has at a time, at most.
pub const MOST: i64 = 100;

/// That a person is signed in.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Session {
    /// Its id.
    #[sqlx(try_from = "String")]
    pub id: SessionId,
    /// What the program that began it calls itself.
    pub user_agent: Option<String>,
    /// The address that it was begun from.
    pub address: Option<String>,
    /// When it was begun.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// When it got its tokens.
    #[sqlx(try_from = "i64")]
    pub refreshed_at: Timestamp,
    /// When it ends, unless it is refreshed before that.
    #[sqlx(try_from = "i64")]
    pub expires_at: Timestamp,
}

/// Where a session is begun.
#[derive(Clone, Debug, Default)]
pub struct Begun {
    /// What the program calls itself.
    pub user_agent: Option<String>,
    /// The address that the request comes from.
    pub address: Option<String>,
    /// When they showed who they are; none: as it begins.
    pub shown_at: Option<Timestamp>,
}

/// What is stored of a pair of tokens.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The id and digest of the one that is presented with each request.
    pub access: (Id<id::SessionToken>, KeyDigest),
    /// Those of the one that is exchanged for another pair.
    pub refresh: (Id<id::SessionToken>, KeyDigest),
}

/// Begins a session of a person; where they have as many as anybody has, the one that was refreshed
/// longest ago ends.
pub async fn begin(
    tx: &mut Tx,
    change: &Change,
    user: &UserId,
    begun: &Begun,
    pair: &Pair,
) -> Result<SessionId, StoreError> {
    const SQL: &str = "INSERT INTO sessions (id, user_id, user_agent, address, created_at, \
                       refreshed_at, expires_at, shown_at) \
                       VALUES ($1, $2, $3, $4, $5, $5, $6, $7)";
    const TOO_MANY: &str = "SELECT id FROM sessions WHERE user_id = $1 \
                            ORDER BY refreshed_at DESC, id LIMIT 1000 OFFSET $2";
    users::hold(tx, user).await?;
    let too_many: Vec<String> = on!(&mut *tx, |c| sqlx::query_scalar(TOO_MANY)
        .bind(user.as_str())
        .bind(MOST - 1)
        .fetch_all(c)
        .await)?;
    for id in too_many.into_iter().map(SessionId::from_trusted) {
        end(tx, change, user, Ended::One(&id), "tooMany").await?;
    }
    let id = SessionId::draw(&*change.random);
    on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(id.as_str())
        .bind(user.as_str())
        .bind(&begun.user_agent)
        .bind(&begun.address)
        .bind(change.now.as_micros())
        .bind(change.now.plus_seconds(IDLE_SECONDS).as_micros())
        .bind(begun.shown_at.map(Timestamp::as_micros))
        .execute(c)
        .await
        .map(drop))?;
    let ends_at = change.now.plus_seconds(IDLE_SECONDS);
    keep_pair(tx, &id, pair, ends_at, change.now).await?;
    let data = json!({"sessionId": id});
    users::note(tx, change, EventKind::UserSignedIn, user, data).await?;
    Ok(id)
}

async fn keep_pair(
    tx: &mut Tx,
    session: &SessionId,
    pair: &Pair,
    ends_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO session_tokens (id, session_id, kind, digest, created_at, \
                       expires_at) VALUES ($1, $2, $3, $4, $5, $6)";
    let until = now.plus_seconds(ACCESS_SECONDS).min(ends_at);
    let rows = [
        ("access", &pair.access, until),
        ("refresh", &pair.refresh, ends_at),
    ];
    for (kind, (id, digest), expires_at) in rows {
        on!(&mut *tx, |c| sqlx::query(SQL)
            .bind(id.as_str())
            .bind(session.as_str())
            .bind(kind)
            .bind(&digest.as_bytes()[..])
            .bind(now.as_micros())
            .bind(expires_at.as_micros())
            .execute(c)
            .await
            .map(drop))?;
    }
    Ok(())
}

/// Who presents an access token, in which session, and until when it is taken.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct SignedIn {
    /// The person.
    #[sqlx(flatten)]
    pub user: User,
    /// The session.
    #[sqlx(try_from = "String")]
    pub session_id: SessionId,
    /// When they showed who they are, to begin the session.
    #[sqlx(try_from = "i64")]
    pub shown_at: Timestamp,
    /// Until when the token is taken.
    #[sqlx(try_from = "i64")]
    pub until: Timestamp,
}

/// Who presents an access token with that digest, whether it is over or not.
pub async fn find_by_access(db: &Db, digest: &KeyDigest) -> Result<Option<SignedIn>, StoreError> {
    const SQL: &str = "SELECT users.id, email, name, email_verified_at IS NOT NULL AS is_verified, \
                       users.created_at, updated_at, session_id, \
                       COALESCE(shown_at, sessions.created_at) AS shown_at, session_tokens.expires_at AS until FROM session_tokens \
                       JOIN sessions ON sessions.id = session_id \
                       JOIN users ON users.id = user_id \
                       WHERE digest = $1 AND kind = 'access'";
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(&digest.as_bytes()[..])
        .fetch_optional(c)
        .await)?)
}

/// Whose a refresh token is that is presented.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Refreshing {
    /// The person whose session it is of.
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
    /// Whether it was exchanged before.
    pub is_used: bool,
}

/// Whose the refresh token with that digest is, whatever its state.
pub async fn find_by_refresh(
    db: &Db,
    digest: &KeyDigest,
) -> Result<Option<Refreshing>, StoreError> {
    const SQL: &str = "SELECT user_id, used_at IS NOT NULL AS is_used \
                       FROM session_tokens JOIN sessions ON sessions.id = session_id \
                       WHERE digest = $1 AND kind = 'refresh'";
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(&digest.as_bytes()[..])
        .fetch_optional(c)
        .await)?)
}

/// What came of exchanging a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchanged {
    /// It has that successor, which is taken until then: from now on, or since some seconds.
    Done {
        /// Until when the access token is taken.
        access_until: Timestamp,
    },
    /// It was exchanged before: somebody else has it, and the whole session is ended.
    Reused,
    /// There is none, or it is over.
    Absent,
}

/// Exchanges a refresh token of a person for its successor; what comes twice within seconds gets the
/// same.
pub async fn exchange(
    tx: &mut Tx,
    change: &Change,
    user: &UserId,
    digest: &KeyDigest,
    successor: &Pair,
) -> Result<Exchanged, StoreError> {
    const SESSION: &str = "SELECT sessions.id, user_id, sessions.created_at FROM session_tokens \
                           JOIN sessions ON sessions.id = session_id \
                           WHERE digest = $1 AND kind = 'refresh'";
    const TOKEN: &str = "SELECT used_at, expires_at FROM session_tokens WHERE digest = $1";
    const SUCCESSOR: &str = "SELECT access.expires_at FROM session_tokens AS access \
                             JOIN session_tokens AS refresh ON refresh.session_id = access.session_id \
                             WHERE access.digest = $1 AND refresh.digest = $2 \
                             AND refresh.used_at IS NULL";
    const USE: &str = "UPDATE session_tokens SET used_at = $2 WHERE digest = $1";
    const GO_ON: &str = "UPDATE sessions SET refreshed_at = $2, expires_at = $3 WHERE id = $1";
    // The person is held, so that of two who come with one token the second sees the first, and nobody
    // ends the session meanwhile.
    users::hold(tx, user).await?;
    let found: Option<(String, String, i64)> = on!(&mut *tx, |c| sqlx::query_as(SESSION)
        .bind(&digest.as_bytes()[..])
        .fetch_optional(c)
        .await)?;
    let found = found.filter(|(_, whose, _)| whose == user.as_str());
    let Some((session, _, begun_at)) = found else {
        return Ok(Exchanged::Absent);
    };
    let session = SessionId::from_trusted(session);
    let token: Option<(Option<i64>, i64)> = on!(&mut *tx, |c| sqlx::query_as(TOKEN)
        .bind(&digest.as_bytes()[..])
        .fetch_optional(c)
        .await)?;
    let Some((used_at, expires_at)) = token else {
        return Ok(Exchanged::Absent);
    };
    let now = change.now;
    if let Some(used_at) = used_at.map(Timestamp::from_micros) {
        let current: Option<i64> = on!(&mut *tx, |c| sqlx::query_scalar(SUCCESSOR)
            .bind(&successor.access.1.as_bytes()[..])
            .bind(&successor.refresh.1.as_bytes()[..])
            .fetch_optional(c)
            .await)?;
        if let Some(until) = current
            && now < used_at.plus_seconds(REPEAT_SECONDS)
        {
            let access_until = Timestamp::from_micros(until);
            return Ok(Exchanged::Done { access_until });
        }
        end(tx, change, user, Ended::One(&session), "reused").await?;
        return Ok(Exchanged::Reused);
    }
    if Timestamp::from_micros(expires_at) <= now {
        return Ok(Exchanged::Absent);
    }
    let longest = Timestamp::from_micros(begun_at).plus_seconds(LONGEST_SECONDS);
    let ends_at = now.plus_seconds(IDLE_SECONDS).min(longest);
    on!(&mut *tx, |c| sqlx::query(USE)
        .bind(&digest.as_bytes()[..])
        .bind(now.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    on!(&mut *tx, |c| sqlx::query(GO_ON)
        .bind(session.as_str())
        .bind(now.as_micros())
        .bind(ends_at.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    keep_pair(tx, &session, successor, ends_at, now).await?;
    let access_until = now.plus_seconds(ACCESS_SECONDS).min(ends_at);
    Ok(Exchanged::Done { access_until })
}

/// Lists the sessions of a person that have not ended, and tells how many there are.
pub async fn list(
    db: &Db,
    user: &UserId,
    page: &Page,
    now: Timestamp,
) -> Result<(Vec<Session>, i64), StoreError> {
    const ROWS: &str = "SELECT id, user_agent, address, created_at, refreshed_at, expires_at \
                        FROM sessions WHERE user_id = $1 AND expires_at > $2 \
                        ORDER BY created_at, id LIMIT $3 OFFSET $4";
    const TOTAL: &str = "SELECT COUNT(*) FROM sessions WHERE user_id = $1 AND expires_at > $2";
    let rows = on!(read db, |c| sqlx::query_as(ROWS)
        .bind(user.as_str())
        .bind(now.as_micros())
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(c)
        .await)?;
    let total = on!(read db, |c| sqlx::query_scalar(TOTAL)
        .bind(user.as_str())
        .bind(now.as_micros())
        .fetch_one(c)
        .await)?;
    Ok((rows, total))
}

/// Which sessions of a person end.
#[derive(Clone, Copy, Debug)]
pub enum Ended<'a> {
    /// That one.
    One(&'a SessionId),
    /// All but that one.
    Others(&'a SessionId),
    /// All of them.
    All,
}

/// Ends sessions of a person, with all their tokens, and tells how many.
pub async fn end(
    tx: &mut Tx,
    change: &Change,
    user: &UserId,
    which: Ended<'_>,
    reason: &'static str,
) -> Result<usize, StoreError> {
    macro_rules! ending {
        ($which:literal) => {
            (
                concat!(
                    "DELETE FROM session_tokens WHERE session_id IN \
                     (SELECT id FROM sessions WHERE user_id = $1 AND ",
                    $which,
                    ")"
                ),
                concat!(
                    "DELETE FROM sessions WHERE user_id = $1 AND ",
                    $which,
                    " RETURNING id"
                ),
            )
        };
    }
    let ((tokens, sessions), one) = match which {
        Ended::One(id) => (ending!("id = $2"), id.as_str()),
        Ended::Others(id) => (ending!("id <> $2"), id.as_str()),
        Ended::All => (ending!("id <> $2"), ""),
    };
    users::hold(tx, user).await?;
    on!(&mut *tx, |c| sqlx::query(tokens)
        .bind(user.as_str())
        .bind(one)
        .execute(c)
        .await
        .map(drop))?;
    let ended: Vec<String> = on!(&mut *tx, |c| sqlx::query_scalar(sessions)
        .bind(user.as_str())
        .bind(one)
        .fetch_all(c)
        .await)?;
    if !ended.is_empty() {
        let data = json!({"sessionIds": ended, "reason": reason});
        users::note(tx, change, EventKind::UserSignedOut, user, data).await?;
    }
    Ok(ended.len())
}

/// Whether a session of a person who is held has not been ended.
pub async fn is_there(tx: &mut Tx, user: &UserId, id: &SessionId) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT COUNT(*) > 0 FROM sessions WHERE user_id = $1 AND id = $2";
    Ok(on!(tx, |c| sqlx::query_scalar(SQL)
        .bind(user.as_str())
        .bind(id.as_str())
        .fetch_one(c)
        .await)?)
}

/// Erases sessions that have ended by themselves, and access tokens that are over, until there are none
/// left.
pub async fn forget_ended(db: &Db, now: Timestamp) -> Result<(), StoreError> {
    const ENDED: &str = "SELECT COUNT(*) FROM (SELECT id FROM session_tokens \
                         WHERE expires_at <= $1 LIMIT 1) AS ended";
    const SQL: [&str; 2] = [
        "DELETE FROM session_tokens WHERE id IN (SELECT id FROM session_tokens \
         WHERE expires_at <= $1 ORDER BY expires_at LIMIT 500)",
        // One whose tokens have not all gone yet goes the next time.
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= $1 \
         AND NOT EXISTS (SELECT 1 FROM session_tokens WHERE session_id = sessions.id) \
         ORDER BY expires_at LIMIT 500)",
    ];
    loop {
        let ended: i64 = on!(read db, |c| sqlx::query_scalar(ENDED)
            .bind(now.as_micros())
            .fetch_one(c)
            .await)?;
        if ended == 0 {
            return Ok(());
        }
        let erased = db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                for sql in SQL {
                    on!(&mut *tx, |c| sqlx::query(sql)
                        .bind(now.as_micros())
                        .execute(c)
                        .await
                        .map(drop))?;
                }
                Ok(())
            })
        });
        erased.await?;
    }
}
