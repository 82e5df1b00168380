//! Lines out of blocks: those that somebody may see, the latest first.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use claviger_domain::id::{self, Id};
use claviger_domain::rights::Reach;
use claviger_domain::time::Timestamp;

use super::Call;
use super::blocks::SPAN;
use super::line::{Kind, Own, calls};
use crate::db::on;
use crate::reach::list as list_of;
use crate::{Db, StoreError};

/// Which calls to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Through that door: `mcp` or `proxy`.
    pub log_type: Option<String>,
    /// After that instant.
    pub after: Option<Timestamp>,
    /// Before that instant.
    pub before: Option<Timestamp>,
    /// Through that server.
    pub mcp_server_id: Option<String>,
    /// Of that tool.
    pub tool_name: Option<String>,
    /// That came to that status.
    pub status: Option<i64>,
}

/// How many accounts are read one after the other; more are looked for among the blocks of all.
const APART: usize = 16;
/// Blocks that are read in one turn, at first and at most: one may be as much as is asked for, or have nothing of it.
const FEWEST: usize = 2;
const MOST: usize = 8;

/// Lists `limit` calls within the reach, the latest first, from before `(instant, id)` on.
///
/// Blocks are read from the latest on, and no more of them than that takes. Each account that the reach consists of is
/// read by the places of its own blocks, so that one with few calls waits for no other that has many.
pub async fn list(
    db: &Db,
    reach: &Reach,
    filter: &Filter,
    before: Option<&(Timestamp, String)>,
    limit: i64,
) -> Result<Vec<Call>, StoreError> {
    let wanted = Wanted::of(reach, filter, before);
    let mut latest = Latest {
        most: usize::try_from(limit).unwrap_or_default(),
        calls: BTreeMap::new(),
    };
    for place in places(db, reach, filter).await? {
        read(db, &place, &wanted, &mut latest).await?;
    }
    Ok(latest.calls.into_values().rev().collect())
}

/// Where blocks are looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Among all, or among those of these families, a list.
    Everywhere(Option<String>),
    /// Among those with lines of an account or an MCP server, in that family.
    In { place: String, root: String },
}

async fn places(db: &Db, reach: &Reach, filter: &Filter) -> Result<BTreeSet<Place>, StoreError> {
    if let Some(server) = &filter.mcp_server_id {
        return places_of_server(db, reach, server).await;
    }
    if reach.everything {
        return Ok(BTreeSet::from([Place::Everywhere(None)]));
    }
    let whole = reach.accounts.iter().filter(|account| account.is_root());
    let whole: HashSet<_> = whole.map(|account| &account.id).collect();
    // With those of the projects.
    let accounts = reach.accounts.iter().chain(&reach.bare_accounts);
    let places: BTreeSet<_> = accounts
        .filter(|account| account.is_root() || !whole.contains(&account.root))
        .map(|account| Place::In {
            place: account.id.to_string(),
            root: account.root.to_string(),
        })
        .collect();
    if places.len() <= APART {
        return Ok(places);
    }
    let roots = list_of(reach.roots().map(Id::as_str));
    Ok(BTreeSet::from([Place::Everywhere(Some(roots))]))
}

/// Whose server it is tells its blocks, and nothing of them is read for whoever reaches nothing there.
async fn places_of_server(
    db: &Db,
    reach: &Reach,
    server: &str,
) -> Result<BTreeSet<Place>, StoreError> {
    // One after the other, as there is one: all blocks of it would be walked through for all at once.
    const NEXT: &str = "SELECT root_account_id FROM call_block_places WHERE place = $1 \
                        AND root_account_id > $2 ORDER BY root_account_id LIMIT 1";
    let roots: HashSet<_> = reach.roots().map(Id::as_str).collect();
    let mut places = BTreeSet::new();
    let mut last = String::new();
    loop {
        let next: Option<String> = on!(read db, |c| sqlx::query_scalar(NEXT)
            .bind(server)
            .bind(&last)
            .fetch_optional(c)
            .await)?;
        let Some(root) = next else { return Ok(places) };
        if reach.everything || roots.contains(root.as_str()) {
            places.insert(Place::In {
                place: server.to_owned(),
                root: root.clone(),
            });
        }
        last = root;
    }
}

/// Reads the blocks of a place from the latest on, until no other one can have a call that is wanted.
async fn read(
    db: &Db,
    place: &Place,
    wanted: &Wanted<'_>,
    latest: &mut Latest,
) -> Result<(), StoreError> {
    let mut next = (wanted.blocks_before(), String::new());
    let mut count = FEWEST;
    loop {
        let after = wanted.blocks_after().max(latest.blocks_after());
        // What is read is parsed in the same turn: so few do both at once, and each asker in its round.
        let turn = db.turn_to_read().await?;
        let blocks = blocks(db, place, &next, after, count).await?;
        let are_all = blocks.len() < count;
        for Block { last_at, id, lines } in blocks {
            if last_at <= latest.blocks_after() {
                return Ok(());
            }
            latest.add(wanted.of_block(&lines)?);
            next = (last_at, id);
            // It was some tenths of a millisecond.
            tokio::task::yield_now().await;
        }
        drop(turn);
        if are_all || next.0 <= latest.blocks_after() {
            return Ok(());
        }
        count = MOST.min(2 * count);
    }
}

#[derive(sqlx::FromRow)]
struct Block {
    last_at: i64,
    id: String,
    lines: String,
}

/// The latest blocks of a place before `next`, whose last call began after that instant. Whoever asks has a turn.
async fn blocks(
    db: &Db,
    place: &Place,
    next: &(i64, String),
    after: i64,
    count: usize,
) -> Result<Vec<Block>, StoreError> {
    const EVERYWHERE: &str = "SELECT last_at, id, lines FROM call_blocks \
        WHERE (last_at, id) < ($1, $2) AND last_at > $3 \
        AND ($5 IS NULL OR root_account_id IN (SELECT value ->> 0 FROM json_each($5))) \
        ORDER BY last_at DESC, id DESC LIMIT $4";
    // CROSS, so that SQLite goes by the places.
    const IN_PLACE: &str = "SELECT block.last_at, block.id, block.lines \
        FROM call_block_places AS here CROSS JOIN call_blocks AS block \
        WHERE here.place = $5 AND here.root_account_id = $6 \
        AND (here.last_at, here.block_id) < ($1, $2) AND here.last_at > $3 \
        AND block.last_at = here.last_at AND block.id = here.block_id \
        ORDER BY here.last_at DESC, here.block_id DESC LIMIT $4";
    let sql = match place {
        Place::Everywhere(_) => EVERYWHERE,
        Place::In { .. } => IN_PLACE,
    };
    let (last_at, id) = next;
    Ok(on!(in_turn db, |c| {
        let query = sqlx::query_as(sql)
            .bind(last_at)
            .bind(id)
            .bind(after)
            .bind(i64::try_from(count).unwrap_or(i64::MAX));
        let query = match place {
            Place::Everywhere(roots) => query.bind(roots),
            Place::In { place, root } => query.bind(place).bind(root),
        };
        query.fetch_all(c).await
    })?)
}

/// Which lines are wanted. A block has those of a whole family, so that each one is looked at.
struct Wanted<'a> {
    everything: bool,
    accounts: HashSet<&'a str>,
    projects: HashSet<&'a str>,
    filter: &'a Filter,
    before: Option<&'a (Timestamp, String)>,
}

impl<'a> Wanted<'a> {
    fn of(reach: &'a Reach, filter: &'a Filter, before: Option<&'a (Timestamp, String)>) -> Self {
        let accounts = reach.accounts.iter().map(|account| account.id.as_str());
        Self {
            everything: reach.everything,
            accounts: accounts.collect(),
            projects: reach.projects.iter().map(Id::as_str).collect(),
            filter,
            before,
        }
    }

    fn of_block(&self, lines: &str) -> Result<Vec<Call>, StoreError> {
        let is_kind_wanted = |kind: &Kind| self.is_reached(kind) && self.filter.has_kind(kind);
        let is_before = |at: Timestamp, id: &str| {
            self.before
                .is_none_or(|(last_at, last)| (at, id) < (*last_at, last.as_str()))
        };
        let is_wanted = |line: &Own| self.filter.has(line) && is_before(line.at, line.id.as_str());
        calls(lines, is_kind_wanted, is_wanted)
    }

    fn is_reached(&self, kind: &Kind) -> bool {
        let project = kind.project_id.as_deref();
        self.everything
            || self.accounts.contains(kind.account_id.as_str())
            || self.accounts.contains(kind.root_account_id.as_str())
            || project.is_some_and(|project| self.projects.contains(project))
    }

    /// Blocks whose last call began then, or later, have none of them.
    fn blocks_before(&self) -> i64 {
        let cursor = self.before.map(|(at, _)| *at);
        let last = cursor.into_iter().chain(self.filter.before).min();
        last.map_or(i64::MAX, |at| at.as_micros().saturating_add(SPAN))
    }

    /// The same of those whose last call began then, or earlier.
    fn blocks_after(&self) -> i64 {
        self.filter.after.map_or(i64::MIN, Timestamp::as_micros)
    }
}

impl Filter {
    fn has_kind(&self, kind: &Kind) -> bool {
        let server = kind.mcp_server_id.as_ref();
        (self.log_type.as_ref()).is_none_or(|log_type| *log_type == kind.log_type)
            && (self.mcp_server_id.as_ref()).is_none_or(|wanted| server == Some(wanted))
            && (self.tool_name.as_ref()).is_none_or(|tool| *tool == kind.tool_name)
    }

    fn has(&self, line: &Own) -> bool {
        self.after.is_none_or(|after| line.at > after)
            && self.before.is_none_or(|before| line.at < before)
            && self.status.is_none_or(|status| status == line.status)
    }
}

/// So many calls at most, the latest of those that were seen, each once.
struct Latest {
    most: usize,
    calls: BTreeMap<(Timestamp, Id<id::Call>), Call>,
}

impl Latest {
    fn add(&mut self, calls: Vec<Call>) {
        for call in calls {
            self.calls.insert((call.at, call.id.clone()), call);
            if self.calls.len() > self.most {
                self.calls.pop_first();
            }
        }
    }

    /// Blocks whose last call began then, or earlier, have none that would be among them.
    fn blocks_after(&self) -> i64 {
        if self.calls.len() < self.most {
            return i64::MIN;
        }
        let first = self.calls.first_key_value();
        first.map_or(i64::MAX, |((at, _), _)| at.as_micros() - 1)
    }
}
