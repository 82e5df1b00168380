//! Where PostgreSQL's server binaries are. `xtask` includes this file too, to see whether they have to
//! be installed first; it depends on nothing, so that `xtask` builds without the program.

use std::path::PathBuf;

/// Finds the directory with `initdb` and `postgres`: `$PG_BIN`, the newest of Debian's
/// `/usr/lib/postgresql/*/bin`, then `$PATH`.
pub(crate) fn server_binaries() -> Option<PathBuf> {
    let named = std::env::var_os("PG_BIN").map(PathBuf::from);
    let searched = std::env::var_os("PATH").unwrap_or_default();
    named
        .into_iter()
        .chain(packaged())
        .chain(std::env::split_paths(&searched))
        .find(|directory| {
            ["initdb", "postgres"]
                .iter()
                .all(|binary| directory.join(binary).is_file())
        })
}

/// Debian keeps each major version in a directory of its own, none of them on the `$PATH`.
fn packaged() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions
        .into_iter()
        .map(|(_, directory)| directory)
        .collect()
}
