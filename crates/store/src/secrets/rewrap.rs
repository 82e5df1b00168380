//! Another master key: what the old one wraps is wrapped by the new one, all of it at once.

use claviger_domain::event::EventKind;
use secrecy::ExposeSecret;
use serde_json::json;

use super::open;
use crate::db::on;
use crate::sealing::{MasterKey, named_key};
use crate::{Change, Db, StoreError, instance};

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrapped {
    /// The secrets are under the new key now.
    Now,
    /// They were already.
    Before,
}

/// Wraps the instance's secrets by a new master key. What they seal themselves is not touched, so
/// that programs which run go on with what they have opened.
///
/// Either all of it happens or nothing, and done again it changes nothing. Fails with
/// [`StoreError::Unsealing`] when neither key opens them.
pub async fn rewrap(
    db: &Db,
    old: &MasterKey,
    new: &MasterKey,
    change: &Change,
) -> Result<Rewrapped, StoreError> {
    const FIND: &str = "SELECT name, sealed FROM sealed_secrets";
    const WRAP: &str = "UPDATE sealed_secrets SET sealed = $2 WHERE name = $1 AND sealed = $3";
    let find = || async {
        let rows: Vec<(String, Vec<u8>)> =
            on!(read db, |c| sqlx::query_as(FIND).fetch_all(c).await)?;
        Ok::<_, StoreError>(rows)
    };
    let rows = find().await?;
    let is_new = |sealed: &[u8]| named_key(sealed) == Some(new.id());
    if !rows.is_empty() && rows.iter().all(|(_, sealed)| is_new(sealed)) {
        open(db, new, &*change.random, change.now).await?;
        return Ok(Rewrapped::Before);
    }
    // Also draws the sealing key, where an early database has none.
    open(db, old, &*change.random, change.now).await?;
    let mut wrapped = Vec::new();
    for (name, sealed) in find().await? {
        let plain = old.unwrap(&name, &sealed)?;
        let again = new.wrap(&name, plain.expose_secret(), &*change.random);
        wrapped.push((name, again, sealed));
    }
    let (change, id) = (change.clone(), new.id());
    db.write(move |tx| {
        Box::pin(async move {
            for (name, again, sealed) in wrapped {
                let rows = on!(&mut *tx, |c| sqlx::query(WRAP)
                    .bind(name)
                    .bind(again)
                    .bind(sealed)
                    .execute(c)
                    .await
                    .map(|done| done.rows_affected()))?;
                if rows == 0 {
                    // Somebody else was quicker, with the same key or with another.
                    return Err(StoreError::Unsealing("secrets of the instance"));
                }
            }
            let kind = EventKind::MasterKeyRotated;
            instance::note(tx, &change, kind, &id.to_string(), json!({})).await?;
            Ok(Rewrapped::Now)
        })
    })
    .await
}
