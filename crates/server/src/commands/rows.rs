//! Files of keys, read row by row: CSV with a header line, or a JSON object a line.

// Named, since fuzz/ takes this file as a module of its own.
#[path = "rows/cells.rs"]
mod cells;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::value::RawValue;

use self::cells::{Column, column, read_record};

/// Longer rows are refused here: a batch of them would be too large a body.
pub(super) const LONGEST_ROW: usize = 64 * 1_024;

/// How a file is written.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A header line with the names of columns, then a line a key
    Csv,
    /// A JSON object a line, as creating a key takes it
    Ndjson,
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// Its line in the file, from 1; its place among rows that were not read from one.
    pub(super) line: u64,
    /// What the API takes, or why there is nothing of the kind.
    pub(super) read: Result<Box<RawValue>, String>,
    /// Bytes of the file up to its end.
    pub(super) position: u64,
}

/// The rows of a file.
pub(super) enum Rows {
    Csv {
        reader: Box<csv::Reader<Box<dyn Read + Send>>>,
        columns: Vec<Column>,
    },
    Ndjson {
        reader: BufReader<Box<dyn Read + Send>>,
        line: u64,
        position: u64,
    },
    /// Rows that were not read from a file.
    Made(std::vec::IntoIter<Row>),
}

/// How a file is written, by what it says or by the end of its name.
pub(super) fn format_of(path: &Path, said: Option<Format>) -> Result<Format> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    match (said, ending) {
        (Some(said), _) => Ok(said),
        (None, Some("csv")) => Ok(Format::Csv),
        (None, Some("ndjson" | "jsonl")) => Ok(Format::Ndjson),
        _ => bail!(
            "say how {} is written: --format csv or --format ndjson",
            path.display()
        ),
    }
}

/// Opens a file, or standard input where it is `-`, and tells its length where that is known.
pub(super) fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file);
    Ok((Box::new(file), length.map(|about| about.len())))
}

impl Rows {
    /// Begins to read; a header with an unknown column is told at once.
    pub(super) fn new(source: Box<dyn Read + Send>, format: Format) -> Result<Self> {
        if format == Format::Ndjson {
            let reader = BufReader::new(source);
            return Ok(Self::Ndjson {
                reader,
                line: 0,
                position: 0,
            });
        }
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(source);
        let header = reader.headers().context("the header line cannot be read")?;
        let columns = header.iter().map(column).collect::<Result<Vec<_>>>()?;
        let has = |name| columns.iter().any(|(one, _)| *one == name);
        if !has("name") || !(has("key") || has("keyHash")) {
            bail!("the header line needs the columns name, and key or keyHash");
        }
        Ok(Self::Csv {
            reader: Box::new(reader),
            columns,
        })
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<Row>> {
        match self {
            Self::Csv { reader, columns } => next_record(reader, columns),
            Self::Ndjson {
                reader,
                line,
                position,
            } => next_line(reader, line, position),
            Self::Made(rows) => Ok(rows.next()),
        }
    }
}

fn next_record(
    reader: &mut csv::Reader<Box<dyn Read + Send>>,
    columns: &[Column],
) -> Result<Option<Row>> {
    let mut record = csv::StringRecord::new();
    let line = reader.position().line();
    let read = match reader.read_record(&mut record) {
        Ok(false) => return Ok(None),
        Ok(true) => read_record(&record, columns).and_then(|members| raw(&members)),
        Err(error) if error.is_io_error() => return Err(error).context("the file cannot be read"),
        Err(_) => Err("it is not UTF-8".to_owned()),
    };
    let line = record.position().map_or(line, csv::Position::line);
    let position = reader.position().byte();
    Ok(Some(Row {
        line,
        read,
        position,
    }))
}

fn next_line(
    reader: &mut BufReader<Box<dyn Read + Send>>,
    line: &mut u64,
    position: &mut u64,
) -> Result<Option<Row>> {
    loop {
        let mut bytes = Vec::new();
        let length = reader
            .read_until(b'\n', &mut bytes)
            .context("the file cannot be read")?;
        if length == 0 {
            return Ok(None);
        }
        *line += 1;
        *position += length as u64;
        let text = bytes.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let read = match std::str::from_utf8(text) {
            Ok(text) if text.starts_with('{') => raw(text),
            Ok(_) => Err("it is no JSON object".to_owned()),
            Err(_) => Err("it is not UTF-8".to_owned()),
        };
        return Ok(Some(Row {
            line: *line,
            read,
            position: *position,
        }));
    }
}

/// Takes JSON that is well formed and not too long; the error's own text would quote the row.
fn raw(text: &str) -> Result<Box<RawValue>, String> {
    if text.len() > LONGEST_ROW {
        return Err(format!(
            "it has {} bytes, at most {LONGEST_ROW} are taken",
            text.len()
        ));
    }
    serde_json::from_str(text).map_err(|error| format!("it is no JSON: column {}", error.column()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &'static str, format: Format) -> Vec<(u64, Result<String, String>)> {
        let mut rows = Rows::new(Box::new(text.as_bytes()), format).unwrap();
        std::iter::from_fn(|| rows.next().unwrap())
            .map(|row| (row.line, row.read.map(|raw| raw.get().to_owned())))
            .collect()
    }

    #[test]
    fn a_csv_row_becomes_what_creating_a_key_takes() {
        let text = "\u{feff}Name,key,custom_account_id,customMetaData,scopes,quota limit,quotaPeriod,isActive,rateLimit\n\
                    \"Acme, Inc.\",moved-key-1,acme,\"{\"\"plan\"\": \"\"pro\"\"}\",read write,9,day,no,5\n\
                    \"two\nlines\",moved-key-2\n\
                    three,moved-key-3,,nonsense\n";
        let read = rows(text, Format::Csv);
        let first = r#"{"name":"Acme, Inc.","key":"moved-key-1","customAccountId":"acme","customMetaData":{"plan":"pro"},"scopes":["read","write"],"isActive":false,"rateLimit":5,"quota":{"limit":9,"period":"day"}}"#;
        assert_eq!(read[0], (2, Ok(first.to_owned())));
        let second = r#"{"name":"two\nlines","key":"moved-key-2"}"#;
        assert_eq!(read[1], (3, Ok(second.to_owned())));
        assert_eq!(read[2], (5, Err("customMetaData: must be JSON".to_owned())));
    }

    #[test]
    fn a_header_says_what_is_there() {
        let refused = |text: &'static str| {
            let error = Rows::new(Box::new(text.as_bytes()), Format::Csv).err();
            error.unwrap().to_string()
        };
        assert!(refused("name,key,colour\n").contains("\"colour\" is not known"));
        assert!(refused("name\n").contains("key or keyHash"));
    }

    #[test]
    fn lines_of_json_are_taken_as_they_are() {
        let read = rows(
            "{\"name\": 1}\n\n[]\n{\"key\": \"secret\n{}",
            Format::Ndjson,
        );
        assert_eq!(read[0], (1, Ok("{\"name\": 1}".to_owned())));
        assert_eq!(read[1], (3, Err("it is no JSON object".to_owned())));
        let (line, error) = &read[2];
        assert_eq!(*line, 4);
        assert!(!error.as_ref().unwrap_err().contains("secret"));
        assert_eq!(read[3], (5, Ok("{}".to_owned())));
    }
}
