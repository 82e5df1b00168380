//! Answers for people: tables and lists of members, in the width of the terminal.

use std::fmt::Write;

use claviger_domain::plain_text;
use console::{Term, measure_text_width, pad_str, style, truncate_str};
use serde_json::Value;

/// A column: its title, and where in the object its value is, as a JSON pointer.
pub(super) type Column = (&'static str, &'static str);

/// The longest a cell is where nobody sees the end of the line.
const NO_TERMINAL: usize = usize::MAX;
const GAP: &str = "  ";

/// Shows objects, one a line; `total` is how many there are, these included.
pub(super) fn table(columns: &[Column], objects: &[Value], total: Option<u64>) -> String {
    let term = Term::stdout();
    let width = term
        .size_checked()
        .map_or(NO_TERMINAL, |(_, columns)| usize::from(columns));
    let mut text = lay_out(columns, objects, width);
    let shown = objects.len() as u64;
    if let Some(total) = total.filter(|total| *total > shown) {
        // Lines that programs count stay as they are.
        if term.is_term() {
            let hint = "there are more: --limit, --offset or --all";
            writeln!(text, "\n{shown} of {total}; {hint}")
                .expect("a text takes whatever is written");
        }
    }
    text
}

fn lay_out(columns: &[Column], objects: &[Value], width: usize) -> String {
    let cells: Vec<Vec<String>> = objects
        .iter()
        .map(|object| {
            columns
                .iter()
                .map(|(_, place)| cell(object, place))
                .collect()
        })
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, (title, _))| {
            let longest = cells
                .iter()
                .map(|row| measure_text_width(&row[index]))
                .max();
            longest.unwrap_or(0).max(title.len())
        })
        .collect();
    let line = |row: &[String]| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| {
            pad_str(cell, *width, console::Alignment::Left, None).into_owned()
        });
        let line = padded.collect::<Vec<_>>().join(GAP);
        truncate_str(line.trim_end(), width, "…").into_owned()
    };
    let titles: Vec<_> = columns
        .iter()
        .map(|(title, _)| (*title).to_owned())
        .collect();
    let mut text = format!("{}\n", style(line(&titles)).bold());
    for row in &cells {
        text.push_str(&line(row));
        text.push('\n');
    }
    text
}

/// Shows one object, a line for each member that it has.
pub(super) fn details(columns: &[Column], object: &Value) -> String {
    let width = columns
        .iter()
        .map(|(title, _)| title.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (title, place) in columns {
        let value = cell(object, place);
        if !value.is_empty() {
            let title = format!("{title:width$}");
            writeln!(text, "{}{GAP}{value}", style(title).bold())
                .expect("a text takes whatever is written");
        }
    }
    text
}

/// A value on one line, harmless to a terminal.
fn cell(object: &Value, place: &str) -> String {
    let text = match object.pointer(place) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => items
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", "),
        Some(Value::Object(members)) if members.is_empty() => String::new(),
        Some(other) => other.to_string(),
    };
    plain_text::clean(&text).replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: &[Column] = &[
        ("NAME", "/name"),
        ("ACTIVE", "/isActive"),
        ("LIMIT", "/limit/rateLimit"),
    ];

    #[test]
    fn columns_are_aligned_and_cut_to_the_terminal() {
        let objects = [
            json!({"name": "日本", "isActive": true, "limit": {"rateLimit": 5}}),
            json!({"name": "a longer name", "isActive": false, "limit": null}),
        ];
        insta::assert_snapshot!(lay_out(COLUMNS, &objects, 22), @r"
        NAME           ACTIVE…
        日本           yes   …
        a longer name  no
        ");
    }

    #[test]
    fn names_cannot_act_on_a_terminal() {
        let name = "\u{1b}[2Jgone\u{202e}txt\u{7}\nnext\u{9b}31m";
        let object = json!({"name": name});
        assert_eq!(cell(&object, "/name"), "gonetxt next");
        assert_eq!(details(COLUMNS, &object).lines().count(), 1);
    }
}
