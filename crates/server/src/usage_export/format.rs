//! How a row is written.

use std::fmt::Write as _;

use anyhow::{Context, Result, anyhow};
use claviger_store::usage::export::ExportedKey;
use serde_json::{Value, json};

use super::Period;
use crate::config::ExportFormat;

const COLUMNS: [&str; 13] = [
    "period",
    "from",
    "to",
    "accountId",
    "projectId",
    "keyId",
    "keyName",
    "customAccountId",
    "customUserId",
    "total",
    "successful",
    "failed",
    "rateLimited",
];
/// The places of what a line is told by.
const PERIOD: usize = 0;
const KEY: usize = 5;

impl ExportFormat {
    /// What rows are, for whoever receives them.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// What a file begins with.
    pub(super) fn header(self) -> String {
        match self {
            Self::Csv => format!("{}\n", COLUMNS.join(",")),
            Self::Ndjson => String::new(),
        }
    }

    /// Rows as lines.
    pub(super) fn lines(self, period: &Period, keys: &[ExportedKey]) -> Result<String> {
        let (from, to) = period.bounds();
        let (name, from, to) = (period.to_string(), from.to_string(), to.to_string());
        let mut csv = csv::WriterBuilder::new().from_writer(Vec::new());
        let mut text = String::new();
        for key in keys {
            let counts = key.counts();
            match self {
                Self::Csv => {
                    let texts = [
                        Some(&name),
                        Some(&from),
                        Some(&to),
                        key.account_id.as_ref(),
                        Some(&key.project_id),
                        Some(&key.key_id),
                        key.name.as_ref(),
                        key.custom_account_id.as_ref(),
                        key.custom_user_id.as_ref(),
                    ];
                    let numbers = [
                        counts.total(),
                        counts.successful,
                        counts.failed,
                        counts.rate_limited,
                    ];
                    let texts = texts.into_iter();
                    let texts = texts.map(|text| text.map_or(String::new(), |text| inert(text)));
                    let numbers = numbers.into_iter().map(|number| number.to_string());
                    csv.write_record(texts.chain(numbers))
                        .context("a row is text")?;
                }
                Self::Ndjson => {
                    let row = json!({
                        "period": name, "from": from, "to": to, "accountId": key.account_id,
                        "projectId": key.project_id, "keyId": key.key_id, "keyName": key.name,
                        "customAccountId": key.custom_account_id,
                        "customUserId": key.custom_user_id, "total": counts.total(),
                        "successful": counts.successful, "failed": counts.failed,
                        "rateLimited": counts.rate_limited,
                    });
                    writeln!(text, "{row}").expect("a text takes whatever is written");
                }
            }
        }
        if self == Self::Csv {
            let bytes = csv.into_inner().map_err(|error| anyhow!("{error}"))?;
            text = String::from_utf8(bytes).context("cells are text")?;
        }
        Ok(text)
    }

    /// The period and the key of a line; of a header none of a key, of other lines nothing.
    pub(super) fn read_line(self, line: &str) -> Option<(String, Option<String>)> {
        match self {
            Self::Csv => {
                let mut reader = csv::ReaderBuilder::new()
                    .has_headers(false)
                    .from_reader(line.as_bytes());
                let record = reader.records().next()?.ok()?;
                if record.iter().eq(COLUMNS) {
                    return Some((String::new(), None));
                }
                let is_row = record.len() == COLUMNS.len();
                let cell = |place| is_row.then(|| record.get(place)).flatten();
                Some((cell(PERIOD)?.to_owned(), Some(cell(KEY)?.to_owned())))
            }
            Self::Ndjson => {
                let row: Value = serde_json::from_str(line).ok()?;
                let text = |name: &str| row[name].as_str().map(str::to_owned);
                Some((text("period")?, Some(text("keyId")?)))
            }
        }
    }
}

/// A cell that no table takes for a formula: names are other people's. Without the ends of lines, so that a
/// row is a line.
fn inert(text: &str) -> String {
    let line = text.replace(['\r', '\n'], " ");
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{line}")
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_inert_in_tables() {
        for (name, cell) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@sum", "'@sum"),
            ("\tx", "'\tx"),
            ("\rx", "' x"),
            ("a=b", "a=b"),
            ("two\nlines", "two lines"),
        ] {
            assert_eq!(inert(name), cell, "{name:?}");
        }
    }
}
