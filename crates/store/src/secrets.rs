//! The instance's own secrets, wrapped by the master key: the pepper of digests, and the key under
//! which all else is sealed.

mod pepper;
mod rewrap;

use std::collections::BTreeMap;

use claviger_domain::key_string::Pepper;
use claviger_domain::random::Random;
use claviger_domain::time::Timestamp;
use secrecy::ExposeSecret;

pub use self::pepper::{Lifted, add_layer};
pub use self::rewrap::{Rewrapped, rewrap};
use crate::db::on;
use crate::sealing::{KeyId, MasterKey, Purpose, SealingKey, is_unnamed, named_key};
use crate::{
    Db, StoreError, Tx, connected_accounts, connectors, instance, oauth_clients, sealed_keys,
    webhooks,
};

const PEPPER: &str = "pepper";
const SEALING: &str = "sealing";

/// The secrets, opened.
#[derive(Debug)]
pub struct Secrets {
    /// Under which keys are digested.
    pub pepper: Pepper,
    /// The layers that it has.
    pub layers: u32,
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
    let mut wrapped = Wrapped::read(db).await?;
    if wrapped.pepper.is_none() || wrapped.sealing.is_none() {
        draw(db, &wrapped, master, random, now).await?;
        wrapped = Wrapped::read(db).await?;
    }
    Ok(Secrets {
        pepper: wrapped.open_pepper(master)?.ok_or(missing())?,
        layers: wrapped.pepper_layers(),
        sealing: wrapped.open_sealing(master)?.ok_or(missing())?,
    })
}

/// Fails with [`StoreError::Exchanged`] where the pepper has other layers than when it was opened, and
/// keeps others from being added until the transaction ends.
pub async fn expect_layers(tx: &mut Tx, layers: u32) -> Result<(), StoreError> {
    if Wrapped::hold(tx).await?.pepper_layers() == layers {
        Ok(())
    } else {
        Err(StoreError::Exchanged)
    }
}

/// Whether the master key opens all that is sealed in a database, which is left as it is.
pub async fn check(db: &Db, master: &MasterKey) -> Result<(), StoreError> {
    let wrapped = Wrapped::read(db).await?;
    wrapped.open_pepper(master)?;
    let sealing = wrapped.open_sealing(master)?;
    for (id, sealed) in connected_accounts::all_sealed(db).await? {
        match &sealing {
            Some(key) => key.open(Purpose::Credentials, &id, &sealed)?,
            None => master.open_early(&id, &sealed)?,
        };
    }
    for (subject, sealed) in webhooks::all_sealed(db).await? {
        let key = sealing.as_ref().ok_or(missing())?;
        key.open(Purpose::Webhooks, &subject, &sealed)?;
    }
    for (subject, sealed) in oauth_clients::all_sealed(db).await? {
        let key = sealing.as_ref().ok_or(missing())?;
        key.open(Purpose::OAuthClients, &subject, &sealed)?;
    }
    for (id, sealed) in connectors::all_sealed(db).await? {
        let key = sealing.as_ref().ok_or(missing())?;
        key.open(Purpose::Connectors, &id, &sealed)?;
    }
    let Some(key) = sealing else {
        return Ok(());
    };
    let mut after = String::new();
    loop {
        let part = sealed_keys::part(db, &after, PART).await?;
        for (id, sealed) in &part {
            key.open(Purpose::ApiKeys, id, sealed)?;
        }
        match part.into_iter().next_back() {
            Some((last, _)) => after = last,
            None => return Ok(()),
        }
    }
}

/// Sealed keys that are read at once.
const PART: i64 = 2_000;

/// A secret, as far as anybody may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is: `pepper`, `pepper-2` and so on, `sealing`.
    pub name: String,
    /// When it was drawn.
    pub created_at: Timestamp,
    /// The master key that wraps it; none where it was wrapped before that was noted.
    pub wrapped_by: Option<KeyId>,
}

/// The secrets that there are.
pub async fn list(db: &Db) -> Result<Vec<Listed>, StoreError> {
    const SQL: &str =
        "SELECT name, sealed, created_at FROM sealed_secrets ORDER BY created_at, name";
    let rows: Vec<(String, Vec<u8>, i64)> =
        on!(read db, |c| sqlx::query_as(SQL).fetch_all(c).await)?;
    let listed = rows.into_iter().map(|(name, sealed, created_at)| Listed {
        name,
        created_at: Timestamp::from_micros(created_at),
        wrapped_by: named_key(&sealed),
    });
    Ok(listed.collect())
}

/// The secrets as their rows have them.
#[derive(Default)]
struct Wrapped {
    pepper: Option<Vec<u8>>,
    /// By the number of the layer, from 2.
    layers: BTreeMap<u32, Vec<u8>>,
    sealing: Option<Vec<u8>>,
}

/// The rows of [`Wrapped`].
const ROWS: &str = "SELECT name, sealed FROM sealed_secrets";

impl Wrapped {
    async fn read(db: &Db) -> Result<Self, StoreError> {
        let rows = on!(read db, |c| sqlx::query_as(ROWS).fetch_all(c).await)?;
        Self::of(rows)
    }

    /// Reads them when nobody else can change them until the transaction ends.
    async fn hold(tx: &mut Tx) -> Result<Self, StoreError> {
        instance::hold(tx).await?;
        Self::of(on!(tx, |c| sqlx::query_as(ROWS).fetch_all(c).await)?)
    }

    fn of(rows: Vec<(String, Vec<u8>)>) -> Result<Self, StoreError> {
        let mut wrapped = Self::default();
        for (name, sealed) in rows {
            if name == PEPPER {
                wrapped.pepper = Some(sealed);
            } else if name == SEALING {
                wrapped.sealing = Some(sealed);
            } else if let Some(number) = layer_number(&name) {
                wrapped.layers.insert(number, sealed);
            } else {
                return Err(missing());
            }
        }
        Ok(wrapped)
    }

    fn open_pepper(&self, master: &MasterKey) -> Result<Option<Pepper>, StoreError> {
        let Some(first) = &self.pepper else {
            return Ok(None);
        };
        let mut pepper = Pepper::new(&opened(master, PEPPER, first)?);
        for (number, sealed) in &self.layers {
            pepper = pepper.under(&opened(master, &layer_name(*number), sealed)?);
        }
        Ok(Some(pepper))
    }

    fn open_sealing(&self, master: &MasterKey) -> Result<Option<SealingKey>, StoreError> {
        let sealed = self.sealing.as_ref();
        let opened = sealed.map(|sealed| opened(master, SEALING, sealed));
        Ok(opened.transpose()?.map(SealingKey::new))
    }

    /// The layers that the pepper has.
    fn pepper_layers(&self) -> u32 {
        let last = self.layers.last_key_value();
        last.map_or(1, |(number, _)| *number)
    }
}

fn layer_name(number: u32) -> String {
    format!("{PEPPER}-{number}")
}

fn layer_number(name: &str) -> Option<u32> {
    name.strip_prefix(PEPPER)?.strip_prefix('-')?.parse().ok()
}

/// Draws the secrets that are not there. Credentials that lie under the master key itself, as the
/// first version had them, go under the new sealing key.
async fn draw(
    db: &Db,
    there: &Wrapped,
    master: &MasterKey,
    random: &dyn Random,
    now: Timestamp,
) -> Result<(), StoreError> {
    there.open_pepper(master)?;
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
    let master = master.clone();
    db.write(move |tx| {
        Box::pin(async move {
            // The master key may have been exchanged since.
            Wrapped::hold(tx).await?.open_pepper(&master)?;
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

fn opened(master: &MasterKey, name: &str, sealed: &[u8]) -> Result<[u8; 32], StoreError> {
    let opened = master.unwrap(name, sealed)?;
    let bytes = opened.expose_secret().try_into();
    bytes.map_err(|_| StoreError::Row {
        table: "sealed_secrets",
        what: "sealed",
    })
}

fn missing() -> StoreError {
    StoreError::Row {
        table: "sealed_secrets",
        what: "name",
    }
}
