//! Cells of a CSV file, and the columns that they stand in.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// Columns that are known, and what they are in the API.
const COLUMNS: [(&str, Kind); 19] = [
    ("name", Kind::Text),
    ("key", Kind::Text),
    ("keyHash", Kind::Hash),
    ("customAccountId", Kind::Text),
    ("customUserId", Kind::Text),
    ("customMetaData", Kind::Json),
    ("rateLimit", Kind::Number),
    ("rateLimitTtl", Kind::Number),
    ("expiry", Kind::Text),
    ("expiresAt", Kind::Text),
    ("allowedDomains", Kind::List),
    ("allowedIps", Kind::List),
    ("scopes", Kind::List),
    ("quotaLimit", Kind::Number),
    ("quotaPeriod", Kind::Text),
    ("isActive", Kind::Flag),
    ("status", Kind::Text),
    ("reason", Kind::Text),
    ("clientIP", Kind::Text),
];

/// A column: its member in the API, and how its cells are read.
pub(in super::super) type Column = (&'static str, Kind);

/// How a cell is read.
#[derive(Clone, Copy)]
pub(in super::super) enum Kind {
    /// As it is.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Flag,
    /// Any JSON.
    Json,
    /// Separated by white space, commas or semicolons.
    List,
    /// SHA-256 of the key string.
    Hash,
}

/// Finds a column by its name, in any case and with or without underscores.
pub(super) fn column(name: &str) -> Result<Column> {
    let folded = |text: &str| text.replace(['_', '-', ' '], "").to_lowercase();
    let wanted = folded(name.trim_start_matches('\u{feff}'));
    let found = COLUMNS
        .into_iter()
        .find(|(known, _)| folded(known) == wanted);
    found.with_context(|| {
        let known = COLUMNS.map(|(known, _)| known).join(", ");
        format!("the column {name:?} is not known; known are {known}")
    })
}

/// Reads a record as what creating a key takes, JSON.
pub(super) fn read_record(
    record: &csv::StringRecord,
    columns: &[Column],
) -> Result<String, String> {
    if record.len() > columns.len() {
        return Err(format!(
            "it has {} cells, the header has {}",
            record.len(),
            columns.len()
        ));
    }
    let mut members = Map::new();
    let mut quota = Map::new();
    for ((name, kind), cell) in columns.iter().zip(record) {
        // What is not there is an empty cell.
        if cell.is_empty() {
            continue;
        }
        let value = read_cell(*kind, cell).map_err(|must| format!("{name}: {must}"))?;
        match *name {
            "quotaLimit" => quota.insert("limit".to_owned(), value),
            "quotaPeriod" => quota.insert("period".to_owned(), value),
            name => members.insert(name.to_owned(), value),
        };
    }
    if !quota.is_empty() {
        members.insert("quota".to_owned(), Value::Object(quota));
    }
    Ok(Value::Object(members).to_string())
}

fn read_cell(kind: Kind, cell: &str) -> Result<Value, &'static str> {
    Ok(match kind {
        Kind::Text => json!(cell),
        Kind::Number => json!(
            cell.trim()
                .parse::<u64>()
                .map_err(|_| "must be a whole number")?
        ),
        Kind::Flag => match cell.trim().to_lowercase().as_str() {
            "true" | "yes" | "1" => json!(true),
            "false" | "no" | "0" => json!(false),
            _ => return Err("must be true or false"),
        },
        Kind::Json => serde_json::from_str(cell).map_err(|_| "must be JSON")?,
        Kind::List => {
            let is_between = |c: char| c.is_whitespace() || c == ',' || c == ';';
            let items: Vec<_> = cell
                .split(is_between)
                .filter(|item| !item.is_empty())
                .collect();
            json!(items)
        }
        Kind::Hash => json!({"algorithm": "sha256", "value": cell}),
    })
}
