//! What the journal has of a project's keys, for whoever adds it to their rows.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use claviger_domain::id::{self, Id};
use claviger_domain::usage::UsageCounts;

use super::journal::{read_piece, shard_of};
use crate::db::on;
use crate::{Db, StoreError};

/// What was counted of keys of a project and was in no row when it was read.
#[derive(Clone, Debug, Default)]
pub struct Unfolded(Option<Arc<Entries>>);

#[derive(Debug)]
struct Entries {
    /// The newest piece that is known.
    last: i64,
    /// By key: the piece, the hour, the checks.
    by_key: HashMap<String, Vec<(i64, i64, UsageCounts)>>,
}

impl Unfolded {
    /// Up to which piece the journal is to be looked at again; none where there is nothing to add.
    pub(super) fn last(&self) -> Option<i64> {
        self.0.as_ref().map(|entries| entries.last)
    }

    /// What is to be added to the rows of a key, while `waiting` are the pieces that are no rows yet.
    pub(super) fn of_key<'a>(
        &'a self,
        key: &str,
        waiting: &'a BTreeSet<i64>,
    ) -> impl Iterator<Item = (i64, UsageCounts)> + 'a {
        let entries = self.0.as_ref().and_then(|entries| entries.by_key.get(key));
        let entries = entries.map_or(&[][..], Vec::as_slice).iter();
        entries
            .filter(|(piece, ..)| waiting.contains(piece))
            .map(|(_, hour, counts)| (*hour, *counts))
    }
}

/// Reads what the journal has of a project's keys, or of one key. Nothing where that would be more than
/// `most` bytes to read: then the rows are all that is told of, some minutes late.
pub async fn unfolded(
    db: &Db,
    project: &Id<id::Project>,
    key: Option<&Id<id::ApiKey>>,
    hours: &Range<i64>,
    most: i64,
) -> Result<Unfolded, StoreError> {
    const LENGTH: &str = "SELECT CAST(COALESCE(SUM(LENGTH(body)), 0) AS BIGINT) FROM usage_journal";
    const OF_SHARD: &str = "SELECT seq, body FROM usage_journal WHERE shard = $1";
    const ALL: &str = "SELECT seq, body FROM usage_journal";
    let pieces: Vec<(i64, Vec<u8>)> = if let Some(key) = key {
        // One part of many, which is read however much there is.
        on!(read db, |c| sqlx::query_as(OF_SHARD)
            .bind(i64::from(shard_of(key)))
            .fetch_all(c)
            .await)?
    } else {
        let length: i64 = on!(read db, |c| sqlx::query_scalar(LENGTH).fetch_one(c).await)?;
        if length == 0 || length > most {
            return Ok(Unfolded::default());
        }
        on!(read db, |c| sqlx::query_as(ALL).fetch_all(c).await)?
    };
    if pieces.is_empty() {
        return Ok(Unfolded::default());
    }
    let (project, hours) = (project.clone(), hours.clone());
    // Megabytes of it hold up the checks of a thread.
    let reading = tokio::task::spawn_blocking(move || entries(&pieces, &project, &hours));
    let read = reading.await.unwrap_or_else(|error| {
        std::panic::resume_unwind(error.into_panic());
    })?;
    Ok(Unfolded((!read.by_key.is_empty()).then(|| Arc::new(read))))
}

fn entries(
    pieces: &[(i64, Vec<u8>)],
    project: &Id<id::Project>,
    hours: &Range<i64>,
) -> Result<Entries, StoreError> {
    let mut entries = Entries {
        last: pieces.iter().map(|(seq, _)| *seq).max().unwrap_or(0),
        by_key: HashMap::new(),
    };
    for (seq, body) in pieces {
        let (_, piece) = read_piece(body)?;
        let place = piece
            .projects
            .iter()
            .position(|one| one == project.as_str());
        let Some(place) = place else { continue };
        for entry in &piece.hours {
            if entry.project == place && hours.contains(&entry.hour) {
                let of_key = entries.by_key.entry(entry.key.to_owned()).or_default();
                of_key.push((*seq, entry.hour, entry.counts()));
            }
        }
    }
    Ok(entries)
}
