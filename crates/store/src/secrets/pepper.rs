//! Another layer of pepper: every stored digest is brought under it, all of them at once.

use claviger_domain::event::EventKind;
use claviger_domain::key_string::{KeyDigest, Pepper};
use serde_json::json;

use super::{PEPPER, Wrapped, keep, layer_name, missing};
use crate::db::{is_served, on};
use crate::hexadecimal::hexadecimal;
use crate::sealing::MasterKey;
use crate::{Change, Db, StoreError, Tx, instance};

/// Rows of a statement.
const PART: i64 = 2_000;

/// How much was brought under the new layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifted {
    /// Keys of all kinds, and tokens.
    pub digests: u64,
    /// The layers that there are now.
    pub layers: u32,
}

/// Where digests of what somebody presents are stored: rows by a text id.
struct Place {
    find: &'static str,
    store: &'static str,
}

macro_rules! place {
    ($table:literal, $column:literal) => {
        Place {
            find: concat!(
                "SELECT id, ",
                $column,
                " FROM ",
                $table,
                " WHERE id > $1 ORDER BY id LIMIT $2"
            ),
            store: concat!(
                "UPDATE ",
                $table,
                " SET ",
                $column,
                " = unhex(v.digest) FROM (SELECT value ->> 0 AS id, value ->> 1 AS digest \
                 FROM json_each($1)) AS v WHERE ",
                $table,
                ".id = v.id"
            ),
        }
    };
}

const PLACES: [Place; 6] = [
    place!("api_keys", "digest"),
    place!("access_keys", "digest"),
    place!("operator_keys", "digest"),
    place!("mcp_servers", "token_digest"),
    place!("session_tokens", "digest"),
    place!("invitations", "token_digest"),
];

/// Draws another layer of pepper and brings every stored digest under it, in one transaction: either
/// all of it happens, or nothing. `told` hears how many rows are done.
///
/// No program may be serving the database: it would go on under the layers that it has opened, find
/// none of the keys that it has not cached, and make keys that nobody finds later. Where PostgreSQL
/// shows one that does, this fails with [`StoreError::Served`]; one that starts meanwhile finds by
/// [`expect_layers`](super::expect_layers) that it has opened too few.
pub async fn add_layer(
    db: &Db,
    master: &MasterKey,
    change: &Change,
    told: impl Fn(u64) + Send + 'static,
) -> Result<Lifted, StoreError> {
    let (change, master) = (change.clone(), master.clone());
    db.write(move |tx| {
        Box::pin(async move {
            // They stay as they are read here: the master key may be exchanged at the same time.
            let wrapped = Wrapped::hold(tx).await?;
            if is_served(tx).await? {
                return Err(StoreError::Served);
            }
            let pepper = wrapped.open_pepper(&master)?.ok_or(missing())?;
            let layers = wrapped.pepper_layers() + 1;
            let mut bytes = [0u8; 32];
            change.random.fill(&mut bytes);
            let name = layer_name(layers);
            let sealed = master.wrap(&name, &bytes, &*change.random);
            let pepper = pepper.under(&bytes);
            if !keep(tx, &name, &sealed, change.now).await? {
                // Somebody else was quicker.
                return Err(missing());
            }
            let mut digests = 0;
            for place in &PLACES {
                let mut after = String::new();
                while let Some((last, rows)) = lift_part(tx, place, &after, &pepper).await? {
                    after = last;
                    digests += rows;
                    told(digests);
                }
            }
            lift_requests(tx, &pepper).await?;
            let data = json!({"layers": layers, "digests": digests});
            instance::note(tx, &change, EventKind::PepperRotated, PEPPER, data).await?;
            Ok(Lifted { digests, layers })
        })
    })
    .await
}

/// Lifts the digests of the rows after an id; gives the last of them, and how many.
async fn lift_part(
    tx: &mut Tx,
    place: &Place,
    after: &str,
    pepper: &Pepper,
) -> Result<Option<(String, u64)>, StoreError> {
    let rows: Vec<(String, Vec<u8>)> = on!(&mut *tx, |c| sqlx::query_as(place.find)
        .bind(after)
        .bind(PART)
        .fetch_all(c)
        .await)?;
    let mut lifted = Vec::with_capacity(rows.len());
    for (id, digest) in &rows {
        lifted.push([id.clone(), hexadecimal(lift(digest, pepper)?.as_bytes())]);
    }
    let Some((last, _)) = rows.last() else {
        return Ok(None);
    };
    on!(tx, |c| sqlx::query(place.store)
        .bind(json!(lifted).to_string())
        .execute(c)
        .await
        .map(drop))?;
    Ok(Some((last.clone(), rows.len() as u64)))
}

/// The same for requests that may be repeated, by digests of their own: those of a day. Answers that
/// are sealed for the digest of before are erased: repeats have their secrets masked.
async fn lift_requests(tx: &mut Tx, pepper: &Pepper) -> Result<(), StoreError> {
    const FIND: &str = "SELECT id, body_digest FROM idempotency";
    const STORE: &str = "UPDATE idempotency SET id = $2, body_digest = $3, sealed = NULL, \
                         sealed_until = NULL, made_key = NULL WHERE id = $1";
    let rows: Vec<(Vec<u8>, Vec<u8>)> = on!(&mut *tx, |c| sqlx::query_as(FIND).fetch_all(c).await)?;
    for (id, body) in rows {
        let (lifted, lifted_body) = (lift(&id, pepper)?, lift(&body, pepper)?);
        on!(&mut *tx, |c| sqlx::query(STORE)
            .bind(&id)
            .bind(&lifted.as_bytes()[..])
            .bind(&lifted_body.as_bytes()[..])
            .execute(c)
            .await
            .map(drop))?;
    }
    Ok(())
}

fn lift(digest: &[u8], pepper: &Pepper) -> Result<KeyDigest, StoreError> {
    let digest = KeyDigest::from_bytes(digest).ok_or(StoreError::Row {
        table: "a table of keys",
        what: "digest",
    })?;
    Ok(pepper.lift(digest))
}
