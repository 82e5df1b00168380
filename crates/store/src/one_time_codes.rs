//! One-time codes and links: few digits to type in, and a long token, each good once and for minutes.
//!
//! One is stored for whatever address is asked for, so that asking tells nobody who signed up.

use claviger_domain::base62;
use claviger_domain::email::Email;
use claviger_domain::key_string::KeyDigest;
use claviger_domain::time::Timestamp;

use crate::db::on;
use crate::{Change, Db, StoreError, Tx};

/// How long a code is good, in seconds.
pub const VALID_SECONDS: i64 = 600;
/// Wrong digits that one code takes.
pub const MOST_TRIES: i64 = 5;
/// Digits that may be tried for an address in an hour and in a day, whichever code they are for.
pub const MOST_AN_HOUR: i64 = 10;
/// The same in a day.
pub const MOST_A_DAY: i64 = 20;

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodePurpose {
    /// Signing in.
    SignIn,
    /// Giving oneself another password.
    Password,
}

impl CodePurpose {
    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Password => "password",
        }
    }
}

/// A code to store.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// Whose it is, if anybody's.
    pub email: Email,
    /// What it is for.
    pub purpose: CodePurpose,
    /// Of its digits, where it has some.
    pub code: Option<KeyDigest>,
    /// Of its token.
    pub token: KeyDigest,
}

/// Stores a code; those of before stay good for their time.
pub async fn create(tx: &mut Tx, change: &Change, new: &NewCode) -> Result<String, StoreError> {
    const SQL: &str = "INSERT INTO one_time_codes (id, email_folded, purpose, code_digest, \
                       token_digest, tries, expires_at, created_at) \
                       VALUES ($1, $2, $3, $4, $5, 0, $6, $7)";
    let id = format!("otc_{}", base62::random_text(&*change.random, 20));
    on!(tx, |c| sqlx::query(SQL)
        .bind(&id)
        .bind(new.email.folded())
        .bind(new.purpose.as_str())
        .bind(new.code.as_ref().map(|digest| &digest.as_bytes()[..]))
        .bind(&new.token.as_bytes()[..])
        .bind(change.now.plus_seconds(VALID_SECONDS).as_micros())
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(drop))?;
    Ok(id)
}

/// What came of trying digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// They are those of a code, which is used up now, with all others of that address and purpose.
    Right,
    /// They are not.
    Wrong,
    /// They were not looked at: too many were tried for the address, until then.
    TooMany(Timestamp),
}

/// Tries digits for an address. Wrong ones count before they are looked at, across all codes of the
/// address, and for the last code that was asked for.
pub async fn try_digits(
    tx: &mut Tx,
    email: &Email,
    code: &KeyDigest,
    now: Timestamp,
) -> Result<Tried, StoreError> {
    const LAST: &str = "SELECT id FROM one_time_codes WHERE email_folded = $1 AND purpose = 'sign-in' \
                        AND code_digest IS NOT NULL AND expires_at > $2 \
                        ORDER BY created_at DESC, id DESC LIMIT 1";
    const TRY: &str = "UPDATE one_time_codes SET tries = tries + 1 WHERE id = $1 AND tries < $2 \
                       RETURNING code_digest";
    if let Some(until) = take_attempt(tx, email, now).await? {
        return Ok(Tried::TooMany(until));
    }
    let last: Option<String> = on!(&mut *tx, |c| sqlx::query_scalar(LAST)
        .bind(email.folded())
        .bind(now.as_micros())
        .fetch_optional(c)
        .await)?;
    let Some(last) = last else {
        return Ok(Tried::Wrong);
    };
    let stored: Option<Vec<u8>> = on!(&mut *tx, |c| sqlx::query_scalar(TRY)
        .bind(&last)
        .bind(MOST_TRIES)
        .fetch_optional(c)
        .await)?;
    let stored = stored.and_then(|bytes| KeyDigest::from_bytes(&bytes));
    if !stored.is_some_and(|stored| stored.matches(code)) {
        return Ok(Tried::Wrong);
    }
    use_up(tx, email.folded(), CodePurpose::SignIn).await?;
    give_back(tx, email).await?;
    Ok(Tried::Right)
}

/// Counts an attempt for an address; gives the instant until which there is none.
async fn take_attempt(
    tx: &mut Tx,
    email: &Email,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    // The row is held from here on, so that those who come at once are counted one after another.
    const COUNT: &str = "INSERT INTO code_attempts (email_folded, hour_from, in_hour, day_from, in_day) \
        VALUES ($1, $2, 1, $2, 1) ON CONFLICT (email_folded) DO UPDATE SET \
        hour_from = CASE WHEN code_attempts.hour_from <= $3 THEN $2 ELSE code_attempts.hour_from END, \
        in_hour = CASE WHEN code_attempts.hour_from <= $3 THEN 1 ELSE code_attempts.in_hour + 1 END, \
        day_from = CASE WHEN code_attempts.day_from <= $4 THEN $2 ELSE code_attempts.day_from END, \
        in_day = CASE WHEN code_attempts.day_from <= $4 THEN 1 ELSE code_attempts.in_day + 1 END \
        RETURNING hour_from, in_hour, day_from, in_day";
    let (hour_from, in_hour, day_from, in_day): (i64, i64, i64, i64) =
        on!(&mut *tx, |c| sqlx::query_as(COUNT)
            .bind(email.folded())
            .bind(now.as_micros())
            .bind(now.plus_seconds(-3_600).as_micros())
            .bind(now.plus_seconds(-86_400).as_micros())
            .fetch_one(c)
            .await)?;
    let is_over = [
        (in_hour > MOST_AN_HOUR, hour_from, 3_600),
        (in_day > MOST_A_DAY, day_from, 86_400),
    ];
    let until = is_over
        .into_iter()
        .filter(|(is_over, ..)| *is_over)
        .map(|(_, from, seconds)| Timestamp::from_micros(from).plus_seconds(seconds))
        .max();
    if until.is_some() {
        // What is not looked at does not count.
        give_back(tx, email).await?;
    }
    Ok(until)
}

async fn give_back(tx: &mut Tx, email: &Email) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE code_attempts SET in_hour = in_hour - 1, in_day = in_day - 1 \
                       WHERE email_folded = $1";
    on!(tx, |c| sqlx::query(SQL)
        .bind(email.folded())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Uses up the code of that token, with all others of its address and purpose; gives the address.
pub async fn use_token(
    tx: &mut Tx,
    purpose: CodePurpose,
    token: &KeyDigest,
    now: Timestamp,
) -> Result<Option<Email>, StoreError> {
    const SQL: &str = "DELETE FROM one_time_codes WHERE token_digest = $1 AND purpose = $2 \
                       AND expires_at > $3 RETURNING email_folded";
    let email: Option<String> = on!(&mut *tx, |c| sqlx::query_scalar(SQL)
        .bind(&token.as_bytes()[..])
        .bind(purpose.as_str())
        .bind(now.as_micros())
        .fetch_optional(c)
        .await)?;
    let Some(email) = email else { return Ok(None) };
    use_up(tx, &email, purpose).await?;
    Ok(Email::parse(&email))
}

/// For which address a token is that can be used, without using it up.
pub async fn address_of(
    db: &Db,
    purpose: CodePurpose,
    token: &KeyDigest,
    now: Timestamp,
) -> Result<Option<Email>, StoreError> {
    const SQL: &str = "SELECT email_folded FROM one_time_codes WHERE token_digest = $1 \
                       AND purpose = $2 AND expires_at > $3";
    let email: Option<String> = on!(read db, |c| sqlx::query_scalar(SQL)
        .bind(&token.as_bytes()[..])
        .bind(purpose.as_str())
        .bind(now.as_micros())
        .fetch_optional(c)
        .await)?;
    Ok(email.and_then(|email| Email::parse(&email)))
}

async fn use_up(tx: &mut Tx, email_folded: &str, purpose: CodePurpose) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM one_time_codes WHERE email_folded = $1 AND purpose = $2";
    on!(tx, |c| sqlx::query(SQL)
        .bind(email_folded)
        .bind(purpose.as_str())
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Erases codes that are over, and counts of which nothing runs any more.
pub async fn forget_ended(db: &Db, now: Timestamp) -> Result<(), StoreError> {
    const ENDED: &str = "SELECT (SELECT COUNT(*) FROM one_time_codes WHERE expires_at <= $1) \
                         + (SELECT COUNT(*) FROM code_attempts WHERE day_from <= $2)";
    const CODES: &str = "DELETE FROM one_time_codes WHERE id IN \
                         (SELECT id FROM one_time_codes WHERE expires_at <= $1 LIMIT 500)";
    const COUNTS: &str = "DELETE FROM code_attempts WHERE email_folded IN \
                          (SELECT email_folded FROM code_attempts WHERE day_from <= $1 LIMIT 500)";
    let (over, day) = (now.as_micros(), now.plus_seconds(-86_400).as_micros());
    let ended: i64 = on!(read db, |c| sqlx::query_scalar(ENDED)
        .bind(over)
        .bind(day)
        .fetch_one(c)
        .await)?;
    if ended == 0 {
        return Ok(());
    }
    db.write(move |tx| {
        Box::pin(async move {
            for (sql, before) in [(CODES, over), (COUNTS, day)] {
                on!(&mut *tx, |c| sqlx::query(sql)
                    .bind(before)
                    .execute(c)
                    .await
                    .map(drop))?;
            }
            Ok(())
        })
    })
    .await
}
