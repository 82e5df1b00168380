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

/// Lines of one family of accounts.
struct Block<'a> {
    /// The id of its first line, so that writing the same lines again makes the same block.
    id: &'a Id<id::Call>,
    root: &'a Id<id::Account>,
    first_at: Timestamp,
    last_at: Timestamp,
    /// Where its lines are looked for: by its family, by each account below, by each MCP server.
    places: BTreeSet<&'a str>,
    /// What its lines have in common, with the place of it in the list.
    kinds: HashMap<&'a str, usize>,
    /// Those, and the lines, as JSON but for the lists around them.
    kinds_text: String,
    lines: String,
}

impl<'a> Block<'a> {
    /// The blocks of lines, whichever order they come in.
    fn all_of(lines: &'a [Line]) -> Vec<Self> {
        let mut lines: Vec<_> = lines.iter().collect();
        lines.sort_unstable_by_key(|line| (&line.account.root, line.at, &line.id));
        let mut blocks: Vec<Self> = Vec::new();
        for line in lines {
            match blocks.last_mut() {
                Some(block) if block.has_room_for(line) => {}
                _ => blocks.push(Self {
                    id: &line.id,
                    root: &line.account.root,
                    first_at: line.at,
                    last_at: line.at,
                    places: BTreeSet::new(),
                    kinds: HashMap::new(),
                    kinds_text: String::new(),
                    lines: String::new(),
                }),
            }
            if let Some(block) = blocks.last_mut() {
                block.add(line);
            }
        }
        blocks
    }

    /// Whether a line that is not earlier than its others belongs to it.
    fn has_room_for(&self, line: &Line) -> bool {
        *self.root == line.account.root
            && line.at.micros_since(self.first_at) < SPAN
            && self.kinds_text.len() + self.lines.len() + line.kind.len() + line.own.len() < LARGEST
    }

    fn add(&mut self, line: &'a Line) {
        self.last_at = line.at;
        self.places.insert(line.account.root.as_str());
        self.places.insert(line.account.id.as_str());
        self.places.extend(line.server.as_ref().map(Id::as_str));
        let next = self.kinds.len();
        let kind = *self.kinds.entry(&line.kind).or_insert(next);
        if kind == next {
            follow(&mut self.kinds_text, format_args!("{}", line.kind));
        }
        follow(&mut self.lines, format_args!("[{kind}{}", line.own));
    }

    fn rows_of_places(&self) -> impl Iterator<Item = [Cell<'a>; 4]> {
        let (last_at, id, root) = (self.last_at.as_micros(), self.id.as_str(), self.root);
        let places = self.places.iter().copied();
        places.map(move |place| {
            [
                place.into(),
                root.as_str().into(),
                last_at.into(),
                id.into(),
            ]
        })
    }

    fn into_row(self) -> [Cell<'a>; 4] {
        [
            self.last_at.as_micros().into(),
            self.id.as_str().into(),
            self.root.as_str().into(),
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

/// Writes lines, all of them or none. Whoever lost the answer of a commit writes the same lines again,
/// which changes nothing, or each of them alone: lines that are there twice are listed once. They must not be
/// written in other company after they were written alone: a block that begins with the same line, and ends at
/// the same instant, is taken for the one that is there. They may be lost with the last second in a power
/// cut, as counters may.
pub async fn append(db: &Db, lines: &[Line]) -> Result<(), StoreError> {
    if lines.is_empty() {
        return Ok(());
    }
    let blocks = Block::all_of(lines);
    let places: Vec<_> = blocks.iter().flat_map(Block::rows_of_places).collect();
    let blocks = blocks.into_iter().map(Block::into_row);
    match &db.0.engine {
        Engine::Sqlite { usage, .. } => {
            let mut tx = usage.begin().await?;
            INSERT.run(&mut tx, blocks).await?;
            INSERT_PLACES.run(&mut tx, places.into_iter()).await?;
            tx.commit().await?;
        }
        Engine::Postgres(pool) => {
            let blocks: Vec<_> = blocks.collect();
            sqlx::query(INSERT_ON_POSTGRES)
                .bind(list_of_rows(&blocks))
                .bind(list_of_rows(&places))
                .execute(pool)
                .await?;
        }
    }
    Ok(())
}
