//! What the program prints of itself, kept in the repository so that a change shows in review: the document
//! that it serves, and the schema of the connector files that it reads.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process::{announce, cargo, output};

/// Each file with the command that prints it.
const PRINTED: [(&str, &[&str]); 2] = [
    ("docs/openapi.json", &["openapi"]),
    ("docs/connector.schema.json", &["connector", "schema"]),
];

pub(crate) fn run(workspace: &Path, check: bool) -> Result<()> {
    for (file, command) in PRINTED {
        let verb = if check { "Comparing" } else { "Writing" };
        announce(&format!("{verb} {file}"));
        let arguments = ["run", "--quiet", "--bin", "claviger", "--"];
        let arguments: Vec<&str> = arguments.iter().chain(command).copied().collect();
        let printed = output(&mut cargo(workspace, &arguments))?;
        let path = workspace.join(file);
        if !check {
            std::fs::write(&path, printed).with_context(|| format!("cannot write {file}"))?;
            continue;
        }
        let kept = std::fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        if let Some(difference) = first_difference(&kept, &printed) {
            bail!("{file} is not what the program prints: run `cargo xtask openapi`\n{difference}");
        }
    }
    Ok(())
}

/// The first line in which two texts differ, with its number.
fn first_difference(kept: &str, printed: &str) -> Option<String> {
    if kept == printed {
        return None;
    }
    let alike = kept
        .lines()
        .zip(printed.lines())
        .take_while(|(one, other)| one == other)
        .count();
    let line = |text: &str| {
        text.lines()
            .nth(alike)
            .unwrap_or("the end of the document")
            .to_owned()
    };
    Some(format!(
        "line {}: kept {}, printed {}",
        alike + 1,
        line(kept),
        line(printed)
    ))
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn the_first_line_that_differs_is_named() {
        let difference = first_difference("{\n  \"a\": 1\n}\n", "{\n  \"a\": 2\n}\n");
        assert_eq!(
            difference.as_deref(),
            Some("line 2: kept   \"a\": 1, printed   \"a\": 2")
        );
    }

    #[test]
    fn a_document_that_ends_early_differs() {
        let difference = first_difference("{\n", "{\n}\n");
        assert_eq!(
            difference.as_deref(),
            Some("line 2: kept the end of the document, printed }")
        );
    }

    #[test]
    fn a_missing_last_line_feed_is_a_difference_too() {
        assert!(first_difference("{}", "{}\n").is_some());
        assert_eq!(first_difference("{}\n", "{}\n"), None);
    }
}
