//! `cargo xtask dist`: the program as packages ship it, laid out by what it does while it is asked what it is
//! asked often.
//!
//! It is built twice. The first build counts which ways through the code are taken, and answers the requests of
//! `claviger-bench train`. The second one is optimized by what was counted: what is used often lies together
//! and is inlined, and what is not is out of its way.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::needs;
use crate::process::{announce, cargo, succeed, target_folder};

/// The profile of `Cargo.toml` that packages are built with.
pub(crate) const PROFILE: &str = "dist";
/// What the compiler calls the flags that it is to use beside those of the project.
const FLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";
/// What parts them.
const BETWEEN: &str = "\x1f";
const PROGRAM: &str = "claviger";
/// The program that asks it.
const ASKS: &str = "claviger-bench";

/// Leaves the program in the target folder, and tells where.
pub(crate) fn run(workspace: &Path) -> Result<()> {
    let program = build(workspace)?;
    announce(&format!("The program is {}", program.display()));
    Ok(())
}

/// Builds it, unless it is there as it would be built; gives where it is.
pub(crate) fn build(workspace: &Path) -> Result<PathBuf> {
    let target = target_folder()?;
    let compiler = needs::compiler(workspace)?;
    let trained = target.join("profile");
    let profile = trained.join("claviger.profdata");
    let counts = trained.join("counts");

    announce("Building the program so that it counts what it does, and what asks it");
    let flag = joined("-Cprofile-generate=", &counts);
    let counting = built(workspace, &compiler, &target.join("counting"), flag)?;
    let build = ["build", "--locked", "-p", ASKS, "--bin", ASKS];
    succeed(&mut cargo(workspace, &build))?;

    let guided = target.join("guided");
    let programs = [
        (counting, trained.join(PROGRAM)),
        (target.join("debug").join(ASKS), trained.join(ASKS)),
    ];
    let mut is_trained = profile.exists();
    for (built, copy) in &programs {
        is_trained = is_trained && is_same(built, copy)?;
    }
    if !is_trained {
        announce("Asking it what it is asked often");
        for stale in [&trained, &guided] {
            if stale.exists() {
                fs::remove_dir_all(stale)
                    .with_context(|| format!("cannot remove {}", stale.display()))?;
            }
        }
        fs::create_dir_all(&counts).context("cannot make a folder for what is counted")?;
        for (built, copy) in &programs {
            copied(built, copy)?;
        }
        succeed(Command::new(trained.join(ASKS)).arg("train"))?;
        let half = trained.join("half.profdata");
        let mut merge = Command::new(&compiler.merges);
        merge.args(["merge", "--sparse", "-o"]).arg(&half);
        succeed(merge.arg(&counts))?;
        // Last, so that half a profile is none.
        fs::rename(&half, &profile).context("cannot keep what was counted")?;
    }

    announce("Building it by what was counted");
    let flag = joined("-Cprofile-use=", &profile);
    let program = built(workspace, &compiler, &guided, flag)?;
    let shipped = target.join(PROFILE).join(PROGRAM);
    copied(&program, &shipped)?;
    Ok(shipped)
}

/// Builds the program with one flag more; gives where it is.
fn built(
    workspace: &Path,
    compiler: &needs::Compiler,
    folder: &Path,
    flag: OsString,
) -> Result<PathBuf> {
    let host = &compiler.host;
    let mut build = cargo(workspace, &["build", "--locked", "--profile", PROFILE]);
    build.args(["-p", "claviger-server", "--bin", PROGRAM]);
    // By its name, so that what runs within the compiler is built without the flag.
    build
        .args(["--target", host])
        .arg("--target-dir")
        .arg(folder);
    build.env(FLAGS, with_own_flags(flag));
    succeed(&mut build)?;
    Ok(folder.join(host).join(PROFILE).join(PROGRAM))
}

/// A flag beside those that whoever builds has set in the environment, which it would replace. It does
/// replace those of Cargo's configuration.
fn with_own_flags(flag: OsString) -> OsString {
    let encoded = std::env::var_os(FLAGS).filter(|flags| !flags.is_empty());
    let own = encoded.or_else(|| {
        let flags = std::env::var("RUSTFLAGS").ok()?;
        let flags: Vec<_> = flags.split_whitespace().collect();
        (!flags.is_empty()).then(|| flags.join(BETWEEN).into())
    });
    let Some(mut flags) = own else {
        return flag;
    };
    flags.push(BETWEEN);
    flags.push(flag);
    flags
}

fn joined(flag: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(flag);
    flag.push(path);
    flag
}

/// Whether a file is there with what another one has.
fn is_same(one: &Path, other: &Path) -> Result<bool> {
    if !other.exists() {
        return Ok(false);
    }
    let [one, other] = [one, other].map(fs::read);
    Ok(one? == other?)
}

/// Copies a file to where another one may be: Cargo's are links, which are not to be written through.
fn copied(from: &Path, to: &Path) -> Result<()> {
    let copy = || {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        if to.exists() {
            fs::remove_file(to)?;
        }
        fs::copy(from, to)
    };
    copy().with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}
