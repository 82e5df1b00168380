//! A PostgreSQL server over a directory of its own, reached over a unix socket only.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::binaries::server_binaries;

/// A running server. Dropping it ends it and removes its directory; the kernel ends it with the
/// thread that started it, which is the main one.
pub(crate) struct PostgresServer {
    directory: PathBuf,
    child: Child,
}

impl PostgresServer {
    /// Starts a server with an empty database, and waits until it takes connections.
    pub(crate) fn start() -> Result<Self> {
        let binaries = server_binaries().context("no PostgreSQL server binaries")?;
        // A socket's path is short, and open to the user that the server runs as.
        let directory = PathBuf::from(format!("/tmp/claviger-bench-{}", std::process::id()));
        std::fs::create_dir(&directory).context("cannot make a directory for PostgreSQL")?;
        let user = unprivileged_user(&directory)?;
        let command = |name: &str| {
            let mut command = Command::new(binaries.join(name));
            command
                .arg("-D")
                .arg(directory.join("data"))
                .current_dir("/");
            if let Some((user, group)) = user {
                command.uid(user).gid(group);
            }
            command
        };
        if let Some((user, group)) = user {
            chown(&directory, Some(user), Some(group))?;
        }
        let made = command("initdb")
            .args([
                "-U",
                "bench",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .output()
            .context("cannot run initdb")?;
        ensure!(made.status.success(), "initdb failed: {made:?}");
        let mut child = command("postgres")
            .arg("-k")
            .arg(&directory)
            .args(["-c", "listen_addresses=", "-c", "shared_buffers=1GB"])
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start postgres")?;
        let mut log = BufReader::new(child.stderr.take().context("standard error is piped")?);
        let server = Self { directory, child };
        let mut said = String::new();
        while !said.contains("ready to accept connections") {
            if log.read_line(&mut said)? == 0 {
                bail!("PostgreSQL ended before it was ready: {said}");
            }
        }
        // The pipe must not fill.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Ok(server)
    }

    /// Where to connect.
    pub(crate) fn url(&self) -> String {
        let directory = self.directory.display();
        format!("postgres://bench@localhost/postgres?host={directory}")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // What cannot be ended or removed has ended or is gone.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// The user and group to run PostgreSQL as, where this is root: it refuses root.
fn unprivileged_user(made: &std::path::Path) -> Result<Option<(u32, u32)>> {
    if made.metadata()?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let line = users.lines().find_map(|line| line.strip_prefix(name))?;
        let mut numbers = line.strip_prefix(":x:")?.split(':').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    let found = find("postgres").or_else(|| find("nobody"));
    found
        .context("no user `postgres` or `nobody` to run PostgreSQL as")
        .map(Some)
}
