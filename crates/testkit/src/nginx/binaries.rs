//! Where nginx is. `cargo xtask test` looks by the same file, ahead of the build.

use std::path::PathBuf;

/// The program: on the `PATH`, or where Debian has it, which is no directory of everybody's `PATH`.
pub(crate) fn nginx() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join("nginx"))
        .find(|program| program.is_file())
}
