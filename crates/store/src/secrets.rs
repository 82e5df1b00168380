//! The instance's own secrets, sealed under the master key.

use claviger_domain::key_string::Pepper;
use claviger_domain::random::Random;
use claviger_domain::time::Timestamp;
use secrecy::ExposeSecret;

use crate::db::on;
use crate::sealing::{MasterKey, Purpose};
use crate::{Db, StoreError};

const PEPPER: &str = "pepper";

/// Opens the pepper, or draws it when there is none yet.
///
/// Fails with [`StoreError::Unsealing`] when the database belongs to another master key.
pub async fn pepper(
    db: &Db,
    master: &MasterKey,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Pepper, StoreError> {
    const FIND: &str = "SELECT sealed FROM sealed_secrets WHERE name = $1";
    // Two nodes may start at once: the first one's stays.
    const KEEP: &str = "INSERT INTO sealed_secrets (name, sealed, created_at) VALUES ($1, $2, $3) \
                        ON CONFLICT (name) DO NOTHING";
    let found = |db: Db| async move {
        let sealed = on!(read db, |c| sqlx::query_scalar::<_, Vec<u8>>(FIND)
            .bind(PEPPER)
            .fetch_optional(c)
            .await)?;
        Ok::<_, StoreError>(sealed)
    };
    let mut stored = found(db.clone()).await?;
    if stored.is_none() {
        let mut bytes = [0u8; 32];
        random.fill(&mut bytes);
        let sealed = master.seal(Purpose::Pepper, PEPPER, &bytes, random);
        db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                on!(tx, |c| sqlx::query(KEEP)
                    .bind(PEPPER)
                    .bind(sealed)
                    .bind(now.as_micros())
                    .execute(c)
                    .await
                    .map(drop))?;
                Ok(())
            })
        })
        .await?;
        stored = found(db.clone()).await?;
    }
    let sealed = stored.ok_or(StoreError::Unsealing(PEPPER))?;
    let opened = master.open(Purpose::Pepper, PEPPER, &sealed)?;
    let bytes = opened
        .expose_secret()
        .try_into()
        .map_err(|_| StoreError::Unsealing(PEPPER))?;
    Ok(Pepper::new(bytes))
}

/// Whether the master key opens all that is sealed in a database, which is left as it is.
pub async fn check(db: &Db, master: &MasterKey) -> Result<(), StoreError> {
    const SECRETS: &str = "SELECT name, sealed FROM sealed_secrets";
    const CREDENTIALS: &str = "SELECT id, credentials FROM connected_accounts";
    let secrets: Vec<(String, Vec<u8>)> =
        on!(read db, |c| sqlx::query_as(SECRETS).fetch_all(c).await)?;
    for (name, sealed) in secrets {
        master.open(Purpose::Pepper, &name, &sealed)?;
    }
    let credentials: Vec<(String, Vec<u8>)> =
        on!(read db, |c| sqlx::query_as(CREDENTIALS).fetch_all(c).await)?;
    for (id, sealed) in credentials {
        master.open(Purpose::Credentials, &id, &sealed)?;
    }
    Ok(())
}
