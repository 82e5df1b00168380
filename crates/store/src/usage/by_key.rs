//! Usage by key: pages of a project's keys with what was counted of each, from rows and, where it is
//! in no row yet, from the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use claviger_domain::id::{self, Id};
use claviger_domain::key_string::{Environment, KeyPurpose, custom_reference};
use claviger_domain::time::Timestamp;
use claviger_domain::usage::UsageCounts;
use sqlx::QueryBuilder;

use super::Unfolded;
use super::by_project::{CountsRow, Step};
use crate::db::on;
use crate::reach::list;
use crate::{Db, Page, StoreError};

/// Which keys of a project.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The project.
    pub project: Id<id::Project>,
    /// That key.
    pub key: Option<Id<id::ApiKey>>,
    /// With that customer; `Some(None)`: with none.
    pub custom_account_id: Option<Option<String>>,
    /// With that user; `Some(None)`: with none.
    pub custom_user_id: Option<Option<String>>,
}

/// A key as totals name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedKey {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    env: String,
    is_custom: bool,
    /// Whose it is.
    pub custom_account_id: Option<String>,
    /// Who of them uses it.
    pub custom_user_id: Option<String>,
    created_at: i64,
}

impl NamedKey {
    /// How it is shown: with a mask in place of its secret.
    pub fn reference(&self) -> String {
        if self.is_custom {
            return custom_reference(&Id::from_trusted(&*self.id));
        }
        let environment = Environment::parse(&self.env).unwrap_or(Environment::Live);
        let public = self.id.trim_start_matches("key_");
        KeyPurpose::ApiKey(environment).reference(public)
    }
}

/// What was counted of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    /// The key.
    pub key: NamedKey,
    /// Checks by hour or by the first hour of a day, the earliest first.
    pub counts: BTreeMap<i64, UsageCounts>,
}

/// Adds to a query which keys are meant.
macro_rules! push_filter {
    ($query:ident, $filter:expr) => {
        $query.push(" WHERE deleted_at IS NULL AND project_id = ");
        $query.push_bind($filter.project.as_str());
        if let Some(key) = &$filter.key {
            $query.push(" AND id = ").push_bind(key.as_str());
        }
        let owners = [
            (" AND custom_account_id", &$filter.custom_account_id),
            (" AND custom_user_id", &$filter.custom_user_id),
        ];
        for (column, owner) in owners {
            match owner {
                None => {}
                Some(None) => {
                    $query.push(column).push(" IS NULL");
                }
                Some(Some(owner)) => {
                    $query.push(column).push(" = ").push_bind(owner.as_str());
                }
            }
        }
    };
}

/// Some keys in the order in which they were made, those that were not checked left out; and where the
/// next ones begin, if there are any.
pub async fn page(
    db: &Db,
    filter: &Filter,
    hours: &Range<i64>,
    step: Step,
    unfolded: &Unfolded,
    page: &Page,
) -> Result<(Vec<KeyUsage>, Option<Page>), StoreError> {
    let (rows, ends) = Rows::of(hours, step);
    let read = read_keys(db, filter, &rows, unfolded, page).await?;
    let (mut keys, waiting) = by_key(read, step);
    add_unfolded(&mut keys, &rows.hours(), step, unfolded, &waiting);
    for rows in ends {
        let waiting = add_rows(db, &mut keys, &rows, step, unfolded).await?;
        add_unfolded(&mut keys, &rows.hours(), step, unfolded, &waiting);
    }
    let is_full = i64::try_from(keys.len()) == Ok(page.limit);
    let next = keys.last().filter(|_| is_full).map(|last| {
        let created_at = Timestamp::from_micros(last.key.created_at);
        Page::after(created_at, &last.key.id, page.limit)
    });
    keys.retain(|one| !one.counts.is_empty());
    Ok((keys, next))
}

/// How many keys there are, `most` at most.
pub async fn count(db: &Db, filter: &Filter, most: i64) -> Result<i64, StoreError> {
    Ok(on!(read db, |c| {
        let mut query = QueryBuilder::new("SELECT COUNT(*) FROM (SELECT 1 FROM api_keys");
        push_filter!(query, filter);
        query.push(" LIMIT ").push_bind(most).push(") AS found");
        query.build_query_scalar().fetch_one(c).await
    })?)
}

/// How many rows are read of one key for some hours, at most.
pub fn most_rows(hours: &Range<i64>, step: Step) -> i64 {
    let (rows, ends) = Rows::of(hours, step);
    let all = std::iter::once(&rows).chain(&ends);
    let bounds = all.map(|rows| rows.place().2);
    bounds.map(|bounds| bounds.end - bounds.start).sum()
}

/// The rows that have what was counted in some hours.
#[derive(Debug, PartialEq, Eq)]
enum Rows {
    Hours(Range<i64>),
    Days(Range<i64>),
}

impl Rows {
    /// Rows of whole days, unless hours are told of or there is no whole day; and rows of the hours that
    /// are left at both ends.
    fn of(hours: &Range<i64>, step: Step) -> (Self, Vec<Self>) {
        let days = Step::Day.of(hours.start + 23)..Step::Day.of(hours.end);
        if step == Step::Hour || days.is_empty() {
            return (Self::Hours(hours.clone()), Vec::new());
        }
        let ends = [hours.start..days.start, days.end..hours.end];
        let ends = ends.into_iter().filter(|hours| !hours.is_empty());
        let days = Self::Days(days.start / 24..days.end / 24);
        (days, ends.map(Self::Hours).collect())
    }

    fn hours(&self) -> Range<i64> {
        match self {
            Self::Hours(hours) => hours.clone(),
            Self::Days(days) => days.start * 24..days.end * 24,
        }
    }

    /// The table, the column that is bounded and its bounds, and the first hour of a row.
    fn place(&self) -> (&'static str, &'static str, Range<i64>, &'static str) {
        match self {
            Self::Hours(hours) => ("usage_hours", "hour", hours.clone(), "hour"),
            Self::Days(days) => ("usage_days", "day", days.clone(), "day * 24"),
        }
    }
}

/// A key with what one row has of it; without, where none has. Or a piece of the journal, with its number
/// as id and an hour before all others.
struct Row {
    key: NamedKey,
    first_hour: Option<i64>,
    successful: Option<i64>,
    failed: Option<i64>,
    rate_limited: Option<i64>,
}

/// The columns of the statement, by place: to look each up by its name took as long as to read it.
type Columns = (
    String,
    String,
    String,
    bool,
    Option<String>,
    Option<String>,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

impl From<Columns> for Row {
    fn from(columns: Columns) -> Self {
        let (
            id,
            name,
            env,
            is_custom,
            custom_account_id,
            custom_user_id,
            created_at,
            first_hour,
            successful,
            failed,
            rate_limited,
        ) = columns;
        Self {
            key: NamedKey {
                id,
                name,
                env,
                is_custom,
                custom_account_id,
                custom_user_id,
                created_at,
            },
            first_hour,
            successful,
            failed,
            rate_limited,
        }
    }
}

impl Row {
    fn counted(&self) -> Option<CountsRow> {
        Some(CountsRow {
            first_hour: self.first_hour?,
            successful: self.successful?,
            failed: self.failed?,
            rate_limited: self.rate_limited?,
        })
    }
}

/// Reads a page of keys and their rows, in one statement: of a hundred thousand keys, what counts is how
/// often each is looked up. With them, where `unfolded` has any, the pieces of the journal that are no rows
/// yet: what is folded meanwhile is in one of the two.
async fn read_keys(
    db: &Db,
    filter: &Filter,
    rows: &Rows,
    unfolded: &Unfolded,
    page: &Page,
) -> Result<Vec<Row>, StoreError> {
    let (table, column, bounds, first_hour) = rows.place();
    let rows: Vec<Columns> = on!(read db, |c| {
        let mut query = QueryBuilder::new(
            "SELECT id, name, env, is_custom, custom_account_id, custom_user_id, created_at, ",
        );
        query.push(first_hour);
        query.push(
            " AS first_hour, successful, failed, rate_limited FROM (SELECT id, name, env, is_custom, \
             custom_account_id, custom_user_id, created_at FROM api_keys",
        );
        push_filter!(query, filter);
        query.push(" AND (created_at, id) > (").push_bind(page.after.0.as_micros());
        query.push(", ").push_bind(&page.after.1);
        query.push(") ORDER BY created_at, id LIMIT ").push_bind(page.limit);
        query.push(") AS found LEFT JOIN ").push(table).push(" ON key_id = id AND ");
        query.push(column).push(" >= ").push_bind(bounds.start).push(" AND ");
        query.push(column).push(" < ").push_bind(bounds.end);
        if let Some(last) = unfolded.last() {
            query.push(
                " UNION ALL SELECT CAST(seq AS TEXT), '', '', FALSE, NULL, NULL, 0, -1, 0, 0, 0 \
                 FROM usage_journal WHERE seq <= ",
            );
            query.push_bind(last);
        }
        query.build_query_as().fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(Row::from).collect())
}

/// Puts rows together by key, in the order of keys, and tells which pieces wait.
fn by_key(mut rows: Vec<Row>, step: Step) -> (Vec<KeyUsage>, BTreeSet<i64>) {
    // As good as sorted: to sort them in the statement would take longer.
    rows.sort_by(|one, other| {
        let (one, other) = (&one.key, &other.key);
        (one.created_at, &one.id).cmp(&(other.created_at, &other.id))
    });
    let mut keys: Vec<KeyUsage> = Vec::new();
    let mut waiting = BTreeSet::new();
    for row in rows {
        let counted = row.counted();
        if counted.as_ref().is_some_and(|row| row.first_hour < 0) {
            waiting.extend(row.key.id.parse::<i64>());
            continue;
        }
        if keys.last().is_none_or(|last| last.key.id != row.key.id) {
            let (key, counts) = (row.key, BTreeMap::new());
            keys.push(KeyUsage { key, counts });
        }
        if let (Some(last), Some(row)) = (keys.last_mut(), counted) {
            last.add(step, row.first_hour, row.counts());
        }
    }
    (keys, waiting)
}

impl KeyUsage {
    fn add(&mut self, step: Step, hour: i64, counts: UsageCounts) {
        if counts.total() > 0 {
            self.counts.entry(step.of(hour)).or_default().add(counts);
        }
    }
}

#[derive(sqlx::FromRow)]
struct CountedRow {
    key_id: String,
    #[sqlx(flatten)]
    counted: CountsRow,
}

/// Adds what other rows have of those keys, and tells which pieces wait.
async fn add_rows(
    db: &Db,
    keys: &mut [KeyUsage],
    rows: &Rows,
    step: Step,
    unfolded: &Unfolded,
) -> Result<BTreeSet<i64>, StoreError> {
    let (table, column, bounds, first_hour) = rows.place();
    let ids = list(keys.iter().map(|one| one.key.id.as_str()));
    let rows: Vec<CountedRow> = on!(read db, |c| {
        let mut query = QueryBuilder::new("SELECT key_id, ");
        query.push(first_hour).push(" AS first_hour, successful, failed, rate_limited FROM ");
        query.push(table).push(" WHERE key_id IN (SELECT value ->> 0 FROM json_each(");
        query.push_bind(&ids).push(")) AND ").push(column).push(" >= ");
        query.push_bind(bounds.start).push(" AND ").push(column).push(" < ");
        query.push_bind(bounds.end);
        if let Some(last) = unfolded.last() {
            query.push(
                " UNION ALL SELECT CAST(seq AS TEXT), -1, 0, 0, 0 FROM usage_journal WHERE seq <= ",
            );
            query.push_bind(last);
        }
        query.build_query_as().fetch_all(c).await
    })?;
    let places = keys.iter().enumerate();
    let places = places.map(|(place, one)| (one.key.id.clone(), place));
    let places: HashMap<_, _> = places.collect();
    let mut waiting = BTreeSet::new();
    for CountedRow { key_id, counted } in rows {
        if counted.first_hour < 0 {
            waiting.extend(key_id.parse::<i64>());
        } else if let Some(place) = places.get(&key_id) {
            keys[*place].add(step, counted.first_hour, counted.counts());
        }
    }
    Ok(waiting)
}

/// Adds what the journal has of those keys in some hours.
fn add_unfolded(
    keys: &mut [KeyUsage],
    hours: &Range<i64>,
    step: Step,
    unfolded: &Unfolded,
    waiting: &BTreeSet<i64>,
) {
    if waiting.is_empty() {
        return;
    }
    for one in keys {
        let id = one.key.id.clone();
        let of_key = unfolded.of_key(&id, waiting);
        for (hour, more) in of_key.filter(|(hour, _)| hours.contains(hour)) {
            one.add(step, hour, more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_days_are_read_as_days_and_the_ends_as_hours() {
        let hours = |range: Range<i64>| Rows::Hours(range);
        let of = |range: Range<i64>| Rows::of(&range, Step::Day);
        assert_eq!(of(24..72), (Rows::Days(1..3), vec![]));
        assert_eq!(
            of(23..73),
            (Rows::Days(1..3), vec![hours(23..24), hours(72..73)])
        );
        assert_eq!(of(25..49), (hours(25..49), vec![]));
        assert_eq!(of(25..72), (Rows::Days(2..3), vec![hours(25..48)]));
        assert_eq!(of(30..31), (hours(30..31), vec![]));
        assert_eq!(Rows::of(&(24..72), Step::Hour), (hours(24..72), vec![]));
    }
}
