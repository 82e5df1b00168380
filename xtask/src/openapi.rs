//! `docs/openapi.json`: the document that the program serves, kept in the repository so that a change
//! to the API shows in review.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process::{announce, cargo, output};

const DOCUMENT: &str = "docs/openapi.json";

pub(crate) fn run(workspace: &Path, check: bool) -> Result<()> {
    announce(if check {
        "Comparing docs/openapi.json"
    } else {
        "Writing docs/openapi.json"
    });
    let served = output(&mut cargo(
        workspace,
        &["run", "--quiet", "--bin", "claviger", "--", "openapi"],
    ))?;
    let path = workspace.join(DOCUMENT);
    if !check {
        return std::fs::write(&path, served).with_context(|| format!("cannot write {DOCUMENT}"));
    }
    let kept = std::fs::read_to_string(&path).with_context(|| format!("cannot read {DOCUMENT}"))?;
    if let Some(difference) = first_difference(&kept, &served) {
        bail!("{DOCUMENT} is not what the program serves: run `cargo xtask openapi`\n{difference}");
    }
    Ok(())
}

/// The first line in which two texts differ, with its number.
fn first_difference(kept: &str, served: &str) -> Option<String> {
    if kept == served {
        return None;
    }
    let alike = kept
        .lines()
        .zip(served.lines())
        .take_while(|(one, other)| one == other)
        .count();
    let line = |text: &str| {
        text.lines()
            .nth(alike)
            .unwrap_or("the end of the document")
            .to_owned()
    };
    Some(format!(
        "line {}: kept {}, served {}",
        alike + 1,
        line(kept),
        line(served)
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
            Some("line 2: kept   \"a\": 1, served   \"a\": 2")
        );
    }

    #[test]
    fn a_document_that_ends_early_differs() {
        let difference = first_difference("{\n", "{\n}\n");
        assert_eq!(
            difference.as_deref(),
            Some("line 2: kept the end of the document, served }")
        );
    }

    #[test]
    fn a_missing_last_line_feed_is_a_difference_too() {
        assert!(first_difference("{}", "{}\n").is_some());
        assert_eq!(first_difference("{}\n", "{}\n"), None);
    }
}
