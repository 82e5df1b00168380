//! Another master key: what the old one wraps is wrapped by the new one, all of it at once.

use claviger_domain::event::EventKind;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{ROWS, open};
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
    const WRAP: &str = "UPDATE sealed_secrets SET sealed = $2 WHERE name = $1";
    let rows = on!(read db, |c| sqlx::query_as(ROWS).fetch_all(c).await)?;
    if is_wrapped_by(new, &rows) {
        open(db, new, &*change.random, change.now).await?;
        return Ok(Rewrapped::Before);
    }
    // Also draws the sealing key, where an early database has none.
    open(db, old, &*change.random, change.now).await?;
    let (change, old, new) = (change.clone(), old.clone(), new.clone());
    db.write(move |tx| {
        Box::pin(async move {
            // What was added meanwhile, such as a layer of pepper, is wrapped, too.
            instance::hold(tx).await?;
            let rows = on!(&mut *tx, |c| sqlx::query_as(ROWS).fetch_all(c).await)?;
            if is_wrapped_by(&new, &rows) {
                // Somebody else was quicker, with the same key.
                return Ok(Rewrapped::Before);
            }
            for (name, sealed) in rows {
                let plain = old.unwrap(&name, &sealed)?;
                let again = new.wrap(&name, plain.expose_secret(), &*change.random);
                on!(&mut *tx, |c| sqlx::query(WRAP)
                    .bind(name)
                    .bind(again)
                    .execute(c)
                    .await
                    .map(drop))?;
            }
            let (kind, id) = (EventKind::MasterKeyRotated, new.id().to_string());
            instance::note(tx, &change, kind, &id, json!({})).await?;
            Ok(Rewrapped::Now)
        })
    })
    .await
}

fn is_wrapped_by(key: &MasterKey, rows: &[(String, Vec<u8>)]) -> bool {
    let is_by = |(_, sealed): &(String, Vec<u8>)| named_key(sealed) == Some(key.id());
    !rows.is_empty() && rows.iter().all(is_by)
}
