//! Rows on their way in: as one list of JSON, which both engines take, or as binds of one statement,
//! which SQLite takes in less than two thirds of the time.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use serde::{Serialize, Serializer};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, AssertSqlSafe, Encode, Sqlite, Type};

use crate::hexadecimal::hexadecimal;

/// How many rows a statement has: few statements, so that SQLite keeps them prepared.
const SIZES: [usize; 4] = [1, 4, 16, 64];
/// Rows of the largest, whose columns are fewer than SQLite takes binds for.
pub(crate) const MOST: usize = 64;

/// One value of a row.
#[derive(Clone, Debug)]
pub(crate) enum Cell<'a> {
    Null,
    Flag(bool),
    Number(i64),
    Text(Cow<'a, str>),
    /// In JSON, which has no bytes, its hexadecimal digits.
    Bytes(&'a [u8]),
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_str(&hexadecimal(bytes)),
        }
    }
}

impl Cell<'_> {
    fn bind(self, arguments: &mut SqliteArguments) -> Result<(), sqlx::Error> {
        fn add<'q, T: Encode<'q, Sqlite> + Type<Sqlite>>(
            arguments: &mut SqliteArguments,
            value: T,
        ) -> Result<(), sqlx::Error> {
            arguments.add(value).map_err(sqlx::Error::Encode)
        }
        match self {
            Self::Null => add(arguments, None::<i64>),
            Self::Flag(flag) => add(arguments, flag),
            Self::Number(number) => add(arguments, number),
            Self::Text(text) => add(arguments, text.into_owned()),
            Self::Bytes(bytes) => add(arguments, bytes),
        }
    }
}

/// Rows as the one bind that `json_each` unpacks.
pub(crate) fn list_of_rows<const CELLS: usize>(rows: &[[Cell<'_>; CELLS]]) -> String {
    let rows: Vec<&[Cell<'_>]> = rows.iter().map(<[_; CELLS]>::as_slice).collect();
    serde_json::to_string(&rows).expect("texts and numbers are JSON")
}

/// A statement of SQLite's over rows of so many cells, which it finds as `column1` and so on. It has
/// to pass over rows of nothing but NULL: where fewer come than there is a statement for, they fill
/// it up.
#[derive(Debug)]
pub(crate) struct ByRows<const CELLS: usize> {
    head: &'static str,
    tail: &'static str,
    texts: OnceLock<[Arc<str>; SIZES.len()]>,
}

impl<const CELLS: usize> ByRows<CELLS> {
    /// The statement, with `VALUES …` between the two.
    pub(crate) const fn new(head: &'static str, tail: &'static str) -> Self {
        Self {
            head,
            tail,
            texts: OnceLock::new(),
        }
    }

    /// Runs it, and tells how many rows it has written. Rows are made while SQLite writes those before
    /// them, on a thread of its own.
    pub(crate) async fn run<'r>(
        &self,
        connection: &mut SqliteConnection,
        rows: impl Iterator<Item = [Cell<'r>; CELLS]>,
    ) -> Result<usize, sqlx::Error> {
        let mut rows = rows.fuse();
        let mut written = 0;
        let mut next = self.fill(&mut rows)?;
        while let Some(statement) = next {
            let meanwhile = async { self.fill(&mut rows) };
            let (done, made) = futures::join!(statement.run(&mut *connection), meanwhile);
            written += done?;
            next = made?;
        }
        Ok(written)
    }

    /// One statement over the next rows, [`MOST`] of them at most; none where there are none.
    pub(crate) fn fill<'r>(
        &self,
        rows: &mut impl Iterator<Item = [Cell<'r>; CELLS]>,
    ) -> Result<Option<Filled>, sqlx::Error> {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(rows.size_hint().0.min(MOST) * CELLS, 0);
        let mut count = 0;
        for row in rows.take(MOST) {
            count += 1;
            for cell in row {
                cell.bind(&mut arguments)?;
            }
        }
        Ok((count > 0).then(|| Filled {
            text: self.text(count),
            arguments,
        }))
    }

    /// The text for at least so many rows.
    pub(crate) fn text(&self, count: usize) -> Arc<str> {
        // Without numbers: SQLite looks for a number in a list of all, at each bind.
        let texts = self.texts.get_or_init(|| {
            let row = format!("({})", ["?"; CELLS].join(", "));
            SIZES.map(|size| {
                let rows = vec![row.as_str(); size].join(", ");
                format!("{}VALUES {rows}{}", self.head, self.tail).into()
            })
        });
        let place = SIZES.iter().position(|size| *size >= count);
        Arc::clone(&texts[place.unwrap_or(SIZES.len() - 1)])
    }
}

/// A statement with its rows.
#[derive(Debug)]
pub(crate) struct Filled {
    text: Arc<str>,
    arguments: SqliteArguments,
}

impl Filled {
    /// Runs it, and tells how many rows it has written.
    pub(crate) async fn run(self, connection: &mut SqliteConnection) -> Result<usize, sqlx::Error> {
        let query = sqlx::query_with(AssertSqlSafe(self.text), self.arguments);
        let done = query.execute(connection).await?;
        Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
    }
}
