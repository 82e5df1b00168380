//! The hand-written Rust files of the workspace, without what in them are tests.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A source file of a crate.
pub(super) struct Source {
    /// From the workspace, for messages.
    pub(super) shown: String,
    /// From the crate's `src`: `keys/create.rs`.
    pub(super) inner: PathBuf,
    /// What stands before the test module that ends the file.
    pub(super) text: String,
}

/// A crate and its sources, in the order of their paths.
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) sources: Vec<Source>,
}

/// Reads every crate of the workspace. Files under `tests` directories are not read.
pub(super) fn crates(workspace: &Path) -> Result<Vec<Crate>> {
    let mut directories = directory(&workspace.join("crates"))?;
    directories.extend(["bench", "xtask"].map(|name| workspace.join(name)));
    directories
        .iter()
        .map(|directory| read_crate(workspace, directory))
        .collect()
}

fn read_crate(workspace: &Path, root: &Path) -> Result<Crate> {
    let mut sources = Vec::new();
    collect(workspace, &root.join("src"), Path::new(""), &mut sources)?;
    let name = root
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok(Crate { name, sources })
}

fn collect(workspace: &Path, from: &Path, inner: &Path, found: &mut Vec<Source>) -> Result<()> {
    for path in directory(from)? {
        let name = path.file_name().unwrap_or_default();
        let inner = inner.join(name);
        if path.is_dir() {
            if name != "tests" {
                collect(workspace, &path, &inner, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs"
        {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let shown = path
                .strip_prefix(workspace)
                .unwrap_or(&path)
                .display()
                .to_string();
            found.push(Source {
                shown,
                inner,
                text: before_tests(&text).to_owned(),
            });
        }
    }
    Ok(())
}

/// A directory's entries, sorted.
fn directory(path: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn before_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod ")
        .map_or(text, |start| &text[..start])
}

#[cfg(test)]
mod tests {
    use super::before_tests;

    #[test]
    fn a_file_ends_where_its_test_module_starts() {
        let text = "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use super::f;\n}\n";
        assert_eq!(before_tests(text), "fn f() {}\n\n");
    }

    #[test]
    fn a_file_without_a_test_module_is_whole() {
        let text = "#[cfg(test)]\nuse std::fmt;\n";
        assert_eq!(before_tests(text), text);
    }
}
