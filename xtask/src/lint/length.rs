//! No hand-written file is too long to be read in one go.

use std::path::Path;

use anyhow::{Result, bail};

use super::sources::crates;

/// The most lines of a file, its test module not counted.
const LONGEST: usize = 500;

pub(super) fn check(workspace: &Path) -> Result<()> {
    let too_long: Vec<String> = crates(workspace)?
        .iter()
        .flat_map(|krate| &krate.sources)
        .map(|source| (source, source.text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST)
        .map(|(source, lines)| format!("{}: {lines} lines", source.shown))
        .collect();
    if !too_long.is_empty() {
        bail!(
            "split by meaning what is over {LONGEST} lines:\n{}",
            too_long.join("\n")
        );
    }
    Ok(())
}
