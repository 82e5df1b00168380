//! The instance's own secrets, wrapped by the master key: the pepper of digests, and the key under
//! which all else is sealed.

mod rewrap;

use claviger_domain::key_string::Pepper;
use claviger_domain::random::Random;
use claviger_domain::time::Timestamp;
use secrecy::ExposeSecret;

pub use self::rewrap::{Rewrapped, rewrap};
use crate::db::on;
use crate::sealing::{MasterKey, Purpose, SealingKey, is_unnamed};
use crate::{Db, StoreError, Tx, connected_accounts};

const PEPPER: &str = "pepper";
const SEALING: &str = "sealing";

/// The secrets, opened.
#[derive(Debug)]
pub struct Secrets {
    /// Under which keys are digested.
    pub pepper: Pepper,
    /// Under which all else is sealed.
    pub sealing: SealingKey,
}

/// Opens the secrets, and draws those that are not there yet.
///
/// Fails with [`StoreError::Unsealing`] when the database belongs to another master key; nothing is
/// changed then.
pub async fn open(
    db: &Db,
    master: &MasterKey,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Secrets, StoreError> {
    if find(db, PEPPER).await?.is_none() || find(db, SEALING).await?.is_none() {
        draw(db, master, random, now).await?;
    }
    let pepper = find(db, PEPPER).await?;
    let sealing = find(db, SEALING).await?;
    Ok(Secrets {
        pepper: Pepper::new(&opened(master, PEPPER, pepper)?),
        sealing: SealingKey::new(opened(master, SEALING, sealing)?),
    })
}

/// Whether the master key opens all that is sealed in a database, which is left as it is.
pub async fn check(db: &Db, master: &MasterKey) -> Result<(), StoreError> {
    if let Some(pepper) = find(db, PEPPER).await? {
        opened(master, PEPPER, Some(pepper))?;
    }
    let sealing = match find(db, SEALING).await? {
        Some(sealing) => Some(SealingKey::new(opened(master, SEALING, Some(sealing))?)),
        None => None,
    };
    for (id, sealed) in connected_accounts::all_sealed(db).await? {
        match &sealing {
            Some(key) => key.open(Purpose::Credentials, &id, &sealed)?,
            None => master.open_early(&id, &sealed)?,
        };
    }
    Ok(())
}

/// Draws the secrets that are not there. Credentials that lie under the master key itself, as the
/// first version had them, go under the new sealing key.
async fn draw(
    db: &Db,
    master: &MasterKey,
    random: &dyn Random,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(pepper) = find(db, PEPPER).await? {
        opened(master, PEPPER, Some(pepper))?;
    }
    let [pepper, key] = [(); 2].map(|()| {
        let mut bytes = [0u8; 32];
        random.fill(&mut bytes);
        bytes
    });
    let wrapped_pepper = master.wrap(PEPPER, &pepper, random);
    let wrapped_key = master.wrap(SEALING, &key, random);
    let key = SealingKey::new(key);
    let mut resealed = Vec::new();
    for (id, sealed) in connected_accounts::all_sealed(db).await? {
        if is_unnamed(&sealed) {
            let plain = master.open_early(&id, &sealed)?;
            let sealed = key.seal(Purpose::Credentials, &id, plain.expose_secret(), random);
            resealed.push((id, sealed));
        }
    }
    db.write(move |tx| {
        Box::pin(async move {
            // Two nodes may start at once: what the first one stores stays.
            keep(tx, PEPPER, &wrapped_pepper, now).await?;
            if keep(tx, SEALING, &wrapped_key, now).await? {
                for (id, sealed) in resealed {
                    connected_accounts::reseal(tx, &id, &sealed).await?;
                }
            }
            Ok(())
        })
    })
    .await
}

async fn find(db: &Db, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    const SQL: &str = "SELECT sealed FROM sealed_secrets WHERE name = $1";
    Ok(on!(read db, |c| sqlx::query_scalar(SQL)
        .bind(name)
        .fetch_optional(c)
        .await)?)
}

/// Stores a secret; `false` when there is one of that name.
async fn keep(tx: &mut Tx, name: &str, sealed: &[u8], now: Timestamp) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO sealed_secrets (name, sealed, created_at) VALUES ($1, $2, $3) \
                       ON CONFLICT (name) DO NOTHING";
    let rows = on!(tx, |c| sqlx::query(SQL)
        .bind(name)
        .bind(sealed)
        .bind(now.as_micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(rows == 1)
}

fn opened(master: &MasterKey, name: &str, sealed: Option<Vec<u8>>) -> Result<[u8; 32], StoreError> {
    let broken = |what| StoreError::Row {
        table: "sealed_secrets",
        what,
    };
    let sealed = sealed.ok_or(broken("name"))?;
    let opened = master.unwrap(name, &sealed)?;
    let bytes = opened.expose_secret().try_into();
    bytes.map_err(|_| broken("sealed"))
}
