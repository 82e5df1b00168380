//! Files of keys: CSV with a header line, or a JSON object a line. The first byte says which.
#![no_main]

// The file itself: a dependency on the whole program would take minutes to build.
#[path = "../../crates/server/src/commands/rows.rs"]
#[expect(dead_code, reason = "files are opened by the program, here they are made")]
mod rows;

use claviger_api::bodies;
use claviger_fuzz::{change, project};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

use self::rows::{Format, LONGEST_ROW, Rows};

fuzz_target!(|data: &[u8]| {
    let Some((which, file)) = data.split_first() else {
        return;
    };
    let format = if which % 2 == 0 { Format::Csv } else { Format::Ndjson };
    let Some(rows) = read(file, format) else { return };
    let length = u64::try_from(file.len()).expect("a file of a test fits");
    let (mut line, mut position) = (0, 0);
    for row in &rows {
        // Lines of which only a carriage return is the end are counted as one.
        assert!(row.line >= line && row.position > position && row.position <= length);
        (line, position) = (row.line, row.position);
        let text = match &row.read {
            Ok(text) => text.as_str(),
            // The reason quotes nothing of the row: there may be a key in it.
            Err(reason) => {
                assert!(reason.len() < 100, "{reason}");
                continue;
            }
        };
        assert!(text.len() <= LONGEST_ROW);
        // Not as a value: JSON may have a number that no value takes, which the server refuses.
        let row: &RawValue = serde_json::from_str(text).expect("a row is JSON");
        assert!(row.get().starts_with('{'));
        // What the server makes of it is a key or a refusal of that row, never of the whole batch,
        // unless the row is one that no body may have in it.
        let body = format!("{{\"keys\":[{text}]}}");
        if let Ok(read) = bodies::imported(body.as_bytes(), &project(), &change()) {
            assert_eq!(read.len(), 1);
        }
    }
    // Written as lines of JSON, the rows are the same.
    let lines: Vec<&str> = rows.iter().filter_map(|row| row.read.as_deref().ok()).collect();
    if lines.iter().all(|line| !line.contains('\n')) {
        let again = read(lines.join("\n").as_bytes(), Format::Ndjson).expect("it has no header");
        let again: Vec<_> = again.iter().filter_map(|row| row.read.as_deref().ok()).collect();
        assert_eq!(again, lines);
    }
});

struct Row {
    line: u64,
    position: u64,
    read: Result<String, String>,
}

fn read(file: &[u8], format: Format) -> Option<Vec<Row>> {
    let source = Box::new(std::io::Cursor::new(file.to_vec()));
    let mut rows = Rows::new(source, format).ok()?;
    let mut read = Vec::new();
    while let Some(row) = rows.next().expect("memory can be read") {
        read.push(Row {
            line: row.line,
            position: row.position,
            read: row.read.map(|text| text.get().to_owned()),
        });
    }
    Some(read)
}
