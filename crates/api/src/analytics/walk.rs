//! Totals by key, some keys at a time: nothing keeps the whole list, and no query waits for whoever
//! reads it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use claviger_domain::bucket::Buckets;
use claviger_domain::usage::UsageCounts;
use claviger_edge::{ApiError, Core};
use claviger_store::usage::by_key::{self, Filter, KeyUsage, NamedKey};
use claviger_store::usage::by_project::{self, Step};
use claviger_store::usage::{self, Unfolded};
use claviger_store::{Asker, Page, StoreError};
use tokio::task::JoinSet;

use super::input::Asked;

/// Keys that are read at once, at most: few statements for a hundred thousand.
const KEYS: i64 = 2_000;
/// Rows of them that are read at once, at most: some 20 MB. Of a range of many hours each key may have many.
const ROWS: i64 = 50_000;
/// Keys that are read first where only some lines are wanted: there may be nothing of the first ones.
const FEWEST_KEYS: i64 = 50;
/// Parts of the way by date, at most: each some milliseconds.
const MOST_PARTS: i64 = 5_000;
/// Keys that are counted, at most.
const MOST_COUNTED: i64 = KEYS * MOST_PARTS;
/// Bytes of the journal that are read for totals of many keys, at most: some hundred milliseconds.
const MOST_UNFOLDED: i64 = 16 * 1_024 * 1_024;

/// What was counted of a key in a bucket.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) key: Arc<NamedKey>,
    pub(super) first_hour: i64,
    pub(super) counts: UsageCounts,
}

/// The way through a project's keys. The next part is read while whoever asked for the one before does
/// something with it.
#[derive(Debug)]
pub(super) struct Walk {
    /// Where the next part begins; none while it is being read, and at the end.
    place: Option<Place>,
    /// What is being read. It ends with the walk.
    ahead: JoinSet<Read>,
}

/// Some lines at least, and the place behind them; none at the end.
type Read = Result<Option<(Vec<Line>, Place)>, StoreError>;

/// How far a walk came.
#[derive(Debug)]
struct Place {
    core: Core,
    filter: Filter,
    buckets: Buckets,
    step: Step,
    unfolded: Unfolded,
    /// The hours of each round through the keys: of all buckets together, or of one after another.
    rounds: VecDeque<Range<i64>>,
    page: Page,
}

impl Walk {
    /// Begins, by key. Where only so many lines are `wanted`, the first part is small.
    pub(super) async fn begin(
        core: &Core,
        asked: &Asked,
        wanted: Option<usize>,
    ) -> Result<Self, StoreError> {
        let hours = &asked.buckets.hours;
        let rounds = (!hours.is_empty()).then(|| hours.clone());
        let wanted = wanted.map(|lines| i64::try_from(lines).unwrap_or(i64::MAX));
        let first = wanted.map_or(KEYS, |lines| lines.clamp(FEWEST_KEYS, KEYS));
        Self::through(core, asked, rounds.into_iter().collect(), first).await
    }

    /// Begins, by date, a round through the `keys` for each.
    pub(super) async fn begin_by_date(
        core: &Core,
        asked: &Asked,
        is_descending: bool,
        keys: i64,
    ) -> Result<Self, ApiError> {
        let mut rounds = rounds_by_date(core, asked).await?;
        let parts = rounds
            .iter()
            .map(|hours| keys / keys_at_once(hours, asked.step()) + 1);
        if parts.sum::<i64>() > MOST_PARTS {
            let message = "is too much for so many keys and dates: ask for a shorter time, for one \
                           customer, or without it";
            return Err(ApiError::field("sort", message));
        }
        if is_descending {
            rounds.make_contiguous().reverse();
        }
        Ok(Self::through(core, asked, rounds, KEYS).await?)
    }

    async fn through(
        core: &Core,
        asked: &Asked,
        rounds: VecDeque<Range<i64>>,
        first: i64,
    ) -> Result<Self, StoreError> {
        let buckets = asked.buckets.clone();
        let (filter, step) = (asked.filter.clone(), asked.step());
        let unfolded = usage::unfolded(
            &core.db,
            &filter.project,
            filter.key.as_ref(),
            &buckets.hours,
            MOST_UNFOLDED,
        )
        .await?;
        let place = Place {
            core: core.clone(),
            filter,
            buckets,
            step,
            unfolded,
            rounds,
            page: Page::first(first, 0),
        };
        Ok(Self {
            place: Some(place),
            ahead: JoinSet::new(),
        })
    }

    /// The next lines, some at least; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Line>>, StoreError> {
        if let Some(place) = self.place.take() {
            self.read_ahead(place);
        }
        let Some(read) = self.ahead.join_next().await else {
            return Ok(None);
        };
        let read = read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        Ok(read?.map(|(lines, place)| {
            self.read_ahead(place);
            lines
        }))
    }

    fn read_ahead(&mut self, place: Place) {
        // Queries wait for their turn with those of the same caller.
        let caller = Asker::current();
        self.ahead.spawn(caller.scope(place.read()));
    }
}

impl Place {
    /// Reads the next lines.
    async fn read(mut self) -> Read {
        loop {
            let Some(hours) = self.rounds.front() else {
                return Ok(None);
            };
            let most = keys_at_once(hours, self.step);
            self.page.limit = self.page.limit.min(most);
            let (used, next) = by_key::page(
                &self.core.db,
                &self.filter,
                hours,
                self.step,
                &self.unfolded,
                &self.page,
            )
            .await?;
            self.page = next.unwrap_or_else(|| {
                self.rounds.pop_front();
                Page::first(KEYS, 0)
            });
            self.page.limit = KEYS;
            if !used.is_empty() {
                let lines = used.into_iter().flat_map(|one| lines(&self.buckets, one));
                return Ok(Some((lines.collect(), self)));
            }
        }
    }
}

/// The keys that are asked for, as far as it matters how many those are.
pub(super) async fn keys_asked_for(core: &Core, asked: &Asked) -> Result<i64, StoreError> {
    by_key::count(&core.db, &asked.filter, MOST_COUNTED).await
}

/// How many keys are read at once, so that what may have been counted of them in some hours is not much.
fn keys_at_once(hours: &Range<i64>, step: Step) -> i64 {
    (ROWS / by_key::most_rows(hours, step).max(1)).clamp(1, KEYS)
}

/// The buckets in which the project had any checks.
async fn rounds_by_date(core: &Core, asked: &Asked) -> Result<VecDeque<Range<i64>>, StoreError> {
    let (buckets, project) = (&asked.buckets, &asked.filter.project);
    let totals = by_project::totals(&core.db, project, &buckets.hours, asked.step()).await?;
    let mut rounds: VecDeque<Range<i64>> = VecDeque::new();
    for (hour, _) in totals {
        if rounds.back().is_none_or(|round| hour >= round.end) {
            rounds.push_back(buckets.hours_of(buckets.first_hour(hour)));
        }
    }
    Ok(rounds)
}

fn lines(buckets: &Buckets, usage: KeyUsage) -> Vec<Line> {
    let key = Arc::new(usage.key);
    let mut lines: Vec<Line> = Vec::with_capacity(1);
    let mut end = i64::MIN;
    for (hour, counts) in usage.counts {
        if let Some(line) = lines.last_mut().filter(|_| hour < end) {
            line.counts.add(counts);
        } else {
            let first_hour = buckets.first_hour(hour);
            end = buckets.grouping.next(first_hour);
            lines.push(Line {
                key: Arc::clone(&key),
                first_hour,
                counts,
            });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_at_once_is_bounded_whatever_the_range_is() {
        for (hours, step, keys) in [
            (0..24, Step::Day, KEYS),
            (0..24, Step::Hour, KEYS),
            (0..2_160, Step::Hour, 23),
            (0..10_000, Step::Hour, 5),
            (1..24 * 365 * 5, Step::Day, 27),
        ] {
            assert_eq!(keys_at_once(&hours, step), keys, "{hours:?}");
        }
    }
}
