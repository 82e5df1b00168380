//! The connectors of an instance itself: a folder of files, read when the program starts.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use claviger_gateway::gateway::BUILT_IN;
use claviger_gateway::{Catalogue, Connector};

use super::{compiled, shown};

/// What the names of connector files end with.
const ENDINGS: [&str; 2] = [".yaml", ".yml"];
/// What stands before that in the name of a document that lies beside them.
const DOCUMENT: &str = ".openapi";

/// Compiles all connector files of a folder, in the order of their names; without a folder there are none.
///
/// Fails with every fault of the first file that has any, with their places, and when two
/// connectors have one slug.
pub(crate) fn read(folder: Option<&Path>) -> Result<Vec<Catalogue>> {
    let Some(folder) = folder else {
        return Ok(Vec::new());
    };
    let mut places = HashMap::new();
    let built_in = Connector::parse(BUILT_IN).context("the built-in connector")?;
    places.insert(
        built_in.file().slug.value.clone(),
        PathBuf::from("the built-in connector"),
    );
    let mut catalogues = Vec::new();
    for path in files(folder)? {
        let catalogue = match compiled(&path)? {
            Ok(catalogue) => catalogue,
            Err(faults) => {
                let lines = faults.0.iter().map(shown::fault);
                let lines: Vec<_> = lines
                    .map(|line| format!("{}{line}", path.display()))
                    .collect();
                bail!("a connector has faults:\n{}", lines.join("\n"));
            }
        };
        if let Some(other) = places.insert(catalogue.slug().to_owned(), path.clone()) {
            let slug = catalogue.slug();
            bail!(
                "{} and {} have the same slug, {slug}: give one of them another",
                other.display(),
                path.display()
            );
        }
        catalogues.push(catalogue);
    }
    Ok(catalogues)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let shown = folder.display();
    let entries = fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder of connectors {shown}"))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read the folder of connectors {shown}"))?
            .path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_default();
        let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
        if stem.is_some_and(|stem| !stem.ends_with(DOCUMENT)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
