//! Lines on their way into blocks.

use std::collections::{BTreeSet, HashMap};
use std::fmt::{self, Write as _};

use claviger_domain::id::{self, Id};
use claviger_domain::time::Timestamp;

use super::Line;
use crate::db::{ByRows, Cell, Engine, list_of_rows};
use crate::{Db, StoreError};

/// Calls of one block began within that many microseconds of each other. What is stored stands on it: the
/// lines of before an instant are in no block whose last call began that much later.
pub(super) const SPAN: i64 = 1_000_000;
/// Bytes of a block, unless one line alone has more: a few hundred lines.
const LARGEST: usize = 128 * 1024;

/// Lines that are written together, by family of accounts: each is in its block as soon as it is added, so that none
/// is looked at again when they are written.
#[derive(Debug, Default)]
pub struct Batch {
    families: HashMap<Id<id::Account>, Vec<Block>>,
    count: usize,
}

impl Batch {
    /// Adds a line, whichever of them it is later than.
    pub fn add(&mut self, line: &Line) {
        self.count += 1;
        let root = &line.account.root;
        let Some(blocks) = self.families.get_mut(root) else {
            self.families.insert(root.clone(), vec![Block::of(line)]);
            return;
        };
        // There is more than one where some of the calls took long, or a block is full.
        let mut with_room = blocks.iter_mut().rev();
        match with_room.find(|block| block.has_room_for(line)) {
            Some(block) => block.add(line),
            None => blocks.push(Block::of(line)),
        }
    }

    /// How many lines it has.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whose lines it has, and how many of each family.
    pub fn families(&self) -> impl Iterator<Item = (&Id<id::Account>, usize)> {
        let families = self.families.iter();
        families.map(|(root, blocks)| (root, blocks.iter().map(|block| block.count).sum()))
    }

    /// The line that one of its blocks is named for.
    pub fn first(&self) -> Option<&Id<id::Call>> {
        self.blocks().next().map(|(_, block)| &block.id)
    }

    /// Each of its blocks alone.
    pub fn apart(self) -> impl Iterator<Item = Self> {
        let families = self.families.into_iter();
        let blocks = families
            .flat_map(|(root, blocks)| blocks.into_iter().map(move |block| (root.clone(), block)));
        blocks.map(|(root, block)| Self {
            count: block.count,
            families: HashMap::from([(root, vec![block])]),
        })
    }

    fn blocks(&self) -> impl Iterator<Item = (&Id<id::Account>, &Block)> {
        let families = self.families.iter();
        families.flat_map(|(root, blocks)| blocks.iter().map(move |block| (root, block)))
    }
}

impl<'a> FromIterator<&'a Line> for Batch {
    fn from_iter<I: IntoIterator<Item = &'a Line>>(lines: I) -> Self {
        let mut batch = Self::default();
        lines.into_iter().for_each(|line| batch.add(line));
        batch
    }
}

/// Lines of one family of accounts.
#[derive(Debug)]
struct Block {
    /// The id of the line that came first, so that writing the same lines again makes the same block.
    id: Id<id::Call>,
    first_at: Timestamp,
    last_at: Timestamp,
    count: usize,
    /// Where its lines are looked for: by its family, by each account below, by each MCP server.
    places: BTreeSet<String>,
    /// What its lines have in common, with the place of it in the list.
    kinds: HashMap<String, usize>,
    /// Those, and the lines, as JSON but for the lists around them.
    kinds_text: String,
    lines: String,
}

impl Block {
    fn of(line: &Line) -> Self {
        let mut block = Self {
            id: line.id.clone(),
            first_at: line.at,
            last_at: line.at,
            count: 0,
            places: BTreeSet::new(),
            kinds: HashMap::new(),
            kinds_text: String::new(),
            lines: String::new(),
        };
        block.add(line);
        block
    }

    /// Whether a line of the same family belongs to it.
    fn has_room_for(&self, line: &Line) -> bool {
        let first_at = self.first_at.min(line.at);
        let last_at = self.last_at.max(line.at);
        last_at.micros_since(first_at) < SPAN
            && self.kinds_text.len() + self.lines.len() + line.kind.len() + line.own.len() < LARGEST
    }

    fn add(&mut self, line: &Line) {
        self.count += 1;
        self.first_at = self.first_at.min(line.at);
        self.last_at = self.last_at.max(line.at);
        let kind = match self.kinds.get(&line.kind) {
            Some(&kind) => kind,
            None => self.add_kind(line),
        };
        follow(&mut self.lines, format_args!("[{kind}{}", line.own));
    }

    /// A kind has the places, too: lines of one kind are looked for in the same ones.
    fn add_kind(&mut self, line: &Line) -> usize {
        let kind = self.kinds.len();
        self.kinds.insert(line.kind.clone(), kind);
        follow(&mut self.kinds_text, format_args!("{}", line.kind));
        let places = [line.account.root.as_str(), line.account.id.as_str()];
        let places = places
            .into_iter()
            .chain(line.server.as_ref().map(Id::as_str));
        self.places.extend(places.map(ToOwned::to_owned));
        kind
    }

    fn rows_of_places<'a>(
        &'a self,
        root: &'a Id<id::Account>,
    ) -> impl Iterator<Item = [Cell<'a>; 4]> {
        let places = self.places.iter();
        places.map(move |place| {
            [
                place.as_str().into(),
                root.as_str().into(),
                self.last_at.as_micros().into(),
                self.id.as_str().into(),
            ]
        })
    }

    fn row<'a>(&'a self, root: &'a Id<id::Account>) -> [Cell<'a>; 4] {
        [
            self.last_at.as_micros().into(),
            self.id.as_str().into(),
            root.as_str().into(),
            format!(
                r#"{{"kinds":[{}],"lines":[{}]}}"#,
                self.kinds_text, self.lines
            )
            .into(),
        ]
    }
}

/// Adds to a list.
fn follow(list: &mut String, next: fmt::Arguments<'_>) {
    let comma = if list.is_empty() { "" } else { "," };
    write!(list, "{comma}{next}").expect("writing to a string cannot fail");
}

// OR IGNORE, since the only fault that a row may have is that it is there already: a statement that
// could end halfway would keep a copy of each page that it changes, to undo itself.
static INSERT: ByRows<4> = ByRows::new(
    "INSERT OR IGNORE INTO call_blocks (last_at, id, root_account_id, lines) \
     SELECT column1, column2, column3, column4 FROM (",
    ") WHERE column1 IS NOT NULL",
);

static INSERT_PLACES: ByRows<4> = ByRows::new(
    "INSERT OR IGNORE INTO call_block_places (place, root_account_id, last_at, block_id) \
     SELECT column1, column2, column3, column4 FROM (",
    ") WHERE column1 IS NOT NULL",
);

const INSERT_ON_POSTGRES: &str = "WITH blocks AS \
     (INSERT INTO call_blocks (last_at, id, root_account_id, lines) \
     SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, value ->> 2, value ->> 3 \
     FROM json_each($1) ON CONFLICT DO NOTHING) \
     INSERT INTO call_block_places (place, root_account_id, last_at, block_id) \
     SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), value ->> 3 \
     FROM json_each($2) ON CONFLICT DO NOTHING";

/// Writes lines, all of them or none. Whoever lost the answer of a commit writes the same batch again, or each of its
/// blocks alone, which changes nothing. Lines that are there twice are listed once. They must not be
/// written in other company after they were written alone: a block that begins with the same line, and ends at
/// the same instant, is taken for the one that is there. They may be lost with the last second in a power
/// cut, as counters may.
pub async fn append(db: &Db, batch: &Batch) -> Result<(), StoreError> {
    if batch.count == 0 {
        return Ok(());
    }
    let blocks = batch.blocks().map(|(root, block)| block.row(root));
    let places = batch
        .blocks()
        .flat_map(|(root, block)| block.rows_of_places(root));
    match &db.0.engine {
        Engine::Sqlite { usage, .. } => {
            let mut tx = usage.begin().await?;
            INSERT.run(&mut tx, blocks).await?;
            INSERT_PLACES.run(&mut tx, places).await?;
            tx.commit().await?;
        }
        Engine::Postgres(pool) => {
            sqlx::query(INSERT_ON_POSTGRES)
                .bind(list_of_rows(&blocks.collect::<Vec<_>>()))
                .bind(list_of_rows(&places.collect::<Vec<_>>()))
                .execute(pool)
                .await?;
        }
    }
    Ok(())
}
