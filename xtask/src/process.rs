//! Running other programs, and telling what is going on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A line that says what starts now.
pub(crate) fn announce(step: &str) {
    println!("==> {step}");
}

/// Prints an error with its causes to standard error.
#[expect(
    clippy::print_stderr,
    reason = "the one place where a command reports its failure"
)]
pub(crate) fn complain(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// `cargo` with `arguments`, in the workspace.
pub(crate) fn cargo(workspace: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace);
    // `cargo xtask` has set these for xtask. Build scripts (ring's) ask to be run again when they
    // change, so each turn from here would rebuild what a turn from a shell has built.
    for (name, _) in std::env::vars_os().filter(|(name, _)| describes_xtask(name)) {
        command.env_remove(name);
    }
    command
}

fn describes_xtask(variable: &OsString) -> bool {
    variable
        .to_str()
        .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
}

/// The target folder, wherever it is: xtask is in its folder of debug builds.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let xtask = std::env::current_exe().context("cannot tell where the program was built")?;
    let target = xtask.ancestors().nth(2);
    Ok(target
        .context("xtask is in no target directory")?
        .to_owned())
}

/// Runs `command`, with its output on the terminal.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs `command` and gives what it wrote to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}", shown(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} wrote no UTF-8", shown(command)))
}

/// Whether `command` can be run and succeeds, without showing what it writes.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}
