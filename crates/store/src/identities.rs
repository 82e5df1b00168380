//! What people show elsewhere: a provider's own name for somebody, which is nobody else's.

use claviger_domain::event::EventKind;
use claviger_domain::id::{self, Id};
use claviger_domain::identity_token::Identity;
use serde_json::json;

use crate::db::on;
use crate::users::{self, User};
use crate::{Change, Db, StoreError, Tx};

/// The person that a provider means.
pub async fn find(db: &Db, identity: &Identity) -> Result<Option<User>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        users::columns!(),
        " FROM users WHERE id = \
         (SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2)"
    );
    Ok(on!(read db, |c| sqlx::query_as(SQL)
        .bind(&identity.issuer)
        .bind(&identity.subject)
        .fetch_optional(c)
        .await)?)
}

/// Whom a provider means that is to mean a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// That person, from now on.
    Now,
    /// That person, as before.
    Before,
    /// Somebody else, as before.
    ToAnother,
}

/// Notes that a provider means a person, unless it means somebody else.
pub async fn link(
    tx: &mut Tx,
    change: &Change,
    identity: &Identity,
    user: &Id<id::User>,
) -> Result<Linked, StoreError> {
    const SQL: &str = "INSERT INTO identities (issuer, subject, user_id, created_at) \
                       VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    const WHOM: &str = "SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2";
    let rows = on!(&mut *tx, |c| sqlx::query(SQL)
        .bind(&identity.issuer)
        .bind(&identity.subject)
        .bind(user.as_str())
        .bind(change.now.as_micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if rows == 1 {
        let data = json!({"linked": identity.issuer});
        users::note(tx, change, EventKind::UserUpdated, user, data).await?;
        return Ok(Linked::Now);
    }
    let whom: Option<String> = on!(&mut *tx, |c| sqlx::query_scalar(WHOM)
        .bind(&identity.issuer)
        .bind(&identity.subject)
        .fetch_optional(c)
        .await)?;
    Ok(if whom.is_some_and(|whom| whom == user.as_str()) {
        Linked::Before
    } else {
        Linked::ToAnother
    })
}
