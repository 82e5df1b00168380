//! `claviger connector import`: a connector file for a document, in a file or on standard output.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use claviger_gateway::connector::connector_file;
use claviger_gateway::{Catalogue, Connector};

use super::{read_document, shown};
use crate::output::{print, tell};

pub(super) fn run(openapi: &Path, out: Option<&Path>) -> Result<()> {
    let given = openapi.to_string_lossy();
    if given.contains("://") {
        bail!("documents are read from files: download {given} and name the file");
    }
    let document = read_document(openapi)?;
    let text = connector_file(&document, &place(openapi, out));
    // What it yields is told before it is used, and what it does not yield is told at all.
    let connector = Connector::parse(&text).context("the written connector")?;
    let catalogue = Catalogue::compile(&connector, &document).context("the written connector")?;
    let summary = shown::summary(&catalogue);
    match out {
        None => {
            print(&text);
            tell(&summary);
        }
        Some(out) => {
            write_new(out, &text)?;
            let file = out.display();
            tell(&format!(
                "{file}: {summary}; `claviger connector tools {file}` prints them"
            ));
        }
    }
    Ok(())
}

/// Where the document is, as seen from the folder of the connector's file.
fn place(openapi: &Path, out: Option<&Path>) -> String {
    let folder = out.and_then(Path::parent).unwrap_or(Path::new(""));
    let known = |path: &Path| {
        let mut parts = path.components();
        openapi.is_relative() && parts.all(|part| matches!(part, Component::Normal(_)))
    };
    let beside = openapi.strip_prefix(folder).ok();
    let place = if let (Some(beside), false) = (beside, folder.as_os_str().is_empty()) {
        beside.to_owned()
    } else if openapi.is_absolute() || folder.as_os_str().is_empty() {
        openapi.to_owned()
    } else if known(folder) {
        let up: PathBuf = folder.components().map(|_| Component::ParentDir).collect();
        up.join(openapi)
    } else {
        std::path::absolute(openapi).unwrap_or_else(|_| openapi.to_owned())
    };
    place.to_string_lossy().replace('\\', "/")
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let shown = path.display();
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!(
                "{shown} is there already, and may have been changed by hand: move it, or name another"
            )
        }
        opened => opened
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_named_as_seen_from_the_connector_file() {
        let seen = |openapi: &str, out: Option<&str>| place(Path::new(openapi), out.map(Path::new));
        assert_eq!(seen("tea.json", None), "tea.json");
        assert_eq!(seen("tea.json", Some("tea.yaml")), "tea.json");
        assert_eq!(seen("c/tea.json", Some("c/tea.yaml")), "tea.json");
        assert_eq!(
            seen("docs/tea.json", Some("c/tea.yaml")),
            "../docs/tea.json"
        );
        assert_eq!(seen("/docs/tea.json", Some("/docs/tea.yaml")), "tea.json");
        assert_eq!(seen("/docs/tea.json", Some("c/tea.yaml")), "/docs/tea.json");
    }
}
